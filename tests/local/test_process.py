"""Child processes: log files, ends within bounds, and no child without its parent."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mts_stream.errors import LocalPartError
from mts_stream.local.identity import ProcessIdentity
from mts_stream.local.process import LOG_BYTES_MAX, ChildProcess, read_tail
from tests.local.waiting import read_when_there, wait_until

SLEEPER = "import time; print('up', flush=True); time.sleep(600)"
STUBBORN = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
WITH_CHILD = (
    "import subprocess, sys, time; p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']);"
    "print(p.pid, flush=True); time.sleep(600)"
)
# A parent as the demo is one: starts a child, says its id, and waits.
PARENT = """
import asyncio, sys
from pathlib import Path
from mts_stream.local.process import ChildProcess

async def main():
    log, mode = Path(sys.argv[1]), sys.argv[2]
    child = ChildProcess("child", [sys.executable, "-c", sys.argv[3]], log_path=log, guard_mode=mode)
    await child.start()
    log.with_suffix(".pid").write_text(str(child.pid))
    await child.wait()

asyncio.run(main())
"""
MODES = ["signal", "pipe"] if sys.platform == "linux" else ["pipe"]


def child(tmp_path: Path, code: str, **options: object) -> ChildProcess:
    """A child that runs Python code."""
    return ChildProcess("child", [sys.executable, "-c", code], log_path=tmp_path / "logs" / "child.log", **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("mode", MODES)
async def test_output_and_exit_code_are_kept(tmp_path: Path, mode: str) -> None:
    """What a child writes is in its log, and its exit code is known, with either guard."""
    code = "import os, sys; print('out'); print('err', file=sys.stderr); print(os.environ['MINE']); sys.exit(3)"
    process = child(tmp_path, code, env={"MINE": "yes"}, guard_mode=mode)
    await process.start()

    assert await process.wait() == 3
    assert not process.running
    assert sorted(process.log_tail().split()) == ["err", "out", "yes"]


async def test_what_is_told_of_an_end_is_of_this_start(tmp_path: Path) -> None:
    """The log keeps what earlier starts wrote, and none of it explains a later one's end; a signal is named."""
    await (first := child(tmp_path, "print('an old error')")).start()
    await first.wait()
    process = child(tmp_path, "import os; print('new', flush=True); os.kill(os.getpid(), 9)")
    await process.start()
    await process.wait()

    assert process.log_tail() == "new\n"
    assert process.log_path.read_text() == "an old error\nnew\n"
    assert (process.killed_text(), first.killed_text()) == ("child was killed by signal 9", None)


@pytest.mark.parametrize("mode", MODES)
async def test_stop_asks_first(tmp_path: Path, mode: str) -> None:
    """A child that obeys SIGTERM ends by it."""
    process = child(tmp_path, SLEEPER, guard_mode=mode)
    await process.start()
    read_when_there(process.log_path)

    assert process.running
    assert await process.stop() in (-signal.SIGTERM, 128 + signal.SIGTERM)
    assert process.exit_code is not None


@pytest.mark.parametrize("mode", MODES)
async def test_stop_kills_after_its_bound(tmp_path: Path, mode: str) -> None:
    """A child that ignores SIGTERM is killed, and not waited for longer than was said."""
    process = child(tmp_path, STUBBORN, stop_timeout_s=0.2, guard_mode=mode)
    await process.start()
    read_when_there(process.log_path)
    began = time.monotonic()
    await process.stop()

    assert not process.running
    assert time.monotonic() - began < 5


async def test_stop_takes_grandchildren_along(tmp_path: Path) -> None:
    """What a child started itself ends with it."""
    process = child(tmp_path, WITH_CHILD)
    await process.start()
    grandchild = ProcessIdentity.of(int(read_when_there(process.log_path)))
    await process.stop()

    assert grandchild is not None
    wait_until(lambda: not grandchild.alive, "the grandchild has ended")


async def test_stop_before_start_and_twice_is_nothing(tmp_path: Path) -> None:
    """Ending what does not run is no error."""
    process = child(tmp_path, "pass")

    assert await process.stop() is None
    with pytest.raises(LocalPartError, match="never started"):
        await process.wait()
    await process.start()
    assert await process.stop() == await process.stop()


async def test_a_command_that_does_not_exist_says_so_in_its_log(tmp_path: Path) -> None:
    """The launcher reports a missing program with exit code 127."""
    for mode in MODES:
        process = ChildProcess("child", ["/nowhere/java"], log_path=tmp_path / "log", guard_mode=mode)
        await process.start()

        assert await process.wait() == 127
        assert "cannot run /nowhere/java: No such file or directory" in process.log_tail()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGTERM])
def test_a_child_dies_with_its_parent(tmp_path: Path, mode: str, signum: int) -> None:
    """However the parent ends, kill -9 included, its child does not stay."""
    log = tmp_path / "child.log"
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(log), mode, SLEEPER])
    identity = ProcessIdentity.of(int(read_when_there(log.with_suffix(".pid"))))
    read_when_there(log)
    parent.send_signal(signum)
    parent.wait()

    assert identity is not None
    wait_until(lambda: not identity.alive, "the child has ended")


def test_a_terminals_interrupt_does_not_reach_a_child(tmp_path: Path) -> None:
    """A child has a session of its own, so that Ctrl-C ends it only when its parent says so."""
    log = tmp_path / "child.log"
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(log), MODES[0], SLEEPER], start_new_session=True)
    pid = int(read_when_there(log.with_suffix(".pid")))
    read_when_there(log)

    assert os.getsid(pid) == pid
    assert os.getpgid(pid) != os.getpgid(parent.pid)
    parent.kill()
    parent.wait()


async def test_a_log_on_a_full_disk_is_told_in_one_line(tmp_path: Path) -> None:
    """A log that cannot be made names its path."""
    (tmp_path / "logs").write_text("a file where the directory should be")
    with pytest.raises(LocalPartError, match="logs"):
        await child(tmp_path, "pass").start()


async def test_a_log_that_grew_too_long_is_moved_aside(tmp_path: Path) -> None:
    """Logs are bounded: a long one of earlier runs becomes `.1`."""
    process = child(tmp_path, "print('new')")
    process.log_path.parent.mkdir()
    process.log_path.write_bytes(bytes(LOG_BYTES_MAX + 1))
    await process.start()
    await process.wait()

    assert process.log_tail() == "new\n"
    assert process.log_path.with_suffix(".log.1").stat().st_size == LOG_BYTES_MAX + 1


def test_the_tail_of_a_file_that_is_not_there_is_empty(tmp_path: Path) -> None:
    """A log that was never written reads as empty."""
    assert read_tail(tmp_path / "none") == ""
