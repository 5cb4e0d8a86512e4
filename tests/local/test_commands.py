"""`mts-stream local up|down|status` as a person and as a program use it."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from mts_stream.local.commands import local
from mts_stream.local.directory import DataDirectory
from mts_stream.local.ports import free_ports
from tests.local.gateway.test_http import send
from tests.local.waiting import wait_until

TIMEOUT_S = 150
# Never the default ports: a developer's own parts, or programs that look for them, are there.
FREE_PORTS = ("--kafka-port", 0, "--clickhouse-port", 0)


def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `mts-stream local ...`."""
    command = [sys.executable, "-m", "mts_stream.cli", "local", *map(str, arguments)]
    env = {**os.environ, **environment}
    return subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, env=env)


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    """A data directory in which nothing runs after the test."""
    yield tmp_path / "data"
    run("down", "--data", tmp_path / "data")


def test_up_status_and_down(data: Path) -> None:
    """`up` returns with both serving and leaves them running; twice is once; `down` ends them and keeps the data."""
    kafka_port, clickhouse_port = free_ports(2)
    ports = ("--kafka-port", kafka_port, "--clickhouse-port", clickhouse_port)
    first = run("up", "--data", data, *ports)
    addresses = json.loads(run("up", "--data", data, "--json").stdout)
    answer = send(addresses["clickhouse"], b"CREATE TABLE t (a Int8) ENGINE = MergeTree ORDER BY a")
    second = run("up", "--data", data, *FREE_PORTS)
    moved = run("up", "--data", data, "--kafka-port", free_ports(1)[0])
    status = run("status", "--data", data)
    status_json = json.loads(run("status", "--data", data, "--json").stdout)
    down = run("down", "--data", data, "--json")

    steps = ["starting ClickHouse", "starting Kafka", f"Kafka serves on {addresses['kafka']}"]
    assert (first.returncode, answer.status) == (0, 200), first.stderr
    assert {*steps, f"ClickHouse serves on {addresses['clickhouse']}"} <= set(first.stderr.splitlines())
    assert "ready" not in first.stderr
    assert addresses["kafka"] == f"127.0.0.1:{kafka_port}"
    assert addresses["clickhouse"] == f"http://127.0.0.1:{clickhouse_port}"
    assert (second.returncode, "run already" in second.stdout) == (0, True)
    assert f"export KAFKA_BOOTSTRAP_SERVERS={addresses['kafka']}\n" in second.stdout
    assert f"export CLICKHOUSE_URL={addresses['clickhouse']}\n" in second.stdout
    assert (moved.returncode, moved.stdout, moved.stderr.count("\n")) == (1, "", 1)
    assert (status.returncode, addresses["kafka"] in status.stdout) == (0, True)
    assert status_json == {"up": True, **addresses}
    assert (down.returncode, json.loads(down.stdout)) == (0, {"up": False, "was_up": True})
    assert not any((Path("/proc") / str(pid)).exists() for pid in addresses["pids"].values())
    assert (data / "clickhouse").is_dir() and (data / "kafka").is_dir()


def test_a_killed_supervisor_takes_its_parts_along(data: Path) -> None:
    """kill -9 of the supervisor: both end, `status` says so with code 1, and `up` starts anew on the same data."""
    addresses = json.loads(run("up", "--data", data, *FREE_PORTS, "--json").stdout)
    send(addresses["clickhouse"], b"CREATE TABLE t (a Int8) ENGINE = MergeTree ORDER BY a")
    state = DataDirectory(data).read_state()
    assert state is not None
    os.kill(addresses["pid"], signal.SIGKILL)
    wait_until(lambda: not any(each.alive for each in state.children.values()), "both have ended")
    status = run("status", "--data", data)
    again = json.loads(run("up", "--data", data, *FREE_PORTS, "--json").stdout)

    assert (status.returncode, "do not run" in status.stdout) == (1, True)
    assert f"process {addresses['pid']}, which ran them, was killed" in status.stdout
    assert send(again["clickhouse"], b"EXISTS TABLE t").text == "1"


