"""Processes are told apart by id and start time."""

import os
import signal
import subprocess
import sys

from mts_stream.local.identity import ProcessIdentity


def sleeper(code: str = "import time; time.sleep(600)") -> subprocess.Popen[bytes]:
    """A process that lasts until it is ended."""
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)


def test_a_running_process_is_alive_until_it_ends() -> None:
    """An identity follows one process; its end is seen also while nobody has collected it."""
    process = sleeper()
    identity = ProcessIdentity.of(process.pid)

    assert identity is not None and identity.alive
    identity.signal(signal.SIGTERM)
    assert identity.wait_end(20)
    assert ProcessIdentity.of(process.pid) is None
    process.communicate()
    identity.signal(signal.SIGTERM)


def test_the_same_id_at_another_time_is_another_process() -> None:
    """A stale id that was given to somebody else is not taken for the process it once stood for."""
    own = ProcessIdentity.of(os.getpid())

    assert own is not None and own.alive
    assert not ProcessIdentity(own.pid, "another start").alive


def test_end_kills_what_does_not_obey() -> None:
    """A process that ignores SIGTERM is killed after the time."""
    process = sleeper(
        "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
    )
    assert process.stdout is not None
    process.stdout.readline()
    identity = ProcessIdentity.of(process.pid)
    assert identity is not None
    identity.end(0.2)

    assert not identity.alive
    process.communicate()
    assert process.returncode == -signal.SIGKILL
