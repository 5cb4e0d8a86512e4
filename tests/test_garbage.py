"""When Python looks for garbage in a worker."""

import subprocess
import sys

CODE = """
import gc
from mts_stream.garbage import YOUNG_MAX, look_seldom

class Node: ...

def seen():
    found = []
    gc.callbacks.append(lambda phase, _: found.append(phase))
    node = Node()
    node.self = node
    kept = [(number, b"value") for number in range(5 * YOUNG_MAX)]
    gc.callbacks.clear()
    return found.count("start")

before = seen()
look_seldom()
print(before // seen(), gc.get_freeze_count() > 1000)
"""


def test_a_worker_looks_seldom_for_garbage_and_never_among_what_stays() -> None:
    """A batch of records is not looked through while it is handled; yet cycles are found in the end."""
    out = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True).stdout.split()

    assert int(out[0]) >= 20
    assert out[1] == "True"
