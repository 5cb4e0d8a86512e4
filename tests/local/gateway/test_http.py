"""The gateway over raw HTTP and curl: requests of every shape, errors as ClickHouse gives them."""

import gzip
import json
import shutil
import subprocess
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlencode

import lz4.frame
import pytest
import zstandard

TIMEOUT_S = 60
Pack = Callable[[bytes], bytes]


@dataclass(frozen=True)
class Answer:
    """An HTTP answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text without the last line end."""
        return self.body.decode().rstrip("\n")


def send(url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None, **arguments: str) -> Answer:
    """GET, or POST when there is a body."""
    address = f"{url}/?{urlencode(arguments, quote_via=quote)}"
    request = urllib.request.Request(address, data=body, headers=dict(headers or {}))
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
            return Answer(answer.status, answer.headers, answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.headers, error.read())


@pytest.fixture
def table(clickhouse: str) -> str:
    """A new table with a deduplication window."""
    name = f"t_{uuid.uuid4().hex}"
    engine = "MergeTree ORDER BY a SETTINGS non_replicated_deduplication_window = 100"
    sql = f"CREATE TABLE {name} (a Int64, s String) ENGINE = {engine}"
    assert send(clickhouse, sql.encode()).status == 200
    return name


def test_ping_and_an_empty_get_say_ok(clickhouse: str) -> None:
    """Health checks of ClickHouse's kind are answered."""
    with urllib.request.urlopen(f"{clickhouse}/ping", timeout=TIMEOUT_S) as answer:
        assert answer.read() == b"Ok.\n"
    assert send(clickhouse).text == "Ok."


def test_an_empty_post_is_a_syntax_error(clickhouse: str) -> None:
    """A POST without a query is refused."""
    assert send(clickhouse, b" ").headers["X-ClickHouse-Exception-Code"] == "62"


def test_the_query_may_stand_in_the_address_the_body_or_both(clickhouse: str, table: str) -> None:
    """Address, body, and address with the data in the body give the same."""
    assert send(clickhouse, query="SELECT 1 + 1").text == "2"
    assert send(clickhouse, b"SELECT 1 + 1").text == "2"
    assert send(clickhouse, b"1,one\n2,two\n", query=f"INSERT INTO {table} FORMAT CSV").status == 200
    assert send(clickhouse, b"(3, 'three')", query=f"INSERT INTO {table} VALUES").status == 200
    assert send(clickhouse, f"INSERT INTO {table} FORMAT JSONEachRow\n".encode() + b'{"a":4,"s":"four"}').status == 200
    assert send(clickhouse, f"INSERT INTO {table} VALUES (5, 'five;')".encode()).status == 200
    rows = send(clickhouse, query=f"SELECT * FROM {table} ORDER BY a FORMAT CSV").text
    assert rows == '1,"one"\n2,"two"\n3,"three"\n4,"four"\n5,"five;"'


def test_the_query_may_stand_in_a_multipart_form(clickhouse: str) -> None:
    """A form with fields `query` and `param_*` is a query with parameters."""
    fields = {"query": "SELECT {x:String}", "param_x": "a'b\\\\c", "default_format": "JSONCompact"}
    parts = [
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in fields.items()
    ]
    body = ("".join(parts) + "--b--\r\n").encode()
    answer = send(clickhouse, body, {"Content-Type": "multipart/form-data; boundary=b"})

    assert json.loads(answer.body)["data"] == [["a'b\\c"]]


@pytest.mark.parametrize(
    ("disposition", "status"),
    [('name="query"; filename="x"', 501), ("", 501)],
)
def test_files_in_a_form_are_refused(clickhouse: str, disposition: str, status: int) -> None:
    """External tables are not served, and that is said."""
    body = f"--b\r\nContent-Disposition: form-data; {disposition}\r\n\r\nx\r\n--b--\r\n".encode()

    assert send(clickhouse, body, {"Content-Type": "multipart/form-data; boundary=b"}).status == status


