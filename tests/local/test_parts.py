"""Both parts together: started side by side, ended together, explained when one fails."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from mts_stream.errors import LocalPartError
from mts_stream.local.directory import DataDirectory
from mts_stream.local.identity import ProcessIdentity
from mts_stream.local.kafka_probe import ask_cluster
from mts_stream.local.parts import LocalParts, PartsOptions, _in_thread
from tests.local.gateway.test_http import send
from tests.local.waiting import wait_until

SMALL = PartsOptions(kafka_heap_mb=256, clickhouse_memory_bytes=600_000_000)
HOLDER = """
import asyncio, sys
from pathlib import Path
from mts_stream.local.parts import LocalParts, PartsOptions

async def main():
    options = PartsOptions(kafka_heap_mb=256, clickhouse_memory_bytes=600_000_000)
    async with LocalParts(Path(sys.argv[1]), options):
        await asyncio.sleep(600)

asyncio.run(main())
"""


async def test_both_serve_and_a_failure_of_one_is_explained(tmp_path: Path) -> None:
    """Both answer inside the block; a killed broker is noticed and told; after the block nothing is left."""
    lines: list[str] = []
    async with LocalParts(tmp_path, SMALL, on_progress=lines.append) as parts:
        identities = [ProcessIdentity.of(pid) for pid in parts.pids.values()]
        answer = await ask_cluster(int(parts.kafka.rpartition(":")[2]))
        text = send(parts.clickhouse, b"SELECT 1").text
        state = parts.directory.read_state()
        with pytest.raises(LocalPartError, match="in use by process"):
            await LocalParts(tmp_path, SMALL).start()
        os.kill(parts.pids["kafka"], signal.SIGKILL)
        failure = await asyncio.wait_for(parts.failed(), 30)

    assert answer is not None and answer.broker_count == 1
    assert text == "1"
    assert state is not None and (state.kafka, state.clickhouse) == (parts.kafka, parts.clickhouse)
    assert str(failure) == f"Kafka was killed by signal 9: see {tmp_path / 'logs' / 'kafka.log'}"
    assert len(identities) == len(parts.processes) == 2
    assert not any(identity.alive for identity in identities if identity is not None)
    assert {"starting Kafka", "starting ClickHouse"} <= set(lines)
    assert DataDirectory(tmp_path).read_state() is None


async def test_when_one_cannot_start_nothing_is_left(tmp_path: Path) -> None:
    """A gateway that fails takes the starting broker with it, and its own line is what is told."""
    (tmp_path / "clickhouse").write_text("a file where the tables should be")
    parts = LocalParts(tmp_path, SMALL)
    with pytest.raises(LocalPartError, match="clickhouse"):
        await parts.start()

    assert not any(process.running for process in parts.processes)
    DataDirectory(tmp_path).acquire()


@pytest.mark.parametrize("part", ["kafka", "clickhouse"])
async def test_a_port_that_was_asked_for_has_to_be_free(tmp_path: Path, part: str) -> None:
    """A taken port is refused before anything starts."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        options = PartsOptions(kafka_port=port) if part == "kafka" else PartsOptions(clickhouse_port=port)
        parts = LocalParts(tmp_path, options)
        with pytest.raises(LocalPartError, match=rf"{port}: the port is in use.*--{part}-port"):
            await parts.start()

    assert parts.processes == []
    with pytest.raises(LocalPartError, match="never started"):
        _ = parts.pids
    with pytest.raises(LocalPartError, match="never started"):
        _ = parts.clickhouse


def test_both_die_with_a_killed_parent_and_the_next_run_takes_over(tmp_path: Path) -> None:
    """kill -9 of the owner leaves no Java and no gateway; their directory serves the next run at once."""
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], start_new_session=True)
    directory = DataDirectory(tmp_path)
    wait_until(lambda: (state := directory.read_state()) is not None and state.ready, "both are ready", 120)
    state = directory.read_state()
    assert state is not None
    holder.kill()
    holder.wait()
    wait_until(lambda: not any(each.alive for each in state.children.values()), "both have ended")
    directory.acquire()
    directory.release()


async def test_blocking_work_is_told_of_a_cancellation() -> None:
    """A download in a thread gives up when its caller is cancelled, and the caller does not end before it."""
    entered, left = asyncio.Event(), []
    loop = asyncio.get_running_loop()

    def work(cancelled: object) -> None:
        loop.call_soon_threadsafe(entered.set)
        left.append(cancelled.wait(30))  # type: ignore[attr-defined]

    task = asyncio.ensure_future(_in_thread(work))
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert left == [True]
