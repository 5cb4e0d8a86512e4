"""Unmodified clickhouse-connect, sync and async, against the gateway."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import clickhouse_connect
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

COLUMNS = ["id", "at", "price", "name"]
TYPES = ["Int64", "DateTime64(3, 'UTC')", "Decimal(38, 18)", "LowCardinality(String)"]
AT = datetime(2026, 11, 23, 1, 2, 3, 456000, tzinfo=UTC)


def rows(count: int, first: int = 0) -> list[list[Any]]:
    """So many rows with every kind of value that the sink writes, and names that need escaping."""
    return [
        [number, AT, Decimal("12345.000000000000000001"), f"a'b\\{number % 3}\n\0"]
        for number in range(first, first + count)
    ]


@pytest.fixture(params=[True, False, "gzip", "zstd"])
def client(clickhouse: str, request: pytest.FixtureRequest) -> Iterator[Any]:
    """A sync client, with each way to compress."""
    address = urlsplit(clickhouse)
    client = clickhouse_connect.get_client(host=address.hostname or "", port=address.port or 0, compress=request.param)
    yield client
    client.close()


@pytest.fixture
async def async_client(clickhouse: str) -> AsyncIterator[Any]:
    """An async client, as the sink uses it."""
    address = urlsplit(clickhouse)
    client = await clickhouse_connect.get_async_client(host=address.hostname or "", port=address.port or 0)
    yield client
    await client.close()


@pytest.fixture
def table(clickhouse: str) -> str:
    """The name of a new table, and how it is made."""
    return f"c_{uuid.uuid4().hex}"


def create(table: str) -> str:
    """The statement that makes a table like the sink's."""
    columns = ", ".join(f"{name} {kind}" for name, kind in zip(COLUMNS, TYPES, strict=True))
    engine = "ReplacingMergeTree ORDER BY id SETTINGS non_replicated_deduplication_window = 1000"
    return f"CREATE TABLE {table} ({columns}) ENGINE = {engine}"


def test_what_a_sync_client_writes_it_reads(client: Any, table: str) -> None:
    """Rows come back as they went in, whatever the compression."""
    client.command(create(table))
    summary = client.insert(table, rows(3000), column_names=COLUMNS)
    found = client.query(f"SELECT * FROM {table} ORDER BY id", tz_mode="aware").result_rows

    assert summary.written_rows == 3000
    assert [list(row) for row in found] == rows(3000)


def test_parameters_are_not_part_of_the_statement(client: Any) -> None:
    """Quotes, backslashes and line ends in a parameter arrive as they are."""
    text = 'it\'s \\ a\n\t"thing"; DROP TABLE x'
    found = client.query(
        "SELECT {text:String}, {at:DateTime}", parameters={"text": text, "at": AT.replace(microsecond=0)}
    )

    assert found.result_rows[0][0] == text


def test_large_results_arrive_whole(client: Any) -> None:
    """A result of many blocks arrives whole, as rows and as a stream of blocks."""
    sql = "SELECT number, toString(number) FROM numbers(200000)"
    with client.query_row_block_stream(sql) as stream:
        streamed = sum(len(block) for block in stream)

    assert (client.query(sql).row_count, streamed) == (200_000, 200_000)


def test_errors_arrive_with_their_code_and_leak_nothing(client: Any) -> None:
    """A query that fails half-way has a code, and none of its rows come with a later answer."""
    for _ in range(5):
        with pytest.raises(DatabaseError) as failure:
            client.query("SELECT throwIf(number = 90000), number FROM numbers(100001)")
        assert failure.value.code == 395
        assert client.query("SELECT 9, 3").result_rows == [(9, 3)]


