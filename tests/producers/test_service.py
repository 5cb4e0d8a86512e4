"""The whole producer process on real parts: simulated venues over real sockets, a real Kafka, the log read back."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest

from mts_stream.domain.market_data import DepthUpdate, RegistryUpdate
from mts_stream.domain.quoted import quoted
from mts_stream.exchanges.catalogue import is_catalogue_key
from mts_stream.settings import Settings, load_settings
from mts_stream.wire.codec import decode_record
from mts_stream.wire.kafka import Reader
from mts_stream.wire.results import parse_quality
from mts_stream.wire.topics import INSTRUMENTS, QUALITY, RAW
from producers.service import ProducerService
from producers.simulator.simulator import Simulator
from tests.producers.conftest import PARTITIONS, OwnBroker
from tests.producers.log_check import LogReader, LogReport

CONNECTIONS = {
    "binance-spot-public-0-a", "binance-perp-public-0-a", "binance-perp-market-0-a", "bybit-spot-public-0-a",
    "bybit-perp-public-0-a",
}  # fmt: skip


@pytest.fixture
def settings(simulated: Settings, own_broker: OwnBroker) -> Settings:
    """The simulator's addresses and the broker's."""
    changes = {"kafka_bootstrap_servers": own_broker.address, "partitions": PARTITIONS, "keyframe_interval_s": 3}
    return load_settings(**(simulated.model_dump(exclude_unset=True) | changes))


@asynccontextmanager
async def running(settings: Settings, **more: Any) -> AsyncIterator[ProducerService]:
    """A service whose connections are up."""
    service, stop = ProducerService(settings, **more), asyncio.Event()
    task = asyncio.create_task(service.run(stop))
    try:
        await until(lambda: task.done() or _is_up(service))
        yield service
    finally:
        stop.set()
        await asyncio.wait_for(task, 10)


def _is_up(service: ProducerService) -> bool:
    books = [book for feed in service.feeds.values() for book in feed.books.values()]
    return (
        service.ready.is_set()
        and all(connection.is_open for connection in service.connections.values())
        and all(book.is_synced for book in books)
    )


async def until(condition: Callable[[], Any], seconds: float = 30.0) -> None:
    """Wait for a condition, with a deadline."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


