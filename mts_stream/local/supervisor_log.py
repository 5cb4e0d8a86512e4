"""What the supervisor has written of one run: its steps while it starts, and its last line when it has ended."""

from __future__ import annotations

import re
from pathlib import Path
from typing import BinaryIO

from mts_stream.errors import LocalPartError
from mts_stream.local.disk import disk_errors
from mts_stream.local.process import open_log, read_since

# The supervisor puts the time before every step; its last line, an error as `up` shows it, has none.
STEP = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d (?!ready: )(.+)\n")


class SupervisorLog:
    """The log from its end at the time of asking: what earlier runs wrote stays in the file and is not of this one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._start = path.stat().st_size if path.exists() else 0
        self._seen = 0

    def open(self) -> BinaryIO:
        """The file for a supervisor that is about to start."""
        with disk_errors(self.path):
            file = open_log(self.path)
        self._start, self._seen = file.tell(), 0
        return file

    def new_steps(self) -> list[str]:
        """The steps that were written since the last call, without their times."""
        text = read_since(self.path, self._start)
        end = text.rfind("\n") + 1
        new, self._seen = text[self._seen : end], max(self._seen, end)
        return STEP.findall(new)

    def failure(self) -> LocalPartError:
        """Why the supervisor has ended, in its own last line."""
        lines = [line for line in read_since(self.path, self._start).splitlines() if line.strip()]
        reason = lines[-1] if lines else "the local parts ended before they said why"
        return LocalPartError(f"{reason} (log: {self.path})")