def test_a_part_that_ends_unasked_ends_the_other(data: Path) -> None:
    """A killed gateway ends the broker, `status` gives 1 and says why until the next `up`, and the log is kept."""
    addresses = json.loads(run("up", "--data", data, *FREE_PORTS, "--json").stdout)
    directory = DataDirectory(data)
    state = directory.read_state()
    assert state is not None
    os.kill(addresses["pids"]["clickhouse"], signal.SIGKILL)
    wait_until(lambda: not state.owner.alive, "the supervisor has ended")

    status = run("status", "--data", data)
    status_json = json.loads(run("status", "--data", data, "--json").stdout)
    again = run("up", "--data", data, *FREE_PORTS)
    run("down", "--data", data)
    after = json.loads(run("status", "--data", data, "--json").stdout)

    told = f"ClickHouse was killed by signal 9: see {directory.logs / 'clickhouse.log'}"
    assert not state.children["kafka"].alive
    assert (status.returncode, status_json["up"]) == (1, False)
    assert status.stdout.endswith(f"{told}\n") and status_json["reason"].endswith(f"UTC, {told}")
    assert (again.returncode, after["reason"]) == (0, None), again.stderr
    log = directory.supervisor_log.read_text()
    assert (log.count(told), log.count(" ready: ")) == (1, 2)


def test_two_that_want_one_port_do_not_both_get_it(data: Path, tmp_path: Path) -> None:
    """Two `up` at once with one port: one serves, the other fails in one line and leaves nothing running."""
    (port,) = free_ports(1)
    ports = ("--kafka-port", "0", "--clickhouse-port", str(port))
    both = [data, tmp_path / "data2"]
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "mts_stream.cli", "local", "up", "--json", "--data", str(each), *ports],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for each in both
    ]
    try:
        ended = [(*each.communicate(timeout=TIMEOUT_S), each.returncode) for each in started]
        states = [DataDirectory(each).read_state() for each in both]
    finally:
        run("down", "--data", both[1])
    (out, err, code), (other_out, other_err, other_code) = sorted(ended, key=lambda each: each[2])

    assert (code, other_code, json.loads(out)["clickhouse"]) == (0, 1, f"http://127.0.0.1:{port}"), (err, other_err)
    assert (other_out, other_err.count("\n"), "the port is in use" in other_err) == ("", 1, True)
    assert "starting" not in err
    assert sum(state is not None for state in states) == 1


def test_what_cannot_start_is_told_in_one_line(data: Path) -> None:
    """A taken port, a directory that is a file, and a failing part: one line on standard error, exit code 1."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = run("up", "--data", data, "--kafka-port", 0, "--clickhouse-port", server.getsockname()[1])
    data.mkdir(exist_ok=True)
    (data / "clickhouse").write_text("a file where the tables should be")
    failing = run("up", "--data", data, *FREE_PORTS, "--json")
    (data / "logs" / "file").write_text("")
    no_directory = run("up", "--data", data / "logs" / "file" / "below", *FREE_PORTS)

    for done in (taken, failing, no_directory):
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1), done.stderr
    assert "ClickHouse cannot listen" in taken.stderr and "--clickhouse-port" in taken.stderr
    assert str(data / "clickhouse") in failing.stderr
    assert "cannot write" in no_directory.stderr


def test_an_interrupted_up_leaves_nothing(data: Path) -> None:
    """Ctrl-C while `up` waits ends what it had begun."""
    command = [sys.executable, "-m", "mts_stream.cli", "local", "up", "--data", str(data)]
    command += [str(each) for each in FREE_PORTS]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    directory = DataDirectory(data)
    wait_until(lambda: directory.read_state() is not None, "the supervisor has begun")
    state = directory.read_state()
    assert state is not None
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)

    assert process.returncode != 0
    assert not state.owner.alive


def test_status_and_down_of_what_never_ran(tmp_path: Path) -> None:
    """Without a run there is nothing to end, and `status` says where it looked."""
    runner = CliRunner()
    down = runner.invoke(local, ["down", "--data", str(tmp_path)])
    status = runner.invoke(local, ["status", "--data", str(tmp_path)], standalone_mode=False)

    assert (down.exit_code, down.output) == (0, "Kafka and ClickHouse were not running.\n")
    assert (status.return_value, str(tmp_path) in status.output) == (1, True)


def test_the_directory_is_a_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """--data, then DATA_DIR, then XDG_DATA_HOME say where."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg"))

    def looked_in(*arguments: str) -> str:
        done = CliRunner().invoke(local, ["status", "--json", *arguments], standalone_mode=False)
        return str(json.loads(done.output)["data"])

    assert looked_in() == str(tmp_path / "xdg" / "mts-stream")
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "set"))
    assert looked_in() == str(tmp_path / "set")
    assert looked_in("--data", str(tmp_path / "asked")) == str(tmp_path / "asked")