def test_raw_and_form_encoded_queries(clickhouse: str, table: str) -> None:
    """raw_query, raw_insert and form-encoded parameters are served."""
    address = urlsplit(clickhouse)
    client = clickhouse_connect.get_client(
        host=address.hostname or "", port=address.port or 0, form_encode_query_params=True
    )
    client.command(f"CREATE TABLE {table} (a Int64) ENGINE = Memory")
    client.raw_insert(table, ["a"], b'{"a":1}\n{"a":2}\n', fmt="JSONEachRow")

    assert client.raw_query(f"SELECT sum(a) FROM {table}", fmt="CSV") == b"3\n"
    assert client.query("SELECT {x:String}", parameters={"x": "a'b" * 3000}).result_rows == [("a'b" * 3000,)]
    client.close()


async def test_an_async_client_inserts_once_per_token(async_client: Any, table: str) -> None:
    """Batches with tokens, sent twice and side by side, are stored once."""
    await async_client.command(create(table))
    settings = [{"insert_deduplication_token": f"mts.raw-0-{first}", "async_insert": 0} for first in range(10)]
    inserts = [
        async_client.insert(table, rows(100, 100 * at), column_names=COLUMNS, column_type_names=TYPES, settings=each)
        for at, each in enumerate(settings)
        for _ in range(2)
    ]
    await asyncio.gather(*inserts)

    assert (await async_client.query(f"SELECT count() FROM {table}")).result_rows == [(1000,)]


async def test_many_queries_at_once_get_their_own_answers(async_client: Any) -> None:
    """Answers of concurrent queries, failing ones among them, do not mix."""

    async def ask(number: int) -> int:
        if number % 5 == 0:
            with pytest.raises(DatabaseError):
                await async_client.query(f"SELECT throwIf(number = 60000, '{number}'), number FROM numbers(70000)")
        answer = (await async_client.query(f"SELECT {number}")).result_rows
        assert len(answer) == 1
        return int(answer[0][0])

    assert await asyncio.gather(*(ask(number) for number in range(40))) == list(range(40))


READER_REFUSED = [
    "INSERT INTO {table} VALUES (1, now(), 1, 'x')",
    "DROP TABLE {table}",
    "ALTER TABLE {table} DELETE WHERE 1",
    "CREATE TABLE reader_made (a Int8) ENGINE = Memory",
    "SYSTEM STOP MERGES",
    "SYSTEM SHUTDOWN",
    "KILL QUERY WHERE 1",
    "SET readonly = 0",
    "SELECT 1 SETTINGS max_threads = 1",
    "SELECT 1; DROP TABLE {table}",
    "SELECT 1 INTO OUTFILE '/tmp/mts-reader-was-here'",
    "SELECT file('/etc/hostname')",
    "SELECT * FROM file('/etc/hostname', LineAsString)",
    "SELECT * FROM `file` ('/etc/hostname')",
    "SELECT * FROM url('http://127.0.0.1:1/', LineAsString)",
    "SELECT * FROM s3('http://127.0.0.1:1/bucket/key')",
    "SELECT * FROM remote('127.0.0.1', system.one)",
    "SELECT * FROM executable('cat /etc/hostname', 'TSV', 'x String')",
    "SELECT * FROM Python(os)",
    "WITH x AS (SELECT 1) INSERT INTO {table} SELECT 1, now(), 1, 'x'",
]


def test_the_reader_reads_and_does_nothing_else(client: Any, clickhouse: str, table: str) -> None:
    """mts_reader sees the tables within its bounds; every way to write, reach out or read files is refused."""
    client.command(create(table))
    client.insert(table, rows(10), column_names=COLUMNS)
    address = urlsplit(clickhouse)
    reader = clickhouse_connect.get_client(host=address.hostname or "", port=address.port or 0, username="mts_reader")

    assert reader.query(f"SELECT count() FROM {table}").result_rows == [(10,)]
    for statement in READER_REFUSED:
        with pytest.raises(DatabaseError) as refusal:
            reader.query(statement.format(table=table))
        assert refusal.value.code in (48, 62, 164), statement
    with pytest.raises(DatabaseError) as refusal:
        reader.query("SELECT number FROM numbers(1000001)")
    assert refusal.value.code == 396
    assert client.query(f"SELECT count() FROM {table}").result_rows == [(10,)]
    reader.close()
