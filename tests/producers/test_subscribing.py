"""Subscriptions over real sockets: wrong answers, silent and unlisted streams, and the venues' limits on the way."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from mts_stream.exchanges.binance import BinanceSpot
from mts_stream.settings import load_settings
from producers.feeds import Feed
from producers.pacing import MESSAGE_WINDOW_S
from producers.service import ProducerService
from producers.simulator.settings import SimulatorSettings
from producers.simulator.simulator import Simulator
from tests.producers.engine_watch import EngineWatch
from tests.producers.fakes import MemorySink

PAIRS = 3
WAIT_S = 20.0


@asynccontextmanager
async def running(
    faults: list[tuple[str, str, str, dict[str, Any]]], simulated: SimulatorSettings | None = None
) -> AsyncIterator[tuple[ProducerService, EngineWatch]]:
    """A process that connects while these faults are there."""
    async with Simulator(simulated or SimulatorSettings(pairs=PAIRS, seed=3)) as simulator:
        for name, venue, market, params in faults:
            simulator.inject(name, venue, market, **params)
        urls: dict[str, Any] = {name.lower(): url for name, url in simulator.urls.items()}
        sink, stop = MemorySink(), asyncio.Event()
        service = ProducerService(load_settings(**urls, pairs_top=PAIRS, partitions=1), publisher=sink)
        task = asyncio.create_task(service.run(stop))
        try:
            yield service, EngineWatch(sink, simulator)
        finally:
            stop.set()
            await asyncio.wait_for(task, 10)


async def until(condition: Callable[[], Any]) -> None:
    """Wait for a condition, with a deadline."""
    async with asyncio.timeout(WAIT_S):
        while not condition():
            await asyncio.sleep(0.05)


async def whole(service: ProducerService, watch: EngineWatch) -> None:
    """Read on until every book stands and no stream is in doubt."""
    async with asyncio.timeout(WAIT_S):
        while not (watch.is_whole and not any(feed.subscriptions.doubted for feed in service.feeds.values())):
            watch.read()
            await asyncio.sleep(0.1)


async def test_a_wrong_answer_is_counted_and_no_stream_is_missing() -> None:
    """Refused, without an answer, with the id of another request: once each on every connection."""
    wrong = {
        ("binance", "spot"): ("ack_missing", {"no_ack"}),
        ("binance", "perp"): ("ack_wrong_id", {"unknown_ack", "no_ack"}),
        ("bybit", "spot"): ("ack_failure", {"refused"}),
        ("bybit", "perp"): ("ack_wrong_id", {"unknown_ack", "no_ack"}),
    }
    faults = [
        (name, venue, market, {"duration_s": 600, "times": 2 if (venue, market) == ("binance", "perp") else 1})
        for (venue, market), (name, _) in wrong.items()
    ]
    async with running(faults) as (service, watch):
        await whole(service, watch)
        feeds = service.feeds.values()
        await until(lambda: all(wrong[_leg(feed)][1] <= feed.subscriptions.faults.keys() for feed in feeds))
        for feed in feeds:
            assert feed.subscriptions.faults.keys() == wrong[_leg(feed)][1], feed.writer.conn
            assert set(feed.subscriptions.faults.values()) == {1}, feed.writer.conn


def _leg(feed: Feed) -> tuple[str, str]:
    return feed.market.venue, feed.market.market


async def test_a_stream_that_never_sends_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """By its first frame missing on both venues; on Binance sooner by the venue's own list, where that lacks it."""
    monkeypatch.setattr(BinanceSpot, "socket_limits", replace(BinanceSpot.socket_limits, heartbeat_s=2.0))
    silent = {"symbol": "BTCUSDT", "duration_s": 4}
    faults = [
        ("silent_stream", "binance", "spot", silent | {"listed": False}),
        ("silent_stream", "binance", "perp", silent | {"listed": True}),
        ("silent_stream", "bybit", "spot", silent),
    ]
    async with running(faults) as (service, watch):
        await whole(service, watch)
        found = {_leg(feed): feed.subscriptions.faults for feed in service.feeds.values() if feed.books}
    assert found[("binance", "spot")].keys() == {"unlisted"}
    assert found[("binance", "perp")].keys() == found[("bybit", "spot")].keys() == {"no_first_frame"}
    assert not found[("bybit", "perp")]


async def test_the_venue_never_hears_more_than_its_messages_a_second() -> None:
    """Binance spot hangs up at the sixth of a second, pings and pongs among them; twelve requests keep it open."""
    settings = SimulatorSettings(pairs=PAIRS, seed=3, binance_spot_ping_s=1.5)
    async with running([], settings) as (service, watch):
        await whole(service, watch)
        connection = service.connections["binance-spot-public-0-a"]
        feed, gen = service.feeds[connection.name], connection.gen
        for _ in range(6):
            feed.subscriptions.renew(["btcusdt@depth@100ms"])
        await until(lambda: connection._outbox.empty() or connection.gen != gen)
        await asyncio.sleep(2 * MESSAGE_WINDOW_S)  # the last one has had its turn, and the venue its second
        await whole(service, watch)
        assert connection.gen == gen


async def test_a_dead_peer_is_noticed_by_its_pongs() -> None:
    """Half open: it is down, and its books are no more valid, within three seconds."""
    async with running([]) as (service, watch):
        await whole(service, watch)
        began_s = asyncio.get_running_loop().time()
        watch.simulator.inject("half_open", "bybit", "perp", duration_s=20)
        await until(lambda: not service.connections["bybit-perp-public-0-a"].is_open)
        took_s = asyncio.get_running_loop().time() - began_s
        watch.read()
    assert 1 < took_s < 3.5  # of wall time: other programs take the machine
    assert [state for state, _ in watch.statuses["bybit-perp-public-0-a"][-2:]] == ["alive", "down"]
    assert {state for _, state, _ in watch.lacking} == {"disconnected"}