def read_log(settings: Settings, since_ns: int = 0) -> LogReport:
    """The raw log from a time on."""
    reader = LogReader()
    with Reader(settings, [RAW], from_ms=since_ns // 1_000_000 or None) as records:
        for record in records.read_to_end():
            reader.read(record)
    return reader.report


def compare(simulator: Simulator, keyframe: DepthUpdate) -> None:
    """A keyframe is the true book at its sequence, within its range."""
    origin = keyframe.origin
    true = simulator.true_book(origin.venue, origin.market, origin.symbol, keyframe.last_id)
    low, high = map(Decimal, keyframe.known_range or ("0", "Infinity"))
    assert numbers(quoted(keyframe.bids, "")) == [level for level in numbers(true.bids) if level[0] >= low]
    assert numbers(quoted(keyframe.asks, "")) == [level for level in numbers(true.asks) if level[0] <= high]


def numbers(levels: Any) -> list[tuple[Decimal, ...]]:
    """Levels, however they are written."""
    return [tuple(map(Decimal, level)) for level in levels]


async def test_both_venues_flow_and_every_fault_is_in_the_log(simulator: Simulator, settings: Settings) -> None:
    """Depth, funding, status, registry of both venues and markets; a lost frame and a lost connection heal."""
    began_ns = time.time_ns()
    async with running(settings) as service:
        assert set(service.connections) == CONNECTIONS
        simulator.skip_next_frame("binance", "spot", "BTCUSDT")
        simulator.skip_next_frame("bybit", "perp", "BTCUSDT")
        await asyncio.sleep(2.5)
        await until(lambda: _is_up(service))
        before = {name: connection.gen for name, connection in service.connections.items()}
        dropped_ns = service.clock.now_ns()
        assert await simulator.drop_connections("binance", "perp") == 2
        await until(lambda: service.connections["binance-perp-public-0-a"].gen > before["binance-perp-public-0-a"])
        await until(lambda: _is_up(service))
        await asyncio.sleep(1.2)
    report = read_log(settings, began_ns)

    assert not report.wrong
    assert service.publisher.lost == service.unconfirmed == 0
    assert service.summary()["published"] == report.records
    assert {key[:2] for key in report.outcomes} == {(v, m) for v in ("binance", "bybit") for m in ("perp", "spot")}
    assert {key for key, outcomes in report.outcomes.items() if outcomes["gap"]} >= {
        ("binance", "spot", "BTCUSDT"),
        ("bybit", "perp", "BTCUSDT"),
    }
    assert all(outcomes["applies"] and outcomes["keyframe"] for outcomes in report.outcomes.values())
    assert {key[0] for key in report.fundings} == {"binance", "bybit"}
    _check_statuses(report, dropped_ns)
    _check_keyframes(simulator, report)


def _check_statuses(report: LogReport, dropped_ns: int) -> None:
    assert set(report.statuses) == CONNECTIONS
    for name, statuses in report.statuses.items():
        assert (statuses[0][0], statuses[-1][:2]) == ("up", ("down", "stopped"))
        downs = [at for state, reason, _, at in statuses if state == "down" and reason != "stopped"]
        if name.startswith("binance-perp"):
            assert len(downs) == 1 and downs[0] - dropped_ns < 1_000_000_000
            assert report.generations[name] == sorted(set(report.generations[name]))
            assert len(report.generations[name]) == 2
        else:
            assert not downs


def _check_keyframes(simulator: Simulator, report: LogReport) -> None:
    compared = 0
    for keyframe in report.keyframes:
        try:
            compare(simulator, keyframe)
            compared += 1
        except LookupError:  # older than the simulator remembers
            continue
    assert compared > 50


async def test_quality_and_instruments_have_their_topics(simulator: Simulator, settings: Settings) -> None:
    """One quality message per connection and second, one instrument record per pair."""
    began_ms = time.time_ns() // 1_000_000
    async with running(settings) as service:
        enough = service.publisher.confirmed["quality"] + 4 * len(CONNECTIONS)
        await until(lambda: service.publisher.confirmed["quality"] >= enough)
    with Reader(settings, [QUALITY], from_ms=began_ms) as reader:
        quality = [parse_quality(record.value) for record in reader.read_to_end()]
    with Reader(settings, [INSTRUMENTS], from_ms=began_ms) as reader:
        keys = {record.key for record in reader.read_to_end()}

    assert {message.subject for message in quality} == CONNECTIONS
    assert any(message.type == "connection" and message.frames > 5 for message in quality)
    assert b"SHIB-USDT" in keys and len([key for key in keys if not is_catalogue_key(key)]) == 8
    assert b"@bybit/perp" in keys


async def test_a_process_without_the_registry_follows_the_one_that_owns_it(
    simulator: Simulator, settings: Settings
) -> None:
    """It publishes what `mts.instruments` lists, and no registry records of its own."""
    async with running(settings):
        pass
    async with running(settings, owns_registry=False) as follower:
        assert len(follower.listings) == 8
        await asyncio.sleep(0.5)
    assert follower.publisher.confirmed["registry"] == 0
    assert follower.publisher.confirmed["frame"] > 0


def pairs_up(service: ProducerService) -> set[str]:
    """The pairs of which every book stands."""
    books = [book for feed in service.feeds.values() for book in feed.books.values()]
    return {book.pair for book in books} - {book.pair for book in books if not book.is_synced}


async def test_a_pair_joins_and_another_leaves_while_it_runs(
    simulator: Simulator, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Listed at both venues: its record, then its frames, in a process that follows the registry's owner too; none of
    it restarts, and connections that are full get a new one beside them. What is delisted is left.
    """
    monkeypatch.setattr("producers.service.FOLLOW_S", 0.2)
    simulator.hide("XRP-USDT")
    simulator.hide("DOGE-USDT")
    began_ns = time.time_ns()
    full = settings.model_copy(update={"registry_interval_s": 0.5, "symbols_per_connection": 7})
    async with running(full) as owner, running(full, owns_registry=False) as follower:
        before = {name: connection.gen for name, connection in owner.connections.items()}
        for pair in ("DOGE-USDT", "XRP-USDT"):
            assert pair not in pairs_up(owner) | pairs_up(follower)
            simulator.inject("listing", "binance", "perp", pair.replace("-", ""))
            await until(lambda pair=pair: pair in pairs_up(owner) & pairs_up(follower))
        assert {name: owner.connections[name].gen for name in before} == before
        assert {"binance-perp-public-1-a", "bybit-spot-public-1-a"} <= set(owner.connections)
        simulator.inject("delisting", "bybit", "perp", "DOGEUSDT")
        await until(lambda: "DOGE-USDT" not in pairs_up(follower))
        assert _statuses(follower, "DOGE-USDT")["bybit:perp"] == "delisted"
    _check_that_it_was_listed_first(settings, began_ns)


def _statuses(service: ProducerService, pair: str) -> dict[str, str]:
    return {leg.leg: leg.status for listing in service.listings if listing.pair == pair for leg in listing.legs}


def _check_that_it_was_listed_first(settings: Settings, since_ns: int) -> None:
    """No frame of the joining pair stands before the registry's first record with its leg."""
    listed: set[str] = set()
    with Reader(settings, [RAW], from_ms=since_ns // 1_000_000) as reader:
        for record in reader.read_to_end():
            if record.key != b"XRP-USDT":
                continue
            event = decode_record(record.value)
            if isinstance(event, RegistryUpdate):
                listed |= {leg.symbol for leg in event.listing.legs}
            elif isinstance(event, DepthUpdate):
                assert event.origin.symbol in listed
    assert listed == {"XRPUSDT"}


async def test_a_record_that_kafka_refuses_begins_a_new_generation(simulator: Simulator, settings: Settings) -> None:
    """What was lost cannot be repaired inside its generation."""
    async with running(settings) as service:
        connection, feed = service.connections["bybit-spot-public-0-a"], service.feeds["bybit-spot-public-0-a"]
        gen = connection.gen
        book = feed.books["BTCUSDT"]
        feed.writer.record(
            "depth", "snapshot", book.symbol, book.pair, service.clock.now_ns(), b'"%b"' % (b"x" * 5_000_000)
        )
        await until(lambda: connection.gen > gen and _is_up(service))
        assert service.publisher.lost == 1


async def test_kafka_may_fall_silent_and_come_back(
    simulator: Simulator, settings: Settings, own_broker: OwnBroker
) -> None:
    """Connections are given up when the queue stays full, and begin anew behind what was kept; nothing is lost."""
    began_ns = time.time_ns()
    small = settings.model_copy(update={"producer_queue_records": 300, "producer_stalled_s": 0.5})
    async with running(small) as service:
        own_broker.signal(signal.SIGSTOP)
        await until(lambda: not any(connection.is_open for connection in service.connections.values()))
        own_broker.signal(signal.SIGCONT)
        await until(lambda: _is_up(service))
        await asyncio.sleep(1)
    report = read_log(settings, began_ns)

    assert not report.wrong
    assert service.publisher.lost == service.unconfirmed == 0
    assert service.summary()["published"] == report.records
    assert not any(outcomes["gap"] for outcomes in report.outcomes.values())
    for statuses in report.statuses.values():
        assert ("down", "backpressure") in {status[:2] for status in statuses}


async def test_it_waits_for_kafka_and_can_be_stopped_meanwhile(simulated: Settings, unused_tcp_port: int) -> None:
    """Without a broker nothing fails and nothing hangs."""
    nowhere = simulated.model_copy(update={"kafka_bootstrap_servers": f"127.0.0.1:{unused_tcp_port}"})
    service, stop = ProducerService(nowhere), asyncio.Event()
    task = asyncio.create_task(service.run(stop))
    await asyncio.sleep(0.3)
    assert not service.ready.is_set() and not task.done()
    stop.set()
    await asyncio.wait_for(task, 5)
