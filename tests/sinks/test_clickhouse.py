"""The store on a real engine: rows come back as they went in, repetitions are nothing, errors mean what they say."""

import asyncio
import json
import socket
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import psutil
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError, DataError, OperationalError, ProgrammingError

from mts_stream.clickhouse.runner import apply_migrations, migrate
from mts_stream.errors import StoreError
from mts_stream.settings import Settings, load_settings
from mts_stream.sinks.batching import Batch
from mts_stream.sinks.clickhouse import CONNECTIONS_MAX, RowsRefusedError, Store, StoreUnavailableError
from mts_stream.sinks.rows import COLUMNS, rows_of
from mts_stream.sinks.writer import Writer
from mts_stream.wire import topics
from tests.sinks import messages


@pytest.fixture
async def settings(clickhouse: str) -> Settings:
    """A migrated database of the test's own."""
    settings = load_settings(clickhouse_url=clickhouse, clickhouse_database=f"t_{uuid.uuid4().hex[:12]}")
    await migrate(settings)
    return settings


@pytest.fixture
async def store(settings: Settings) -> AsyncIterator[Store]:
    """A store of that database."""
    store = Store(settings)
    yield store
    await store.close()


async def put(store: Store, topic: str, *given: dict[str, object], first: int = 0) -> list[dict[str, object]]:
    """Store messages through the writer; the dead letters that came of it."""
    letters: list[dict[str, object]] = []

    async def prepare(_: Store) -> None:
        """The tables stand."""

    async def send(value: bytes) -> None:
        letters.append(json.loads(value))

    writer = Writer(store, prepare=prepare, send_dead_letter=send, retry_max_s=1)
    deliveries = [messages.delivery(message, offset=first + n, partition=4) for n, message in enumerate(given)]
    await writer.store(Batch(topic, tuple(deliveries)), "abc")
    return letters


async def count(store: Store, table: str, final: str = "FINAL") -> int:
    """The rows of a table."""
    ((rows,),) = await store.query(f"SELECT count() FROM {table} {final}")
    return int(rows)


async def test_every_kind_of_message_is_a_row_of_its_table(store: Store) -> None:
    """Messages of a capture and one of every other kind: nothing refused, nothing missing."""
    arbitrages, others = messages.arbitrage(), messages.signals()[3:]
    assert await put(store, topics.SIGNALS, *arbitrages, *others) == []
    assert await put(store, topics.SPREADS, *messages.windows()) == []
    assert await put(store, topics.FUNDING, messages.funding_change(1), messages.funding_change(2)) == []
    assert await put(store, topics.QUALITY, messages.book_quality(), messages.connection_quality()) == []

    assert await count(store, "signals") == len({m["id"] for m in arbitrages}) + len(others)
    assert await count(store, "opportunity_events") == len(arbitrages)
    assert await count(store, "opportunities") == len({m["opportunity_id"] for m in arbitrages})
    assert await count(store, "spreads_1s") == len(messages.windows())
    assert (await count(store, "funding_rates"), await count(store, "feed_quality")) == (2, 2)


