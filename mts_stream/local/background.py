"""The local parts in the background: starts their supervisor and waits for it, finds it, ends it."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass

from mts_stream.errors import LocalPartError
from mts_stream.local.directory import DataDirectory, RunState
from mts_stream.local.identity import ProcessIdentity
from mts_stream.local.jars import DownloadView, kafka_jars
from mts_stream.local.java import find_java
from mts_stream.local.parts import Report
from mts_stream.local.ports import free_ports, preferred_or_free, require_free
from mts_stream.local.supervisor_log import SupervisorLog

KAFKA_PORT, CLICKHOUSE_PORT = 9092, 8123
READY_TIMEOUT_S = 120.0
DOWN_TIMEOUT_S = 30.0
POLL_INTERVAL_S = 0.05


@dataclass(frozen=True, slots=True)
class WantedPorts:
    """The ports that were asked for; None is the default one, where it is free, 0 any free one."""

    kafka: int | None = None
    clickhouse: int | None = None


def running_state(directory: DataDirectory) -> RunState | None:
    """Who runs the parts of a directory now, ready or about to be; None when nobody does."""
    state = directory.read_state()
    return state if state is not None and state.owner.alive else None


def up(directory: DataDirectory, ports: WantedPorts, view: DownloadView, report: Report) -> tuple[RunState, bool]:
    """Have the parts running, each step told to `report`; gives their state, and whether they were running already."""
    state = running_state(directory)
    if state is not None:
        state = _wait_ready(directory, state.owner, SupervisorLog(directory.supervisor_log), report)
        _require_same_ports(state, ports)
        return state, True
    # Before anything runs in the background, what a person should see happen: the check for Java, the download.
    find_java()
    kafka_jars(view)
    log = SupervisorLog(directory.supervisor_log)
    return _wait_ready(directory, _start(directory, ports, log), log, report), False


def down(directory: DataDirectory) -> bool:
    """End the parts and wait for it; False when they were not running."""
    state = running_state(directory)
    if state is None:
        return False
    # The supervisor ends its parts itself within their bounds; the kill after that takes them with it.
    state.owner.end(DOWN_TIMEOUT_S)
    return True


def _choose(wanted: int | None, default: int, name: str, option: str) -> int:
    if wanted is None:
        return preferred_or_free(default)
    return require_free(wanted, name, option) if wanted else free_ports(1)[0]


def _start(directory: DataDirectory, ports: WantedPorts, log: SupervisorLog) -> ProcessIdentity:
    kafka = _choose(ports.kafka, KAFKA_PORT, "Kafka", "--kafka-port")
    clickhouse = _choose(ports.clickhouse, CLICKHOUSE_PORT, "ClickHouse", "--clickhouse-port")
    command = [sys.executable, "-m", "mts_stream.local.supervisor", "--data", str(directory.path)]
    command += ["--kafka-port", str(kafka), "--clickhouse-port", str(clickhouse)]
    with log.open() as file:
        process = subprocess.Popen(  # noqa: S603 (our own module)
            command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True
        )
    _children.append(process)
    identity = ProcessIdentity.of(process.pid)
    if identity is None:
        raise log.failure()
    return identity


def _wait_ready(directory: DataDirectory, owner: ProcessIdentity, log: SupervisorLog, report: Report) -> RunState:
    deadline = time.monotonic() + READY_TIMEOUT_S
    try:
        while owner.alive:
            for step in log.new_steps():
                report(step)
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
    raise log.failure()


def _require_same_ports(state: RunState, ports: WantedPorts) -> None:
    for name, wanted, address in (
        ("Kafka", ports.kafka, state.kafka),
        ("ClickHouse", ports.clickhouse, state.clickhouse),
    ):
        if wanted and not address.endswith(f":{wanted}"):
            raise LocalPartError(f"{name} runs already, on {address}: `mts-stream local down` first to move it")


# Kept, so that Python does not warn about a child that is meant to outlive us.
_children: list[subprocess.Popen[bytes]] = []
