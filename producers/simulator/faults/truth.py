"""What was done to whom and when: the faults of a run, in memory and as a growing JSON-lines file."""

from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from producers.simulator.faults.active import Fault
from producers.simulator.truth import LineFile

FAULTS_MAX = 10_000
"""Faults kept in memory; the file keeps all."""


class FaultTruth:
    """Records faults; one line is written when a fault has ended, or when the run does."""

    def __init__(self, path: Path | None) -> None:
        self._faults: deque[Fault] = deque(maxlen=FAULTS_MAX)
        self._file = LineFile(path)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The faults so far, in order of their begin."""
        return [fault.row() for fault in self._faults]

    def begin(self, fault: Fault) -> None:
        """A fault has begun."""
        self._faults.append(fault)

    def end(self, fault: Fault, now_ns: int) -> None:
        """A fault is over now."""
        fault.end_ns = now_ns
        self._file.write(fault.row())

    def close(self, running: Iterable[Fault], now_ns: int) -> None:
        """End what still runs, since the run does, and close the file."""
        for fault in running:
            self.end(fault, now_ns)
        self._file.close()
