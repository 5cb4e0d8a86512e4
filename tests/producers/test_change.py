"""A planned change of connections over real sockets: the engine, fed with what was published, never lacks a book."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import groupby, pairwise
from typing import Any

from mts_stream.settings import load_settings
from producers.service import ProducerService
from producers.simulator.settings import SimulatorSettings
from producers.simulator.simulator import Simulator
from tests.producers.engine_watch import EngineWatch
from tests.producers.fakes import MemorySink

Said = tuple[str, str, int]
PAIRS = 4
READ_S = 0.25


@asynccontextmanager
async def running(
    life_s: float, closed_at_s: float | None = None
) -> AsyncIterator[tuple[Simulator, ProducerService, EngineWatch]]:
    """A whole process on simulated venues, every book valid."""
    async with Simulator(SimulatorSettings(pairs=PAIRS, seed=3, connection_life_s=closed_at_s)) as simulator:
        urls: dict[str, Any] = {name.lower(): url for name, url in simulator.urls.items()}
        settings = load_settings(**urls, pairs_top=PAIRS, partitions=2, connection_life_s=life_s)
        sink, stop = MemorySink(), asyncio.Event()
        service, watch = ProducerService(settings, publisher=sink), EngineWatch(sink, simulator)
        task = asyncio.create_task(service.run(stop))
        try:
            await until(watch, lambda: task.done() or watch.is_whole)
            yield simulator, service, watch
        finally:
            stop.set()
            await asyncio.wait_for(task, 10)
            watch.read()


async def until(watch: EngineWatch, condition: Callable[[], Any], seconds: float = 30.0) -> None:
    """Read on until a condition holds, with a deadline."""
    async with asyncio.timeout(seconds):
        while not condition():
            watch.read()
            await asyncio.sleep(READ_S)


def voices(records: list[Said]) -> list[list[Said]]:
    """The records of a symbol by who said them, in order."""
    return [list(said) for _, said in groupby(records, key=lambda record: record[1])]


def check_one_voice(watch: EngineWatch) -> None:
    """Each book moves by a keyframe, no frame is said twice, and nobody speaks for a book that another one has."""
    for key, records in watch.depth.items():
        for before, after in pairwise(voices(records)):
            assert after[0][0] == "keyframe" and after[0][2] >= before[-1][2], key
        ids = [last_id for kind, _, last_id in records if kind == "frame"]
        assert all(a < b for a, b in pairwise(ids)), key
    for key, records in watch.funding.items():
        assert key[0] == "binance" or all(said[0][0] == "keyframe" for said in voices(records)[1:]), key
        times = [at for kind, _, at in records if kind == "frame"]
        assert all(a < b or (a == b and key[0] == "bybit") for a, b in pairwise(times)), key


async def test_no_book_lacks_while_connections_are_changed_before_the_venue_closes_them() -> None:
    """Twice on both venues under traffic: every book stays valid and true, without a request for a snapshot."""
    async with running(life_s=2.5, closed_at_s=6) as (_, service, watch):
        snapshots = service.publisher.confirmed["snapshot"]
        symbols = [watch.depth, watch.funding]
        await until(watch, lambda: all(len(voices(said)) > 2 for by_key in symbols for said in by_key.values()))
        assert service.publisher.confirmed["snapshot"] == snapshots

    assert watch.lacking == []
    assert len(watch.depth) == 4 * PAIRS and len(watch.funding) == 2 * PAIRS
    assert watch.compared > 20 * PAIRS
    assert {said for all_said in watch.statuses.values() for said in all_said if said[0] == "down"} == {
        ("down", "changed")
    }
    check_one_voice(watch)


async def test_a_shutdown_that_is_announced_is_a_change_at_once() -> None:
    """The venue says so and closes three seconds later: nobody is left there by then."""
    async with running(life_s=0) as (simulator, service, watch):
        simulator.inject("server_shutdown", "binance", "spot", duration_s=3.0)
        await until(watch, lambda: ("down", "changed") in watch.statuses["binance-spot-public-0-a"], 2.9)
        await asyncio.sleep(3.5)
        watch.read()
        assert service.connections["binance-spot-public-0-b"].is_open

    assert watch.lacking == []
    assert watch.statuses["binance-spot-public-0-a"][-1] == ("down", "changed")
    assert {state for state, _ in watch.statuses["binance-spot-public-0-b"]} == {"up", "alive"}


async def test_an_old_connection_that_is_lost_first_takes_down_only_what_was_not_moved() -> None:
    """Its successor is at hand: the books are back within a moment, and the change is over."""
    async with running(life_s=0) as (simulator, service, watch):
        simulator.inject("silent_stream", "bybit", "perp", "BTCUSDT", duration_s=3.0)
        shard = next(shard for shard in service.shards if shard.name == "bybit-perp-public-0")
        shard._begin()
        await until(watch, lambda: shard.heir is not None and not shard.heir.feed.books["ETHUSDT"].is_following)
        assert shard.heir is not None and shard.heir.feed.is_following
        shard.leading.connection.drop("test")
        assert shard.heir is None and not shard.leading.feed.is_following
        await until(watch, lambda: watch.is_whole)

    assert {name for name, _, _ in watch.lacking} == {"bybit:perp BTCUSDT"}
    assert {state for _, state, _ in watch.lacking} == {"disconnected"}