def test_parameters_settings_database_and_format_come_by_the_address(clickhouse: str) -> None:
    """param_*, settings, database and default_format are as at a server."""
    answer = send(
        clickhouse,
        query="SELECT {x:Int32} AS x, currentDatabase() AS d, getSetting('max_block_size') AS b",
        param_x="7",
        database="system",
        max_block_size="123",
        default_format="JSONEachRow",
    )

    assert json.loads(answer.body) == {"x": 7, "d": "system", "b": 123}
    assert answer.headers["X-ClickHouse-Format"] == "JSONEachRow"
    assert answer.headers["Content-Type"].startswith("application/x-ndjson")


@pytest.mark.parametrize(
    ("sql", "value", "text"),
    [
        ("SELECT {x:Int64} + 1", "41", "42"),
        ("SELECT {x:Array(String)}[2]", "['a','b\\'c']", "b\\'c"),
        ("SELECT {x:Nullable(Int8)} IS NULL", "\\N", "1"),
        ("SELECT {x:Decimal(38, 18)}", "0.000000000000000001", "0.000000000000000001"),
        ("SELECT {x:DateTime64(9, 'UTC')}", "2026-11-30 01:02:03.123456789", "2026-11-30 01:02:03.123456789"),
        ("SELECT {x:Map(String, UInt8)}['k']", "{'k':7}", "7"),
        ("SELECT count() FROM system.{x:Identifier}", "one", "1"),
        ("SELECT {x:String}", "'; DROP TABLE t; --", "\\'; DROP TABLE t; --"),
    ],
)
def test_parameters_have_types(clickhouse: str, sql: str, value: str, text: str) -> None:
    """{name:Type} takes its value from param_name, by the rules of the type."""
    assert send(clickhouse, sql.encode(), param_x=value).text == text


def test_a_parameter_that_lacks_or_does_not_fit_is_refused(clickhouse: str) -> None:
    """The code says which of both."""
    assert send(clickhouse, b"SELECT {x:Int8}").headers["X-ClickHouse-Exception-Code"] == "456"
    assert send(clickhouse, b"SELECT {x:Int8}", param_x="y").headers["X-ClickHouse-Exception-Code"] == "457"


def test_a_writer_may_ask_to_only_read(clickhouse: str, table: str) -> None:
    """readonly by the address holds for that request alone."""
    for value in ("1", "2"):
        refusal = send(clickhouse, f"INSERT INTO {table} VALUES (1, 'x')".encode(), readonly=value)
        assert (refusal.status, refusal.headers["X-ClickHouse-Exception-Code"]) == (403, "164")
    for _ in range(6):  # whichever connection they come to
        assert send(clickhouse, f"INSERT INTO {table} VALUES (1, 'x')".encode()).status == 200


def test_settings_and_databases_do_not_stay_on_a_connection(clickhouse: str) -> None:
    """What one request sets, by address or by statement, the next one does not see."""
    probe = "SELECT getSetting('max_block_size'), currentDatabase()"
    before = send(clickhouse, query=probe).text
    send(clickhouse, query=probe, max_block_size="99", database="system")
    send(clickhouse, b"SET max_block_size = 98")
    send(clickhouse, b"USE system")
    send(clickhouse, b"CREATE TEMPORARY TABLE left_over (a Int8)")

    assert send(clickhouse, query=probe).text == before
    assert send(clickhouse, query="SELECT * FROM left_over").status == 404


def test_headers_name_the_query_the_server_and_its_figures(clickhouse: str) -> None:
    """X-ClickHouse-* headers are there, and the summary counts what was read."""
    answer = send(clickhouse, query="SELECT number FROM numbers(10)", query_id="mine")

    assert answer.headers["X-ClickHouse-Query-Id"] == "mine"
    assert answer.headers["X-ClickHouse-Timezone"]
    assert answer.headers["X-ClickHouse-Server-Display-Name"] == "mts-gateway"
    assert json.loads(answer.headers["X-ClickHouse-Summary"])["read_rows"] == "10"


