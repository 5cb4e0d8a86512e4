"""Waiting for something to become true, with a deadline and without luck."""

import time
from collections.abc import Callable
from pathlib import Path

DEADLINE_S = 30.0


def wait_until(condition: Callable[[], bool], what: str, deadline_s: float = DEADLINE_S) -> None:
    """Return when the condition holds; fail with `what` after the deadline."""
    deadline = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {deadline_s} s: {what}"
        time.sleep(0.01)


def read_when_there(path: Path) -> str:
    """The content of a file that another process is about to write."""
    wait_until(lambda: path.exists() and path.read_text() != "", f"{path} is written")
    return path.read_text()
