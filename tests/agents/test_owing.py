"""A second that ends for all pairs at once: no record waits for all their windows, and nothing of them is lost."""

import asyncio
import json
import time
from typing import Any

from faust.types import TP

from mts_stream.agents import market as market_module
from mts_stream.agents.checkpoints import Checkpointer, SavedCheckpoints
from mts_stream.agents.lag import EventLag
from mts_stream.agents.market import Market
from mts_stream.agents.outbox import Outbox
from mts_stream.agents.partitions import Partitions
from mts_stream.domain.engine import PartitionEngine
from mts_stream.settings import Settings
from mts_stream.wire import topics
from mts_stream.wire.codec import decode_record, encode_message
from tests.agents.fakes import FakeApp, records
from tests.benchmarks.many_pairs import BEGUN, in_turn, recorded

PAIRS = 30
TP0 = TP(topics.RAW, 0)
NS_PER_S = 10**9


class Desk:
    """Market agent and checkpointer on real engines."""

    def __init__(self) -> None:
        self.app = FakeApp()
        self.economics = Settings().economics()
        self.partitions = Partitions(lambda: PartitionEngine(self.economics))
        outbox, saved = Outbox(lambda: self.app.producer, 10**6), SavedCheckpoints()
        self.market = Market(self.app, self.partitions, saved, outbox, EventLag(2000))
        self.checkpointer = Checkpointer(self.app, self.app.table, self.partitions, saved, outbox, 10.0)
        self.lines: list[bytes] = []

    async def batch(self, *lines: bytes) -> list[str]:
        """Handle a batch; gives the pairs of the rows that it sent."""
        before, first = len(self.app.producer.sent), len(self.lines)
        self.lines += lines
        await self.market.on_batch(TP0, records(first, *lines), 1)
        return self.rows(before)

    def rows(self, since: int = 0) -> list[str]:
        """The pairs of the rows that were sent."""
        return [json.loads(v)["pair"] for topic, _, v, _ in self.app.producer.sent[since:] if topic == topics.SPREADS]

    @property
    def owing(self) -> int:
        """How many pairs owe something."""
        return sum(len(partition.engine.owing) for partition in self.partitions)

    async def begun(self) -> int:
        """Thirty pairs with valid books; gives the last time of a record."""
        lines = list(in_turn(recorded(BEGUN + 10), range(PAIRS)))
        await self.batch(*lines)
        return max(json.loads(line)["received_ns"] for line in lines)

    def at_once(self) -> dict[str, list[bytes]]:
        """What an engine says that lets nothing wait, by pair."""
        engine, told = PartitionEngine(self.economics), {}
        for offset, line in enumerate(self.lines):
            for message in engine.on_event(decode_record(line), offset).messages:
                told.setdefault(message.pair, []).append(_without_sent(encode_message(message)))
        return told

    def told(self) -> dict[str, list[bytes]]:
        """What was sent, by pair."""
        told: dict[str, list[bytes]] = {}
        for _, key, value, _ in self.app.producer.sent:
            assert key is not None
            told.setdefault(key.decode(), []).append(_without_sent(value))
        return told


def _without_sent(value: bytes) -> bytes:
    message = json.loads(value)
    return json.dumps({name: text for name, text in message.items() if name != "emitted_ns"}).encode()


def alive(at_ns: int) -> bytes:
    """A connection that no book hangs on says so."""
    status: dict[str, Any] = {
        "v": 1, "venue": "binance", "market": "perp", "channel": "depth", "kind": "status", "symbol": "", "pair": "",
        "received_ns": at_ns, "conn": "elsewhere", "gen": 1, "seq": 1, "frame": {"state": "alive", "reason": ""},
    }  # fmt: skip
    return json.dumps(status).encode()


def next_second(after_ns: int) -> int:
    """A time in the second after."""
    return (after_ns // NS_PER_S + 1) * NS_PER_S + 1


async def test_a_record_does_not_wait_for_the_windows_of_all_pairs() -> None:
    """Behind the record that ends the second, another pair's record comes first with its own row; one more is settled
    with each record, and the rest while no batch is at hand: then every pair has said what it says at once."""
    desk = Desk()
    at_ns = next_second(await desk.begun())
    late = desk.lines[-1]  # of the last pair

    assert len(set(await desk.batch(alive(at_ns)))) <= 1
    owed = desk.owing
    assert owed >= PAIRS - 1
    assert (await desk.batch(late))[0] == f"P{PAIRS - 1:03d}-USDT"
    assert desk.owing >= owed - 3

    while desk.owing:
        await desk.market.settle()
    assert desk.told() == desk.at_once()


async def test_a_slice_is_short(monkeypatch: Any) -> None:
    """What is settled in one go is bounded by time, whatever is owed."""
    monkeypatch.setattr(market_module, "SLICE_S", 0.0)
    desk = Desk()
    await desk.batch(alive(next_second(await desk.begun())))
    owed = desk.owing

    await desk.market.settle()

    assert owed - 1 <= desk.owing <= owed


async def test_a_batch_settles_what_is_owed_for_too_long(monkeypatch: Any) -> None:
    """Where batches come without a pause, the settling is theirs."""
    monkeypatch.setattr(market_module, "OWED_MAX_S", -1.0)
    desk = Desk()

    await desk.batch(alive(next_second(await desk.begun())))

    assert desk.owing == 0
    assert desk.told() == desk.at_once()


async def test_a_checkpoint_includes_what_was_owed() -> None:
    """Before its snapshot a pair is settled and its rows are with Kafka; all is committed up to the end."""
    desk = Desk()
    await desk.batch(alive(next_second(await desk.begun())))
    assert desk.owing

    await desk.checkpointer.run(everything=True)

    assert desk.owing == 0
    assert desk.told() == desk.at_once()
    assert desk.app.consumer.committed == {TP0: len(desk.lines)}


async def test_nothing_is_settled_without_debts() -> None:
    """Settling waits until a batch leaves something; a closed worker settles nothing more."""
    desk = Desk()
    waiting = asyncio.create_task(desk.market.settle())
    at_ns = next_second(await desk.begun())
    await asyncio.sleep(0)
    assert not waiting.done()

    desk.partitions.closed = False
    await desk.batch(alive(at_ns))
    await asyncio.wait_for(waiting, 5)
    desk.partitions.closed = True
    owed, since = desk.owing, time.monotonic()
    await desk.market.settle()

    assert desk.owing == owed and time.monotonic() - since < 5


async def test_a_batch_that_is_being_handled_is_left_alone(monkeypatch: Any) -> None:
    """Nobody stands in the way of the batch after it, until something is owed for too long."""
    desk = Desk()
    await desk.batch(alive(next_second(await desk.begun())))
    owed = desk.owing
    async with desk.partitions.working:
        await desk.market.settle()
        assert desk.owing == owed

        monkeypatch.setattr(market_module, "OWED_MAX_S", 0.0)
        waiting = asyncio.create_task(desk.market.settle())
        await asyncio.sleep(0)
    await waiting

    assert desk.owing < owed
