"""The local parts in the background: starts their supervisor and waits for it, finds it, ends it."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from mts_stream.errors import LocalPartError
from mts_stream.local.directory import DataDirectory, RunState
from mts_stream.local.disk import disk_errors
from mts_stream.local.identity import ProcessIdentity
from mts_stream.local.jars import DownloadView, kafka_jars
from mts_stream.local.java import find_java
from mts_stream.local.ports import preferred_or_free, require_free
from mts_stream.local.process import read_tail

KAFKA_PORT, CLICKHOUSE_PORT = 9092, 8123
READY_TIMEOUT_S = 120.0
DOWN_TIMEOUT_S = 30.0
POLL_INTERVAL_S = 0.05


@dataclass(frozen=True, slots=True)
class WantedPorts:
    """The ports that were asked for; None lets us choose."""

    kafka: int | None = None
    clickhouse: int | None = None


def running_state(directory: DataDirectory) -> RunState | None:
    """Who runs the parts of a directory now, ready or about to be; None when nobody does."""
    state = directory.read_state()
    return state if state is not None and state.owner.alive else None


def up(directory: DataDirectory, ports: WantedPorts, view: DownloadView) -> tuple[RunState, bool]:
    """Have the parts running; gives their state, and whether they were running already."""
    state = running_state(directory)
    if state is not None:
        state = _wait_ready(directory, state.owner)
        _require_same_ports(state, ports)
        return state, True
    # Before anything runs in the background, what a person should see happen: the check for Java, the download.
    find_java()
    kafka_jars(view)
    return _wait_ready(directory, _start(directory, ports)), False


def down(directory: DataDirectory) -> bool:
    """End the parts and wait for it; False when they were not running."""
    state = running_state(directory)
    if state is None:
        return False
    # The supervisor ends its parts itself within their bounds; the kill after that takes them with it.
    state.owner.end(DOWN_TIMEOUT_S)
    return True


def _start(directory: DataDirectory, ports: WantedPorts) -> ProcessIdentity:
    kafka = require_free(ports.kafka, "Kafka", "--kafka-port") if ports.kafka else preferred_or_free(KAFKA_PORT)
    clickhouse = (
        require_free(ports.clickhouse, "ClickHouse", "--clickhouse-port")
        if ports.clickhouse
        else preferred_or_free(CLICKHOUSE_PORT)
    )
    command = [sys.executable, "-m", "mts_stream.local.supervisor", "--data", str(directory.path)]
    command += ["--kafka-port", str(kafka), "--clickhouse-port", str(clickhouse)]
    with disk_errors(directory.logs):
        directory.logs.mkdir(parents=True, exist_ok=True)
        with _log_path(directory).open("wb") as log:
            process = subprocess.Popen(  # noqa: S603 (our own module)
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
    _children.append(process)
    identity = ProcessIdentity.of(process.pid)
    if identity is None:
        raise _failure(directory)
    return identity


def _wait_ready(directory: DataDirectory, owner: ProcessIdentity) -> RunState:
    deadline = time.monotonic() + READY_TIMEOUT_S
    try:
        while owner.alive:
            state = directory.read_state()
            if state is not None and state.owner == owner and state.ready:
                return state
            if time.monotonic() > deadline:
                break
            time.sleep(POLL_INTERVAL_S)
    except BaseException:
        # Ctrl-C while waiting: nobody has been told of the parts yet, so they are not left behind.
        if any(child.pid == owner.pid for child in _children):
            owner.end(DOWN_TIMEOUT_S)
        raise
    raise _failure(directory)


def _failure(directory: DataDirectory) -> LocalPartError:
    lines = [line for line in read_tail(_log_path(directory)).splitlines() if line.strip()]
    reason = lines[-1] if lines else "it wrote nothing"
    return LocalPartError(f"{reason} (log: {_log_path(directory)})")


def _require_same_ports(state: RunState, ports: WantedPorts) -> None:
    for name, wanted, address in (
        ("Kafka", ports.kafka, state.kafka),
        ("ClickHouse", ports.clickhouse, state.clickhouse),
    ):
        if wanted is not None and not address.endswith(f":{wanted}"):
            raise LocalPartError(f"{name} runs already, on {address}: `mts-stream local down` first to move it")


def _log_path(directory: DataDirectory) -> Path:
    return directory.logs / "supervisor.log"


# Kept, so that Python does not warn about a child that is meant to outlive us.
_children: list[subprocess.Popen[bytes]] = []