async def test_numbers_and_times_come_back_to_the_last_digit(store: Store) -> None:
    """Decimals exactly, times to the nanosecond, counts as maps, absent as null."""
    await put(store, topics.FUNDING, messages.funding_change(7))
    row = messages.windows()[0]
    await put(store, topics.SPREADS, row)

    ((rate, time_ns, next_time),) = await store.query(
        "SELECT rate, toUnixTimestamp64Nano(event_time), next_funding_time FROM funding_rates"
    )
    ((edge, start, outcomes),) = await store.query("SELECT edge_mean_bps, window_start, outcomes FROM spreads_1s")
    assert (rate, time_ns, next_time) == (Decimal("-0.000125"), messages.START_NS + 7, None)
    assert edge == Decimal(row["edge_mean_bps"])
    assert start == datetime.fromtimestamp(row["window_start_ns"] // 10**9, UTC)
    assert outcomes == row["outcomes"]


async def test_quality_comes_back_by_its_columns(store: Store) -> None:
    """Of both types in one table: shares and latencies as decimals, an offset below 0, counts by name."""
    await put(store, topics.QUALITY, messages.book_quality(), messages.connection_quality())

    ((percent, gaps, latest, offset),) = await store.query(
        "SELECT valid_percent, gaps, latency_max_ms, clock_offset_ms FROM feed_quality WHERE type = 'book'"
    )
    assert (percent, gaps, latest, offset) == (Decimal("98.3333"), 1, Decimal(120), None)
    ((offset, corrected, reported, resyncs, records),) = await store.query(
        "SELECT clock_offset_ms, latency_corrected_p50_ms, rest_weight_reported, resyncs_by_reason, records"
        " FROM feed_quality WHERE type = 'connection'"
    )
    assert (offset, corrected, reported) == (Decimal("-1270.5"), Decimal(-1258), None)
    assert (resyncs, records) == ({"gap": 1}, None)


async def test_a_column_that_a_migration_adds_is_known_at_the_next_insert(store: Store) -> None:
    """The sink has stored before it migrates, the list of migrations at least; a column that lacks is named."""
    await put(store, topics.FUNDING, messages.funding_change(1))
    columns, row = (*COLUMNS["funding_rates"], "note"), messages.delivery(messages.funding_change(2))
    values = [(*rows_of(topics.FUNDING, row)[0].values, "x")]
    with pytest.raises(StoreError, match="funding_rates has no column note; run `mts-stream migrate`"):
        await store.insert("funding_rates", columns, values, "t")
    await store.command("ALTER TABLE funding_rates ADD COLUMN note String")
    await store.insert("funding_rates", columns, values, "t")

    assert await store.query("SELECT note FROM funding_rates ORDER BY note") == [("",), ("x",)]


async def test_what_migrates_a_new_database_stores_into_it(clickhouse: str) -> None:
    """One store for both, as in the sink: it notes each migration, and tables change after that."""
    store = Store(load_settings(clickhouse_url=clickhouse, clickhouse_database=f"t_{uuid.uuid4().hex[:12]}"))
    try:
        await apply_migrations(store)
        assert await put(store, topics.QUALITY, messages.book_quality(), messages.connection_quality()) == []
        assert await count(store, "feed_quality") == 2
    finally:
        await store.close()


async def test_a_message_stored_twice_is_one_row(store: Store) -> None:
    """The same insert again is dropped by its token; another batch with the same messages by their natural keys."""
    given = messages.arbitrage()[:6]
    for _ in range(2):
        await put(store, topics.SIGNALS, *given)
    assert await count(store, "signals", final="") == 6

    await put(store, topics.SIGNALS, *given[2:], first=2)
    assert await count(store, "signals", final="") == 10
    for table in ("signals", "opportunity_events"):
        assert await count(store, table) == 6


async def test_an_opportunity_stands_at_its_latest_event_whatever_the_order(store: Store) -> None:
    """A late repetition of its opening does not open it again."""
    closed = messages.of_type("arbitrage.closed")
    opened = next(m for m in messages.arbitrage() if m["opportunity_id"] == closed["opportunity_id"])
    await put(store, topics.SIGNALS, closed, first=9)
    await put(store, topics.SIGNALS, opened, first=99)

    found = await store.query("SELECT state, reason, toUnixTimestamp64Nano(opened_time) FROM opportunities FINAL")
    assert found == [("closed", closed["reason"], opened["event_time_ns"])]


async def test_the_view_shows_each_opportunity_once_at_its_best(store: Store) -> None:
    """Net profit of the best event, prices of the walk, percent of the notional."""
    given = messages.arbitrage()
    await put(store, topics.SIGNALS, *given)
    best: dict[str, messages.Message] = {}
    for message in given:
        kept = best.get(message["opportunity_id"])
        if kept is None or Decimal(message["net_usd"]) > Decimal(kept["net_usd"]):
            best[message["opportunity_id"]] = message

    found = await store.query(
        "SELECT symbol, exchange_buy, exchange_sell, buy_price, sell_price, profit_usd, profit_percentage, "
        "toUnixTimestamp64Nano(timestamp) FROM arbitrage_opportunities"
    )
    assert len(found) == len(best)
    assert set(found) == {
        (
            m["pair"], m["legs"][0]["venue"], m["legs"][1]["venue"],
            Decimal(m["legs"][0]["average_price"]), Decimal(m["legs"][1]["average_price"]),
            Decimal(m["net_usd"]), Decimal(m["net_bps"]) / 100, m["event_time_ns"],
        )
        for m in best.values()
    }  # fmt: skip


async def test_the_refusals_add_up_to_the_evaluations(store: Store) -> None:
    """`Why no signal` is answered from the same windows."""
    await put(store, topics.SPREADS, *messages.windows())

    ((evaluations,),) = await store.query("SELECT sum(evaluations) FROM spreads_1s FINAL")
    by_outcome = dict(await store.query("SELECT outcome, sum(evaluations) FROM rejections_1s GROUP BY outcome"))
    assert sum(by_outcome.values()) == evaluations == sum(row["evaluations"] for row in messages.windows())


async def test_a_number_that_the_column_has_no_room_for_is_refused_alone(store: Store) -> None:
    """The message goes to the dead letters with the reason; the rest of its batch is stored."""
    rows = messages.windows()[:5]
    rows[3] = rows[3] | {"valid_ms": 2**40}
    letters = await put(store, topics.SPREADS, *rows)

    assert [(letter["reason"], letter["offset"]) for letter in letters] == [("store_refused", 3)]
    assert await count(store, "spreads_1s") == 4


async def test_a_refused_message_leaves_no_row_in_any_table(store: Store) -> None:
    """A signal whose opportunity cannot be stored is not stored either; the rest of its batch is."""
    given = messages.arbitrage()[:4]
    given[2] = given[2] | {"event": 2**40}
    letters = await put(store, topics.SIGNALS, *given)

    assert [(letter["reason"], letter["offset"]) for letter in letters] == [("store_refused", 2)]
    for table in ("signals", "opportunity_events"):
        assert await count(store, table) == 3, table


async def test_many_at_once_share_a_few_connections(settings: Settings, store: Store) -> None:
    """One client for the process, whose connections are bounded and stay for the next statements."""
    port = urlsplit(settings.clickhouse_url).port

    def connected() -> set[Any]:
        connections = psutil.Process().net_connections("tcp")
        return {
            each.laddr
            for each in connections
            if each.raddr and each.raddr.port == port and each.status == psutil.CONN_ESTABLISHED
        }

    # What the fixtures opened, and may still hold, is not this client's.
    others = connected()
    many = Store(settings)
    try:
        await asyncio.gather(*(many.query("SELECT sleep(0.05)") for _ in range(4 * CONNECTIONS_MAX)))
        assert 1 < len(connected() - others) <= CONNECTIONS_MAX
    finally:
        await many.close()


async def test_an_insert_that_takes_too_long_is_given_up(settings: Settings, store: Store) -> None:
    """After CLICKHOUSE_TIMEOUT_S: it may have been stored, so it is sent again with the same token."""
    hasty = Store(settings.model_copy(update={"clickhouse_timeout_s": 1.0}))
    try:
        with pytest.raises(StoreUnavailableError):
            await hasty.command("SELECT sleep(3)")
    finally:
        await hasty.close()


async def test_a_server_that_is_not_there_is_unavailable() -> None:
    """Waiting may help; the error names the address and its setting."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    store = Store(load_settings(clickhouse_url=f"http://127.0.0.1:{port}"))

    with pytest.raises(StoreUnavailableError, match=rf"ClickHouse at http://127.0.0.1:{port} \(CLICKHOUSE_URL\)"):
        await store.command("SELECT 1")
    await store.close()


async def test_a_missing_table_is_not_waited_for(store: Store, settings: Settings) -> None:
    """Not the row's fault and not a passing trouble: whoever runs it must act."""
    rows = [row.values for row in rows_of(topics.FUNDING, messages.delivery(messages.funding_change()))]
    with pytest.raises(StoreError, match="does not exist; run `mts-stream migrate`") as missing:
        await store.insert("nothing_here", COLUMNS["funding_rates"], rows, "t")
    assert type(missing.value) is StoreError

    await store.insert("funding_rates", COLUMNS["funding_rates"], rows, "t1")
    await store.command("DROP TABLE funding_rates SYNC")
    with pytest.raises(StoreError) as dropped:
        await store.insert("funding_rates", COLUMNS["funding_rates"], rows, "t2")
    assert type(dropped.value) is StoreError


async def test_a_value_of_another_type_is_the_rows_fault(store: Store) -> None:
    """The client cannot encode it, so nothing was sent."""
    columns = COLUMNS["funding_rates"]
    row = list(rows_of(topics.FUNDING, messages.delivery(messages.funding_change()))[0].values)
    row[columns.index("rate")] = "no number"

    with pytest.raises(RowsRefusedError):
        await store.insert("funding_rates", columns, [row], "t")


async def test_a_store_that_was_closed_refuses_no_row(store: Store) -> None:
    """At the end of the process an insert may come too late: its rows are read again, not dead letters."""
    await store.close()

    with pytest.raises(StoreUnavailableError, match="this process ends"):
        await store.command("SELECT 1")


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        (OperationalError("x", code=252), StoreUnavailableError),
        (OperationalError("x", code=241), StoreUnavailableError),
        (DatabaseError("x", code=999999), StoreUnavailableError),
        (ProgrammingError("the client may have been closed"), StoreUnavailableError),
        (aiohttp.ServerDisconnectedError(), StoreUnavailableError),
        (TimeoutError(), StoreUnavailableError),
        (ConnectionResetError(), StoreUnavailableError),
        (aiohttp.InvalidURL("x"), StoreUnavailableError),
        (DatabaseError("x", code=53), RowsRefusedError),
        (DataError("x"), RowsRefusedError),
        (OverflowError("x"), RowsRefusedError),
        (DatabaseError("x", code=60), StoreError),
        (DatabaseError("x", code=516), StoreError),
        (KeyError("x"), StoreError),
    ],
    ids=repr,
)
def test_an_error_is_a_reason_to_wait_to_refuse_or_to_end(error: Exception, meaning: type[StoreError]) -> None:
    """When in doubt it waits: waiting loses nothing, a dead letter is a row less."""
    assert type(Store(load_settings())._translated(error, of_rows=True)) is meaning


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        (DataError("an answer that cannot be read"), StoreUnavailableError),
        (ValueError("an answer that cannot be read"), StoreUnavailableError),
        (DatabaseError("a migration that compares a number with a text", code=53), StoreError),
    ],
    ids=repr,
)
def test_only_an_insert_says_anything_about_its_rows(error: Exception, meaning: type[StoreError]) -> None:
    """What goes wrong with the connection, the columns' types or a migration on its way makes no dead letter."""
    assert type(Store(load_settings())._translated(error)) is meaning
