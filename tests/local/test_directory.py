"""One directory, one owner, one state file."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mts_stream.errors import LocalPartError
from mts_stream.local.directory import DataDirectory, RunState
from mts_stream.local.identity import ProcessIdentity
from tests.local.waiting import wait_until

# Holds a directory, with a child that outlives a kill of its parent.
HOLDER = """
import subprocess, sys, time
from pathlib import Path
from mts_stream.local.directory import DataDirectory

directory = DataDirectory(Path(sys.argv[1]))
directory.acquire()
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
directory.publish({"kafka": child.pid}, kafka="127.0.0.1:1", clickhouse="http://127.0.0.1:2")
time.sleep(600)
"""


def test_a_directory_has_one_owner(tmp_path: Path) -> None:
    """A second owner is refused with the first one's process id, until it is given back."""
    first, second = DataDirectory(tmp_path), DataDirectory(tmp_path)
    first.acquire()
    with pytest.raises(LocalPartError, match=f"in use by process {os.getpid()}.*--data"):
        second.acquire()
    first.release()
    second.acquire()
    second.release()

    assert second.read_state() is None


def test_the_state_tells_who_runs_what_and_where(tmp_path: Path) -> None:
    """What is published can be read back by others; it is ready while its owner lives."""
    directory = DataDirectory(tmp_path)
    directory.acquire()
    starting = directory.read_state()
    directory.publish({"kafka": os.getpid()}, kafka="127.0.0.1:1", clickhouse="http://127.0.0.1:2")
    state = DataDirectory(tmp_path).read_state()
    directory.release()

    assert starting is not None and not starting.ready
    assert state is not None and state.ready
    assert (state.kafka, state.clickhouse) == ("127.0.0.1:1", "http://127.0.0.1:2")
    assert state.children == {"kafka": ProcessIdentity.of(os.getpid())}
    assert not RunState(ProcessIdentity(state.owner.pid, "earlier"), {}, "a", "b").ready


def test_what_a_killed_run_left_is_taken_over(tmp_path: Path) -> None:
    """After kill -9 of an owner its lock is free, its state counts as stale, and its children are ended."""
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)])
    directory = DataDirectory(tmp_path)
    wait_until(lambda: (state := directory.read_state()) is not None and state.ready, "the holder is ready")
    state = directory.read_state()
    assert state is not None
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    stale = directory.read_state()
    orphan_alive = state.children["kafka"].alive
    directory.acquire()

    assert stale is not None and not stale.ready
    assert orphan_alive
    assert not state.children["kafka"].alive
    directory.release()


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"owner": 1, "children": {}}', '{"owner": {"pid": 1}, "children": {}}']
)
def test_a_state_file_that_cannot_be_read_says_nothing(tmp_path: Path, text: str) -> None:
    """Damage to the file does not stop a new run."""
    (tmp_path / "state.json").write_text(text)
    directory = DataDirectory(tmp_path)

    assert directory.read_state() is None
    directory.acquire()
    directory.release()


def test_a_full_disk_is_told_in_one_line(tmp_path: Path) -> None:
    """No space for the state file: the line names the file and what to do."""
    directory = DataDirectory(tmp_path)
    directory.acquire()
    (tmp_path / "state.new").symlink_to("/dev/full")
    with pytest.raises(LocalPartError, match=r"no space left on the disk of .*state\.json: free some room there"):
        directory.publish({}, kafka="a", clickhouse="b")
    directory.release()


def test_a_directory_that_cannot_be_written_is_told_in_one_line(tmp_path: Path) -> None:
    """A file where the directory should be: the line names it and the option."""
    (tmp_path / "file").write_text("")
    with pytest.raises(LocalPartError, match=r"cannot write .*file.*--data"):
        DataDirectory(tmp_path / "file").acquire()
