"""The gateway as a process: its end, its path, its port, and a full disk."""

import asyncio
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mts_stream.errors import LocalPartError
from mts_stream.local.clickhouse import ClickHouseGateway
from mts_stream.local.ports import free_ports
from tests.local.gateway.test_http import send
from tests.parts import small_disk_at

MEMORY_BYTES = 600_000_000


def gateway(path: Path, port: int | None = None) -> ClickHouseGateway:
    """A gateway, not started, for the tables below a directory."""
    return ClickHouseGateway(path / "tables", log_path=path / "clickhouse.log", port=port, memory_bytes=MEMORY_BYTES)


async def test_tables_outlast_the_process(tmp_path: Path) -> None:
    """SIGTERM ends it with code 0, kill -9 at once; acknowledged rows are there afterwards."""
    first = gateway(tmp_path)
    await first.start()
    send(first.url, b"CREATE TABLE t (a Int64) ENGINE = MergeTree ORDER BY a")
    send(first.url, b"INSERT INTO t VALUES (1)")
    await first.stop()
    second = gateway(tmp_path)
    await second.start()
    send(second.url, b"INSERT INTO t VALUES (2)")
    second.process.stop_timeout_s = 0
    await second.stop()
    third = gateway(tmp_path)
    await third.start()
    answer = send(third.url, b"SELECT sum(a) FROM t").text
    await third.stop()

    assert (first.process.exit_code, third.process.exit_code, answer) == (0, 0, "3")
    assert not (tmp_path / "tables.inserts").exists()


async def test_the_engine_has_the_settings_of_tables_and_its_own_bounds(tmp_path: Path) -> None:
    """The file of settings replaces none of the options that are given beside it."""
    part = gateway(tmp_path)
    await part.start()
    merged = "SELECT value FROM system.merge_tree_settings WHERE name = 'min_parts_to_merge_at_once'"
    memory = "SELECT value FROM system.server_settings WHERE name = 'max_server_memory_usage'"
    found = [send(part.url, sql.encode()).text.strip() for sql in (merged, memory)]
    await part.stop()

    assert found == ["10", str(MEMORY_BYTES)]


async def test_another_gateway_on_the_port_is_not_taken_for_ours(tmp_path: Path) -> None:
    """A port on which another gateway answers already: the start fails and says so, and the first goes on."""
    first = gateway(tmp_path / "first")
    await first.start()
    second = gateway(tmp_path / "second", first.port)
    with pytest.raises(LocalPartError, match=f"{first.port}: the port is in use"):
        await second.start()
    answer = send(first.url, b"SELECT 1").text
    await first.stop()

    assert (answer, second.process.running) == ("1", False)


async def test_a_second_process_on_a_path_is_told_in_one_line(tmp_path: Path) -> None:
    """The path of a running gateway is refused to another, with the path and what to do; the first goes on."""
    first, second = gateway(tmp_path), ClickHouseGateway(tmp_path / "tables", log_path=tmp_path / "second.log")
    await first.start()
    with pytest.raises(LocalPartError) as refusal:
        await second.start()
    answer = send(first.url, b"SELECT 1").text
    await first.stop()

    assert answer == "1"
    assert str(tmp_path / "tables") in str(refusal.value)
    assert "another process uses it" in str(refusal.value)
    assert "\n" not in str(refusal.value)


