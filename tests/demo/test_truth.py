"""Signals are judged while they come, by asking a control port over a real socket."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

from aiohttp import web

from mts_stream.local.demo.faults import counts_of, fault_rows, in_force, read_faults, table_lines, unmet
from mts_stream.local.demo.ledger import ResultLedger
from mts_stream.local.demo.truth import WAITING_MAX, TruthWatch
from mts_stream.wire.kafka import Record
from producers.simulator.settings import SimulatorSettings
from producers.simulator.simulator import Simulator
from tests.demo.results import record, signal_record, window_record

LEG = {"venue": "bybit", "market": "spot", "symbol": "BTCUSDT"}
LOST = {"name": "lost_frames", **LEG, "start_ns": 1, "end_ns": 5, "hits": 1}
RESTART = {"name": "venue_restart", "venue": "bybit", "market": None, "symbol": None, "end_ns": None, "hits": 0}


class ControlPort:
    """A simulator's truth: one book, bid 100 and ask 101, at sequence 7 alone."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def book(self, request: web.Request) -> web.Response:
        """The book, no book, or 404 for another symbol."""
        self.asked.append(request.query["sequence"])
        if request.query["symbol"] != "BTCUSDT":
            raise web.HTTPNotFound
        known = [{"bids": [["100", "1"]], "asks": [["101", "1"]]}] if request.query["sequence"] == "7" else []
        return web.json_response({"books": known, "multiplier": 1})

    async def faults(self, request: web.Request) -> web.Response:
        """One that is over and one that runs."""
        return web.json_response({"faults": [LOST, RESTART]})

    @asynccontextmanager
    async def serve(self, address_file: Path) -> AsyncIterator[None]:
        """Listen, and write the address."""
        app = web.Application()
        app.add_routes([web.get("/book", self.book), web.get("/faults", self.faults)])
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        address_file.write_text("http://{}:{}\n".format(*runner.addresses[0][:2]))
        try:
            yield
        finally:
            await runner.cleanup()


def signals(*prices: str, sequence: int = 7, since_ns: int = 50, **leg: Any) -> list[tuple[Record, dict[str, Any]]]:
    """Openings that sell at these prices, as the ledger gives them."""
    records = [
        signal_record(
            "opened", number, since_ns, id=f"{sequence}-{price}",
            legs=[LEG | {"sequence": sequence, "side": "sell", "price": price} | leg],
        )
        for number, price in enumerate(prices)
    ]  # fmt: skip
    return ResultLedger().on_records(records)


async def judged(
    watch: TruthWatch, *results: list[tuple[Record, dict[str, Any]]], expects_faults: bool = False
) -> dict[str, int]:
    """The verdicts on these results."""
    running = asyncio.create_task(watch.run(with_faults=True))
    for each in results:
        watch.on_results(each)
    await watch.settle(10)
    if expects_faults:
        async with asyncio.timeout(10):
            while not watch.running_faults:
                await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.wait({running})
    return {str(verdict): count for verdict, count in watch.verdicts.counts.items()}


async def test_signals_are_held_against_the_port(tmp_path: Path) -> None:
    """True, untrue, forgotten and unknown; a book is asked for once; what is broken now is known."""
    port, watch = ControlPort(), TruthWatch(tmp_path / "control", since_ns=10)
    async with port.serve(tmp_path / "control"):
        results = signals("100", "101", "100.5"), signals("100", sequence=8), signals("100", symbol="NOPE", sequence=9)
        counts = await judged(watch, *results, expects_faults=True)

    assert counts == {"verified": 1, "untrue": 2, "unverified": 2}
    assert watch.verdicts.untrue_ids == ["7-101", "7-100.5"]
    assert port.asked == ["7", "8", "9"]
    assert [(row.name, row.place) for row in watch.running_faults] == [("venue_restart", "bybit")]


async def test_the_simulator_itself_tells_one_price_from_the_next(tmp_path: Path) -> None:
    """A symbol of a thousand units, at its own sequence: the touch in units is true, a tick beside it is not."""
    perp: dict[str, Any] = {"venue": "binance", "market": "perp", "symbol": "1000PEPEUSDT"}
    async with Simulator(SimulatorSettings(pairs=5)) as simulator:
        (tmp_path / "control").write_text(simulator.control_url)
        sequence = simulator.market.legs["binance", "perp", "1000PEPEUSDT"].book.last_id
        true = simulator.true_book("binance", "perp", "1000PEPEUSDT", sequence)
        touch, next_level = (Decimal(price) / 1000 for price, _ in true.bids[:2])
        results = signals(f"{touch:f}", f"{next_level:f}", sequence=sequence, **perp)
        counts = await judged(TruthWatch(tmp_path / "control", 0), results)

    assert counts == {"verified": 1, "untrue": 1}


async def test_without_a_simulator_nothing_can_be_verified(tmp_path: Path) -> None:
    """It has not begun, or has ended."""
    assert await judged(TruthWatch(tmp_path / "control", 0), signals("100")) == {"unverified": 1}


async def test_only_this_run_s_signals_are_judged(tmp_path: Path) -> None:
    """Neither an earlier run's, nor other results, nor what the sink refuses."""
    foreign = [(record("mts.signals", {}), {"id": "x"}), (window_record(), {})]

    assert await judged(TruthWatch(tmp_path / "control", 100), signals("100", since_ns=99), foreign) == {}


async def test_too_many_at_once_are_counted_unverified(tmp_path: Path) -> None:
    """The queue has a bound."""
    watch = TruthWatch(tmp_path / "control", 0)
    watch.on_results(signals("100") * (WAITING_MAX + 3))

    assert (watch.verdicts.counts["unverified"], watch.unjudged) == (3, WAITING_MAX)
    await watch.settle(0.01)
    assert watch.unjudged == WAITING_MAX


def test_faults_are_counted_by_class(tmp_path: Path) -> None:
    """From the truth's file, one JSON object a line; a run without faults has none."""
    path = tmp_path / "faults.jsonl"
    path.write_text('{"name":"b","venue":"bybit","market":"spot","symbol":"X","end_ns":2,"hits":0}\n' * 2)

    assert counts_of(read_faults(path)) == {"b": 2}
    assert unmet([*read_faults(path), *fault_rows([LOST])]) == ["b"]
    assert read_faults(tmp_path / "none") == []
    assert in_force(fault_rows([LOST, RESTART])) == "venue_restart bybit, lost_frames bybit spot BTCUSDT"


def test_the_table_is_read_downwards() -> None:
    """In three columns."""
    lines = table_lines({name: number for number, name in enumerate("abcd")})

    assert [line.split() for line in lines] == [["a", "0", "c", "2"], ["b", "1", "d", "3"]]
