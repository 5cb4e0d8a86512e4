"""`mts-stream web` as a process."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mts_stream.local.ports import free_ports

ENDS_WITHIN_S = 3.0
STARTS_WITHIN_S = 30.0
Start = Callable[..., "subprocess.Popen[str]"]

pytestmark = pytest.mark.xdist_group("page")


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts `mts-stream web` with a Kafka that does not answer; whatever still runs is killed."""
    processes: list[subprocess.Popen[str]] = []

    def start(*arguments: str, **environment: str) -> subprocess.Popen[str]:
        (port,) = free_ports(1)
        env = os.environ | {"KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{port}"} | environment
        command = [sys.executable, "-m", "mts_stream.cli", "web", *arguments]
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        processes.append(subprocess.Popen(command, env=env, **pipes))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def address(process: "subprocess.Popen[str]") -> str:
    """The address in its ready line."""
    assert process.stdout is not None
    ready = json.loads(process.stdout.readline())
    assert ready["event"] == "ready"
    return str(ready["web"])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly(start, number):
    """Ctrl-C and SIGTERM end it with code 0 within 3 s, with a page open, Kafka away, and no traceback."""
    process = start("--port", "0", "--json")
    url = address(process)
    with urllib.request.urlopen(url + "/api/stream", timeout=STARTS_WITHIN_S) as stream:
        assert stream.readline().startswith(b"retry:")
        began = time.monotonic()
        process.send_signal(number)
        _, errors = process.communicate(timeout=STARTS_WITHIN_S)

    assert process.returncode == 0
    assert time.monotonic() - began < ENDS_WITHIN_S
    assert "Traceback" not in errors


def test_a_port_in_use_is_one_line(start):
    """A port that something else holds: what, where, what to do, exit 1."""
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        process = start("--port", str(port))
        out, errors = process.communicate(timeout=STARTS_WITHIN_S)

    assert process.returncode == 1
    assert out == ""
    assert errors.count("\n") == 1
    assert f"127.0.0.1:{port}: the port is in use" in errors
    assert "--port" in errors


def test_an_address_that_is_not_ours_is_one_line(start):
    """An address that this machine does not have is refused in the same way."""
    process = start("--host", "203.0.113.1", "--port", "0")
    _, errors = process.communicate(timeout=STARTS_WITHIN_S)

    assert process.returncode == 1
    assert errors.count("\n") == 1
    assert "203.0.113.1" in errors


def test_settings_give_the_port(start):
    """WEB_PORT is where it listens without --port, on loopback, and people get a sentence with the address."""
    (port,) = free_ports(1)
    process = start(WEB_PORT=str(port))
    assert process.stdout is not None

    assert f"http://127.0.0.1:{port}" in process.stdout.readline()


def test_a_setting_out_of_range_names_its_variable(start):
    """A wrong setting: exit 2, and the variable's name."""
    process = start(WEB_HISTORY_S="0")
    _, errors = process.communicate(timeout=STARTS_WITHIN_S)

    assert process.returncode == 2
    assert "WEB_HISTORY_S" in errors
