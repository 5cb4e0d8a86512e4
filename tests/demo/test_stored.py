"""Rows in a real ClickHouse held against the results on the topics."""

import asyncio
import secrets
from collections.abc import AsyncIterator

import pytest

from mts_stream.clickhouse.runner import migrate
from mts_stream.errors import StoreError
from mts_stream.local.demo.episodes import Episode
from mts_stream.local.demo.ledger import ResultLedger
from mts_stream.local.demo.store import StoreQuery
from mts_stream.local.demo.stored import Stored, compare_stored, why_missed
from mts_stream.local.ports import free_ports
from mts_stream.settings import Settings, load_settings
from mts_stream.sinks.clickhouse import Store
from mts_stream.wire.topics import FUNDING, QUALITY
from tests.demo.results import PERPS, record, signal_record, window_record

S = 1_000_000_000
ROWS = {
    "spreads_1s": "pair, direction, window_start, outcomes",
    "signals": "type, pair, direction, event_time, id",
    "funding_rates": "pair, message_id",
    "feed_quality": "type, subject, window_start",
}
VALUES = {
    "spreads_1s": f"'BTC-USDT', '{PERPS}', fromUnixTimestamp64Nano(1000000000), map('no_edge', 3, 'signal', 1)",
    "signals": f"'arbitrage.opened', 'BTC-USDT', '{PERPS}', fromUnixTimestamp64Nano(1), 'o-0'",
    "funding_rates": "'BTC-USDT', 'bybit/perp/BTCUSDT/c/1/2'",
    "feed_quality": "'book', 'bybit/perp/BTCUSDT', fromUnixTimestamp64Nano(60000000000)",
}


@pytest.fixture
async def settings(clickhouse: str) -> Settings:
    """A database of the test's own with one row in every primary table."""
    settings = load_settings(clickhouse_url=clickhouse, clickhouse_database=f"demo_{secrets.token_hex(4)}")
    await migrate(settings)
    for table in ROWS:
        await insert(settings, table, VALUES[table])
    return settings


async def insert(settings: Settings, table: str, values: str) -> None:
    """Store one more row."""
    store = Store(settings)
    try:
        await store.command(f"INSERT INTO {table} ({ROWS[table]}) VALUES ({values})")
    finally:
        await store.close()


@pytest.fixture
async def store(settings: Settings) -> AsyncIterator[StoreQuery]:
    """A session on that database."""
    query = StoreQuery(settings)
    yield query
    await query.close()


def results() -> ResultLedger:
    """The messages that those rows stand for."""
    ledger = ResultLedger()
    ledger.on_records(
        [
            window_record(S, no_edge=3, signal=1),
            signal_record("opened"),
            record(FUNDING, {"message_id": "bybit/perp/BTCUSDT/c/1/2"}),
            record(QUALITY, {"type": "book", "subject": "bybit/perp/BTCUSDT", "window_start_ns": 60 * S}),
        ]
    )
    return ledger


async def test_every_result_with_its_row(store: StoreQuery) -> None:
    """Each topic's key is spelled in SQL as it is spelled on the topic."""
    assert await compare_stored(store, results(), 0) == Stored(rows=4)


async def test_a_result_without_a_row_is_missing(store: StoreQuery) -> None:
    """Lost, or refused: the dead letters decide."""
    ledger = results()
    ledger.on_records([window_record(2 * S)])

    assert await compare_stored(store, ledger, 0) == Stored(rows=4, missing=1)


async def test_a_row_without_a_result_is_surplus(store: StoreQuery, settings: Settings) -> None:
    """Unless it is older than this run: then its message may be gone from the topic."""
    await insert(settings, "funding_rates", "'BTC-USDT', 'another'")

    assert await compare_stored(store, results(), 0) == Stored(rows=5, surplus=1)
    assert await compare_stored(store, results(), 10**13) == Stored(rows=5)


async def test_one_result_in_two_rows_is_surplus(store: StoreQuery, settings: Settings) -> None:
    """The same id with another time would be two rows under FINAL."""
    await insert(settings, "signals", VALUES["signals"].replace("Nano(1)", "Nano(2)"))

    assert await compare_stored(store, results(), 0) == Stored(rows=5, surplus=1)


async def test_a_missed_episode_is_explained_by_its_outcomes(store: StoreQuery) -> None:
    """The rejection ledger says what its directions came to in its seconds."""
    episode = Episode(0, "BTC-USDT", "bybit:perp", S + 1, S + 2, "signal", (PERPS,))
    elsewhere = Episode(1, "BTC-USDT", "bybit:perp", 9 * S, 9 * S, "signal", (PERPS,))

    assert await why_missed(store, episode) == "no_edge 3, signal 1"
    assert await why_missed(store, elsewhere) == "nothing was evaluated in its seconds"


async def test_what_clickhouse_refuses_is_said(store: StoreQuery) -> None:
    """With its own words; counting gives none instead."""
    with pytest.raises(StoreError, match="UNKNOWN_TABLE"):
        await store.number("SELECT count() FROM nothing")
    assert await store.count_or_none("SELECT count() FROM nothing") is None


async def test_a_store_that_is_away_is_said() -> None:
    """The address is in the line."""
    address = f"http://127.0.0.1:{free_ports(1)[0]}"
    store = StoreQuery(load_settings(clickhouse_url=address))
    with pytest.raises(StoreError, match=address):
        await asyncio.wait_for(store.number("SELECT 1"), 10)
    await store.close()
