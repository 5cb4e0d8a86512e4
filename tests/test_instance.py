"""A worker's own name in its group: the same after every start, never held by two at once."""

import subprocess
import sys
from pathlib import Path

from mts_stream.instance import OwnInstanceId

HOLD = """
import sys, time
from pathlib import Path
from mts_stream.instance import OwnInstanceId
held = OwnInstanceId(Path(sys.argv[1]))
print(held.name, flush=True)
time.sleep(60)
"""


def test_a_worker_that_starts_again_has_its_name_again(tmp_path: Path) -> None:
    """And another directory has another one."""
    first = OwnInstanceId(tmp_path)
    first.close()
    (tmp_path / "other").mkdir()
    again, other = OwnInstanceId(tmp_path), OwnInstanceId(tmp_path / "other")

    assert first.name == again.name != other.name
    assert "" not in (first.name, other.name)
    again.close()
    other.close()


def test_a_second_worker_of_the_same_directory_goes_without(tmp_path: Path) -> None:
    """With one name they would throw each other out of the group; a kill frees it at once."""
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        name = holder.stdout.readline().strip()
        second = OwnInstanceId(tmp_path)
        holder.kill()
        holder.wait(10)
    after = OwnInstanceId(tmp_path)

    assert (second.name, after.name) == ("", name)
    second.close()
    after.close()


def test_without_a_place_to_keep_it_there_is_no_name(tmp_path: Path) -> None:
    """The worker works all the same, and a restart costs it the session's time."""
    nameless = OwnInstanceId(tmp_path / "missing")

    assert nameless.name == ""
    nameless.close()