async def test_a_port_in_use_is_told_in_one_line(tmp_path: Path) -> None:
    """The line names the port and the option to change it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(LocalPartError, match=f"{port}: the port is in use.*--clickhouse-port"):
            await gateway(tmp_path, port).start()


async def test_a_running_query_does_not_hold_up_the_end(tmp_path: Path) -> None:
    """SIGTERM is obeyed within its bound while a query runs for minutes."""
    part = gateway(tmp_path)
    await part.start()
    query = asyncio.ensure_future(asyncio.to_thread(_ask_until_the_end, part.url))
    while send(part.url, b"SELECT count() FROM system.processes WHERE query LIKE '%1000000000000%'").text < "2":
        await asyncio.sleep(0.02)
    began = time.monotonic()
    part.process.stop_timeout_s = 20
    await part.stop()
    await query

    assert part.process.exit_code == 0
    assert time.monotonic() - began < 10


def _ask_until_the_end(url: str) -> None:
    try:
        send(url, b"SELECT count() FROM numbers(1000000000000) WHERE sipHash64(number) = 1")
    except OSError:
        return


async def test_too_many_queries_are_refused_and_not_queued_for_ever(tmp_path: Path) -> None:
    """While 4 run and 64 wait, a query gets 202 with HTTP 503; the others are served, and later ones, too."""
    part = gateway(tmp_path)
    await part.start()
    with ThreadPoolExecutor(200) as pool:
        answers = list(pool.map(lambda _: send(part.url, query="SELECT sleep(0.25)"), range(200)))
    after = send(part.url, query="SELECT 1").text
    await part.stop()

    assert {(each.status, each.headers["X-ClickHouse-Exception-Code"]) for each in answers} == {
        (200, None),
        (503, "202"),
    }
    assert after == "1"


async def test_readers_that_run_away_are_ended_and_hold_up_no_insert(tmp_path: Path) -> None:
    """Eight queries of minutes each end at their bound; one more gets 202; inserts are stored meanwhile."""
    part = gateway(tmp_path)
    await part.start()
    send(part.url, b"CREATE TABLE t (a Int64) ENGINE = MergeTree ORDER BY a")
    endless = b"SELECT count() FROM numbers(1900000000) WHERE sipHash64(toString(number)) = 1"
    with ThreadPoolExecutor(9) as pool:
        asked = [
            pool.submit(lambda: send(part.url, endless, user="mts_reader", max_execution_time="1")) for _ in range(9)
        ]
        stored = [send(part.url, b"INSERT INTO t VALUES (1)").status for _ in range(20)]
        running = sum(not each.done() for each in asked)
        codes = sorted(str(each.result().headers["X-ClickHouse-Exception-Code"]) for each in asked)
    count = send(part.url, b"SELECT count() FROM t", user="mts_reader").text
    await part.stop()

    assert codes == ["159"] * 8 + ["202"]
    assert (stored, count) == ([200] * 20, "20")
    assert running > 0, "no insert was stored while readers ran"


async def test_a_backup_is_one_moment_and_opens_again(tmp_path: Path) -> None:
    """BACKUP while inserts of a thousand rows go on has none of them by half; another gateway opens it by RESTORE."""
    first = gateway(tmp_path / "first")
    await first.start()
    send(first.url, b"CREATE DATABASE d")
    send(first.url, b"CREATE TABLE d.t (batch Int64, a Int64) ENGINE = ReplacingMergeTree ORDER BY (batch, a)")
    send(first.url, b"CREATE VIEW d.v AS SELECT count() AS rows FROM d.t FINAL")
    with ThreadPoolExecutor(1) as pool:
        insert = "INSERT INTO d.t SELECT {}, number FROM numbers(1000)"
        stored = pool.submit(lambda: [send(first.url, insert.format(n).encode()).status for n in range(60)])
        while send(first.url, b"SELECT count() FROM d.t").text == "0":
            await asyncio.sleep(0.005)
        made = send(first.url, b"BACKUP DATABASE d TO File('one')")
        assert stored.result() == [200] * 60
    send(first.url, b"DROP DATABASE d")
    await first.stop()
    second = gateway(tmp_path / "second")
    shutil.copytree(tmp_path / "first" / "tables.backups", tmp_path / "second" / "tables.backups")
    await second.start()
    opened = send(second.url, b"RESTORE DATABASE d FROM File('one')")
    by_batch = send(second.url, b"SELECT DISTINCT count() FROM d.t GROUP BY batch").text
    rows = int(send(second.url, b"SELECT rows FROM d.v").text)
    await second.stop()

    assert "BACKUP_CREATED" in made.text
    assert "RESTORED" in opened.text
    assert by_batch == "1000"
    assert 1000 <= rows <= 60_000


@pytest.mark.parametrize("place", ["/etc/mts-backup", "../elsewhere"])
async def test_a_backup_stays_where_backups_are(clickhouse: str, place: str) -> None:
    """No other directory is written to, and a reader makes none at all."""
    sql = f"BACKUP DATABASE default TO File('{place}')".encode()

    assert send(clickhouse, sql).headers["X-ClickHouse-Exception-Code"] == "36"
    assert send(clickhouse, sql, user="mts_reader").headers["X-ClickHouse-Exception-Code"] == "164"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MB, where the test may mount one."""
    with small_disk_at(tmp_path / "small", 24) as path:
        yield path


async def test_a_full_disk_fails_the_insert_and_not_the_gateway(small_disk: Path) -> None:
    """An insert that does not fit on the disk gets 243, and what fits is stored afterwards."""
    part = gateway(small_disk)
    await part.start()
    send(part.url, b"CREATE TABLE t (s String) ENGINE = MergeTree ORDER BY tuple()")
    full = send(part.url, b"INSERT INTO t FORMAT RawBLOB\n" + bytes(30 << 20))
    small = send(part.url, b"INSERT INTO t FORMAT TSV\nx\n")
    count = send(part.url, b"SELECT count() FROM t").text
    await part.stop()

    assert full.headers["X-ClickHouse-Exception-Code"] == "243"
    assert (small.status, count) == (200, "1")


async def test_a_directory_that_cannot_be_made_is_told_in_one_line(tmp_path: Path) -> None:
    """A path below a file is refused with the path."""
    (tmp_path / "file").write_text("")
    part = ClickHouseGateway(tmp_path / "file" / "tables", log_path=tmp_path / "log")
    with pytest.raises(LocalPartError, match="file"):
        await part.start()


def test_it_runs_as_a_module(tmp_path: Path) -> None:
    """`python -m mts_stream.local.gateway --path P --port N` is all that is needed; Ctrl-C ends it with code 0."""
    port = free_ports(1)[0]
    command = [sys.executable, "-m", "mts_stream.local.gateway", "--path", str(tmp_path / "p"), "--port", str(port)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if send(f"http://127.0.0.1:{port}", query="SELECT 1").text == "1":
                break
        except OSError:
            time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=30)

    assert (process.returncode, error) == (0, b"")
