"""What every unmodified client must be able to do, on the gateway as on a server."""

import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.clickhouse.asking import ask
from tests.clients.adapters import Client, RefusedError, Server, plain
from tests.clients.conftest import CLIENTS, connected

COLUMNS = {
    "id": "Int64", "at": "DateTime64(6, 'UTC')", "price": "Decimal(38, 18)", "name": "LowCardinality(String)",
    "score": "Nullable(Float64)", "tags": "Array(String)", "counts": "Map(String, UInt32)",
}  # fmt: skip
BEGIN = datetime(2026, 11, 30, 1, 2, 3, 456789, tzinfo=UTC)
ROWS = 500
HALF_WAY = "SELECT throwIf(number = 90000), number FROM numbers(100001) SETTINGS max_block_size = 1000"


def row(number: int) -> list[Any]:
    """Every kind of value that our tables have, with what needs escaping."""
    price, score = Decimal(f"{number}.000000000000000001"), None if number % 5 == 0 else number + 0.25
    tags, counts = [f"{number}", "it's"][: number % 3], {"no_edge": number, "ü": 1}
    return [number, BEGIN + timedelta(microseconds=number), price, f"a'b\\{number % 3}\n\t\"", score, tags, counts]


@pytest.fixture
def table(server: Server) -> str:
    """A new table in the server's database."""
    name = f"t_{secrets.token_hex(4)}"
    columns = ", ".join(f"{column} {kind}" for column, kind in COLUMNS.items())
    engine = "ReplacingMergeTree ORDER BY id SETTINGS non_replicated_deduplication_window = 100"
    tell(server, f"CREATE TABLE {name} ({columns}) ENGINE = {engine}")
    return name


@pytest.fixture(params=CLIENTS)
def reader(request: pytest.FixtureRequest, server: Server, is_given: bool) -> Iterator[Client]:
    """Each client as `mts_reader`, who may only read; a server of somebody's own need not know that user."""
    if is_given:
        pytest.skip("the bounds of mts_reader are tried on the gateway")
    yield from connected(request, replace(server, user="mts_reader"))


def tell(server: Server, sql: str) -> str:
    """Ask the server beside the client."""
    return ask(server.url, sql, server.database, server.user, server.password)


def counted(server: Server, table: str) -> int:
    """How many rows a table has."""
    return int(tell(server, f"SELECT count() FROM {table}"))


def test_what_a_client_writes_it_reads(client: Client, server: Server, table: str) -> None:
    """Every kind of value comes back as it went in, to the last digit; the server has it so, too."""
    rows = [row(number) for number in range(1, ROWS + 1)]
    client.write(table, list(COLUMNS), rows)
    found = client.read(f"SELECT * FROM {table} ORDER BY id")

    assert plain(found) == plain(rows)
    sums = "sum(id), min(at), sum(price), uniqExact(name), countIf(score IS NULL), sum(counts['no_edge'])"
    total = ROWS * (ROWS + 1) // 2
    begun, cents = plain(BEGIN + timedelta(microseconds=1)), "0000000000000005"  # ROWS times the last digit
    expected = [total, begun, f"{total}.{cents}", 3, ROWS // 5, total]
    assert tell(server, f"SELECT {sums} FROM {table}").split() == " ".join(map(str, expected)).split()


def test_parameters_are_typed_and_no_part_of_the_statement(client: Client) -> None:
    """A value stands for itself, whatever is in it."""
    text = 'it\'s \\ a "thing"; DROP TABLE x'
    found = client.read("SELECT {x:String} AS x, {n:Int64} + 1 AS n", {"x": text, "n": 41})

    assert plain(found) == [[text, "42"]]


def test_settings_are_one_requests(client: Client) -> None:
    """A setting by the client's own means holds for its query and not for the next."""
    seen = "SELECT getSetting('max_block_size') AS s"

    assert plain(client.read(seen, settings={"max_block_size": 1234})) == [["1234"]]
    assert plain(client.read(seen)) != [["1234"]]


@pytest.mark.parametrize(
    ("sql", "code"), [("SELEC 1", 62), ("SELECT * FROM nowhere", 60), ("SELECT nothing", 47), (HALF_WAY, 395)]
)
def test_a_failure_has_its_code_and_leaves_nothing_behind(client: Client, sql: str, code: int) -> None:
    """The client knows why, and its next answer is its own."""
    for _ in range(3):
        with pytest.raises(RefusedError) as refusal:
            client.read(sql)
        assert refusal.value.code == code
        assert plain(client.read("SELECT 9 AS a, 3 AS b")) == [["9", "3"]]


def test_a_large_answer_arrives_whole(client: Client) -> None:
    """A hundred thousand rows, none twice and none missing."""
    found = client.read("SELECT number FROM numbers(100000)")

    assert sorted(int(number) for (number,) in found) == list(range(100_000))


def test_a_repeated_insert_is_stored_once(client: Client, server: Server, table: str) -> None:
    """insert_deduplication_token absorbs the second of two; the next one is stored."""
    for token in ("a", "a", "b"):
        settings = {"insert_deduplication_token": token, "async_insert": 0}
        client.write(table, list(COLUMNS), [row(1), row(2)], settings)

    assert counted(server, table) == 4


def test_a_row_that_does_not_fit_stores_none(client: Client, server: Server, table: str) -> None:
    """The insert fails as a whole, at the client or at the server."""
    with pytest.raises(Exception, match=r".+"):
        client.write(table, list(COLUMNS), [row(1), ["x", *row(2)[1:]]])

    assert counted(server, table) == 0


def test_clients_do_not_disturb_each_other(request: pytest.FixtureRequest, server: Server) -> None:
    """All at once, failing queries among them: each gets its own answers."""
    kinds = [name for name in CLIENTS if name not in ("javascript", "curl")]
    clients = [CLIENTS[name](server) for name in kinds]

    def own_answers(number: int) -> bool:
        client, good = clients[number], True
        for turn in range(15):
            if turn % 3 == 0:
                with pytest.raises(RefusedError):
                    client.read(HALF_WAY)
            good = good and plain(client.read(f"SELECT {number} AS a, {turn} AS b")) == [[str(number), str(turn)]]
        return good

    with ThreadPoolExecutor(len(clients)) as pool:
        assert all(pool.map(own_answers, range(len(clients))))
    for client in clients:
        client.close()


def test_the_reader_only_reads(reader: Client, server: Server, table: str) -> None:
    """mts_reader's writes are refused, and so is an answer beyond its bounds."""
    tell(server, f"INSERT INTO {table} (id) VALUES (1)")

    assert plain(reader.read(f"SELECT count() AS n FROM {table}")) == [["1"]]
    for sql, code in ((f"DROP TABLE {table}", 164), ("SELECT number FROM numbers(1000001)", 396)):
        with pytest.raises(RefusedError) as refusal:
            reader.read(sql)
        assert refusal.value.code == code
    with pytest.raises(Exception, match=r".+"):
        reader.write(table, list(COLUMNS), [row(1)])
    assert counted(server, table) == 1
