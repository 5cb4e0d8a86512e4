"""Exchange clocks asked over real REST: the skew of a simulated exchange is found, failures are waited out."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from mts_stream.exchanges.bybit import BybitPerp
from mts_stream.exchanges.venue import RequestLimit
from mts_stream.metrics import PRODUCER
from producers import clock_watch as watch_module
from producers.budget import WeightBudget
from producers.clock import SlewedClock
from producers.clock_offset import ClockOffset
from producers.clock_watch import ClockWatch, clock_watches
from producers.rest import BadAnswerError, RestClient, VenueFailedError
from producers.simulator.simulator import Simulator

MS = 1_000_000


async def until(condition: Callable[[], Any], seconds: float = 10.0) -> None:
    """Wait for a condition, with a deadline."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


@asynccontextmanager
async def running(watch: ClockWatch) -> AsyncIterator[None]:
    """A watch that asks."""
    task = asyncio.create_task(watch.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def ask(watch: ClockWatch, clock: SlewedClock) -> ClockOffset:
    """The offset after one more answer."""
    await watch.ask()
    found = watch.offset(clock.now_ns())
    assert found is not None
    return found


async def test_the_skew_of_an_exchange_is_found_and_followed(simulator: Simulator, clients: list[RestClient]) -> None:
    """Within the stated error, there and back again; an exchange whose clock is right has an offset of 0."""
    clock = SlewedClock()  # and the simulator's are the machine's
    watches = clock_watches(clients, clock.now_ns)
    by_venue = {client.market.venue: watches[client.base_url] for client in clients}
    for venue, skew_s in (("binance", -1.3), ("bybit", 2.5)):
        straight = await ask(by_venue[venue], clock)
        fault = simulator.inject("clock_skew", venue, skew_s=skew_s, duration_s=1)
        skewed = await ask(by_venue[venue], clock)
        assert fault.end_ns is None
        await until(lambda fault=fault: fault.end_ns is not None)
        back = await ask(by_venue[venue], clock)

        assert abs(straight.offset_ns) <= straight.error_ns < 400 * MS
        assert abs(skewed.offset_ns - skew_s * 1000 * MS) <= skewed.error_ns < 400 * MS
        assert abs(back.offset_ns) <= back.error_ns < 400 * MS


async def test_markets_of_one_host_share_a_clock(clients: list[RestClient]) -> None:
    """Bybit has one host for both markets: it is asked once."""
    watches = clock_watches(clients, SlewedClock().now_ns)
    assert len(watches) == len({client.base_url for client in clients}) < len(clients)


async def test_a_failure_is_told_and_asked_again(
    simulator: Simulator, clients: list[RestClient], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    """Whatever the venue answers instead; the offset is unknown until it does, and in the metrics from then on."""
    monkeypatch.setattr(watch_module, "FAILED_S", 0.01)
    simulator.inject("rest_5xx", "binance", "perp", status=503, duration_s=1)
    perp = next(client for client in clients if (client.market.venue, client.market.market) == ("binance", "perp"))
    clock = SlewedClock()
    watch = ClockWatch(perp, clock.now_ns)
    with pytest.raises(VenueFailedError, match="/fapi/v1/time"):
        await watch.ask()
    assert watch.offset(clock.now_ns()) is None
    async with running(watch):
        await until(lambda: watch.offset(clock.now_ns()) is not None)

    # to the terminal, or to logging where another test of this process has set that up
    assert "HTTP 503" in capfd.readouterr().out + caplog.text
    labels = {"venue": "binance", "host": perp.base_url}
    offset_s = PRODUCER.get_sample_value("mts_clock_offset_seconds", labels)
    error_s = PRODUCER.get_sample_value("mts_clock_offset_error_seconds", labels)
    assert offset_s is not None and error_s is not None
    assert abs(offset_s) <= error_s < 0.4


@pytest.mark.parametrize("said", [b"NaN", b"-1", b"1e400", b"1e999999", b"x", b"99999999999999999999"])
async def test_an_impossible_time_is_an_unreadable_answer(said: bytes) -> None:
    """One more way to fail, and nothing that ends the producers."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=b'{"retCode":0,"result":{"timeNano":"%s"}}' % said)

    app = web.Application()
    app.router.add_get("/v5/market/time", answer)
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        url = str(server.make_url("")).rstrip("/")
        client = RestClient(BybitPerp(), url, "URL", session, WeightBudget(RequestLimit(100), 1))
        watch = ClockWatch(client, SlewedClock().now_ns)
        with pytest.raises(BadAnswerError, match="/v5/market/time: unreadable answer"):
            await watch.ask()


async def test_it_asks_again_and_again(simulator: Simulator, clients: list[RestClient]) -> None:
    """Every so many seconds, each time inside the weight budget."""
    client = next(client for client in clients if client.market.venue == "bybit")
    watch = ClockWatch(client, SlewedClock().now_ns, every_s=0.01)
    async with running(watch):
        await until(lambda: client.budget.spent(0) >= 5)