@pytest.mark.parametrize(
    ("query", "code", "status"),
    [
        ("SELEC 1", 62, 400),
        ("SELECT * FROM nowhere", 60, 404),
        ("SELECT * FROM nowhere.t", 81, 404),
        ("SELECT nothing", 47, 404),
        ("SELECT throwIf(1)", 395, 500),
        ("SELECT 1 FORMAT Nonsense", 73, 404),
    ],
)
def test_errors_have_clickhouses_code_and_a_status(clickhouse: str, query: str, code: int, status: int) -> None:
    """A failed query says why by number, text and HTTP status."""
    answer = send(clickhouse, query.encode())

    assert answer.headers["X-ClickHouse-Exception-Code"] == str(code)
    assert answer.text.startswith(f"Code: {code}. DB::Exception: ")
    assert answer.status == status


def test_wrong_settings_are_refused(clickhouse: str) -> None:
    """An unknown setting and an impossible value are errors, and later queries are not touched by them."""
    assert send(clickhouse, query="SELECT 1", max_treads="1").headers["X-ClickHouse-Exception-Code"] == "115"
    assert send(clickhouse, query="SELECT 1", max_threads="many").status >= 400
    assert send(clickhouse, query="SELECT 1").text == "1"


def test_a_query_past_its_time_is_ended(clickhouse: str) -> None:
    """max_execution_time is kept: 159 with HTTP 408."""
    answer = send(clickhouse, query="SELECT count() FROM numbers(1000000000000)", max_execution_time="0.2")

    assert (answer.status, answer.headers["X-ClickHouse-Exception-Code"]) == (408, "159")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_get_does_not_write(clickhouse: str, table: str, method: str) -> None:
    """Only POST writes, also by the detour of a WITH or a second statement."""
    for sql in (
        f"INSERT INTO {table} VALUES (1, 'x')",
        f"DROP TABLE {table}",
        f"WITH 1 AS x INSERT INTO {table} SELECT x, 'x'",
        f"SELECT 1; DROP TABLE {table}",
    ):
        address = f"{clickhouse}/?{urlencode({'query': sql})}"
        with pytest.raises(urllib.error.HTTPError) as refusal:
            urllib.request.urlopen(urllib.request.Request(address, method=method), timeout=TIMEOUT_S)
        refusal.value.close()
        assert refusal.value.code >= 400
    assert send(clickhouse, query=f"SELECT count() FROM {table}").text == "0"


PACKED = [
    ("gzip", gzip.compress, gzip.decompress),
    ("lz4", lz4.frame.compress, lz4.frame.decompress),
    (
        "zstd",
        zstandard.ZstdCompressor().compress,
        lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data),
    ),
]


@pytest.mark.parametrize(("encoding", "pack", "unpack"), PACKED)
def test_packed_requests_and_answers(clickhouse: str, encoding: str, pack: Pack, unpack: Pack) -> None:
    """A body may come packed, and a large answer goes packed to whom takes it."""
    body = pack(b"SELECT number FROM numbers(5000)")
    answer = send(clickhouse, body, {"Content-Encoding": encoding, "Accept-Encoding": encoding})

    assert answer.headers["Content-Encoding"] == encoding
    assert unpack(answer.body).decode().splitlines() == [str(number) for number in range(5000)]


def test_a_damaged_body_gets_an_error_of_clickhouses_kind(clickhouse: str) -> None:
    """Bytes that do not unpack are refused with a code, and the connection's next request is served."""
    answer = send(clickhouse, b"nonsense", {"Content-Encoding": "lz4"})

    assert (answer.status, answer.headers["X-ClickHouse-Exception-Code"]) == (400, "271")


