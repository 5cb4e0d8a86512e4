"""Which process a process id stood for: ids are used again, an id with its start time is not."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

END_TIMEOUT_S = 10.0
POLL_INTERVAL_S = 0.02
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")  # start times count from the boot


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """A process, named so that no later one is taken for it."""

    pid: int
    started: str

    @classmethod
    def of(cls, pid: int) -> ProcessIdentity | None:
        """The process that has the id now, None when there is none."""
        started = _start_time(pid)
        return None if started is None else cls(pid, started)

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return _start_time(self.pid) == self.started

    def signal(self, signum: int) -> None:
        """Send it a signal, if it still runs."""
        if self.alive:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signum)

    def wait_end(self, timeout_s: float) -> bool:
        """Wait until it has ended; False when it has not within the time."""
        deadline = time.monotonic() + timeout_s
        while self.alive:
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_INTERVAL_S)
        return True

    def end(self, timeout_s: float = END_TIMEOUT_S) -> None:
        """Ask it to end and kill it after the time."""
        self.signal(signal.SIGTERM)
        if not self.wait_end(timeout_s):
            self.signal(signal.SIGKILL)
            self.wait_end(timeout_s)


def _start_time(pid: int) -> str | None:
    """When a process started, in the system's own words; None when it does not run (a zombie does not)."""
    if Path("/proc/self/stat").exists():
        return _start_time_linux(pid)
    command = ["ps", "-o", "stat=,lstart=", "-p", str(pid)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    state, _, started = answer.stdout.strip().partition(" ")
    return started.strip() if started and not state.startswith("Z") else None


def _start_time_linux(pid: int) -> str | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name, in brackets, may hold spaces and brackets itself; field 3 is the state, field 22 the start in ticks.
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in ("Z", "X") else f"{BOOT_ID.read_text().strip()}/{fields[19]}"