def test_clickhouses_own_block_compression_is_refused(clickhouse: str) -> None:
    """compress=1 and decompress=1 would be misread by the client or by us, so they are refused."""
    assert send(clickhouse, query="SELECT 1", compress="1").status == 501
    assert send(clickhouse, query="SELECT 1", compress="0").status == 200


def test_a_query_that_is_not_text_is_refused(clickhouse: str) -> None:
    """Bytes that are no UTF-8 are an error of the client's."""
    assert send(clickhouse, b"SELECT '\xff'").status == 400


def test_a_body_above_the_bound_is_refused(clickhouse: str) -> None:
    """More than 64 MiB in one request, plain or unpacked, gets 413."""
    packed = gzip.compress(bytes((64 << 20) + 1), 1)

    assert send(clickhouse, packed, {"Content-Encoding": "gzip"}).status == 413


def test_the_same_token_inserts_once(clickhouse: str, table: str) -> None:
    """insert_deduplication_token absorbs a repeated insert, also beside other inserts."""
    for token in ("a", "a", "b", "a"):
        sql = f"INSERT INTO {table} FORMAT CSV\n1,x\n".encode()
        assert send(clickhouse, sql, insert_deduplication_token=token, async_insert="0").status == 200

    assert send(clickhouse, query=f"SELECT count() FROM {table}").text == "2"


def test_an_insert_with_settings_of_its_own(clickhouse: str, table: str) -> None:
    """A SETTINGS clause before FORMAT is kept."""
    sql = f"INSERT INTO {table} SETTINGS insert_deduplication_token = 'k' FORMAT CSV\n1,x\n".encode()
    assert send(clickhouse, sql).status == 200
    assert send(clickhouse, sql).status == 200

    assert send(clickhouse, query=f"SELECT count() FROM {table}").text == "1"


def test_a_bad_insert_leaves_nothing(clickhouse: str, table: str) -> None:
    """Data that cannot be parsed is an error, and no row of it is stored."""
    answer = send(clickhouse, f"INSERT INTO {table} FORMAT CSV\n1,x\nnot a number,y\n".encode())

    assert answer.status == 400
    assert send(clickhouse, query=f"SELECT count() FROM {table}").text == "0"


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
def test_pages_from_elsewhere_are_refused(clickhouse: str, headers: dict[str, str]) -> None:
    """A browser on this machine does not lend its access to a foreign page."""
    assert send(clickhouse, b"SELECT 1", headers).status == 403


def test_pages_of_this_machine_are_served(clickhouse: str) -> None:
    """A page that came from loopback may ask."""
    assert send(clickhouse, b"SELECT 1", {"Origin": "http://localhost:8080"}).text == "1"


def test_an_unknown_user_and_a_broken_header_are_refused(clickhouse: str) -> None:
    """Only `default`, `mts_writer` and `mts_reader` are known."""
    assert send(clickhouse, query="SELECT 1", user="mallory").status == 403
    assert send(clickhouse, query="SELECT 1", headers={"Authorization": "Basic ???"}).status == 403
    for user in ("default", "mts_writer", "mts_reader"):
        assert send(clickhouse, query="SELECT 1", headers={"X-ClickHouse-User": user}).text == "1"


def test_curl_reads_and_writes(clickhouse: str, table: str) -> None:
    """Plain curl works, by GET, by POST and with --compressed."""
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("no curl here")

    def run(*arguments: str) -> str:
        done = subprocess.run([curl, "-sS", "--fail", *arguments], capture_output=True, text=True, timeout=TIMEOUT_S)
        assert done.returncode == 0, done.stderr
        return done.stdout

    run(f"{clickhouse}/", "--data-binary", f"INSERT INTO {table} VALUES (1, 'x')")
    assert run("-G", clickhouse, "--data-urlencode", f"query=SELECT * FROM {table}") == "1\tx\n"
    assert len(run("--compressed", f"{clickhouse}/?query=SELECT+number+FROM+numbers(3000)").split()) == 3000
