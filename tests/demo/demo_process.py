"""A demo as a child process, as a person or a program runs it."""

import json
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from typing import Any

import psutil

READY_S = 90.0
END_S = 120.0
MARK = "MTS_DEMO_TEST"


class DemoProcess:
    """`mts-stream demo --json ...` in a process group of its own; every process below it carries a mark."""

    def __init__(self, *arguments: object, **environment: str) -> None:
        self._mark = secrets.token_hex(8)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "mts_stream.cli", "demo", "--json", *map(str, arguments)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
            env={**os.environ, MARK: self._mark, **environment},
        )  # fmt: skip
        self.out: list[str] = []
        self.err: list[str] = []
        self._changed = threading.Condition()
        self._readers = [
            threading.Thread(target=self._read, args=(stream, lines), daemon=True)
            for stream, lines in ((self._process.stdout, self.out), (self._process.stderr, self.err))
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, stream: Any, lines: list[str]) -> None:
        for line in stream:
            with self._changed:
                lines.append(line)
                self._changed.notify_all()

    def wait_for(self, text: str) -> None:
        """Wait until a line with the text was written to either stream."""
        with self._changed:
            found = self._changed.wait_for(lambda: any(text in line for line in [*self.out, *self.err]), READY_S)
        assert found, f"no line with {text!r}: {self.written}"

    def signal(self, signum: int) -> None:
        """Send a signal as a terminal does: to the whole group."""
        os.killpg(self._process.pid, signum)

    def child(self, text: str) -> psutil.Process:
        """The one process of this demo whose command holds the text."""
        (found,) = [p for p in self._marked() if text in " ".join(p.cmdline()) and p.pid != self._process.pid]
        return found

    def port_of(self, process: str) -> int:
        """The port of a process's metrics, as the ready line says."""
        return int(self.events[0]["all_metrics"][process].rsplit(":", 1)[1].split("/")[0])

    def end(self) -> tuple[int, float]:
        """Wait for the end; gives the exit code and how long that took."""
        begin = time.monotonic()
        try:
            code = self._process.wait(END_S)
        finally:
            if self._process.poll() is None:
                self.signal(signal.SIGKILL)
        for reader in self._readers:
            reader.join(10)
        return code, time.monotonic() - begin

    def left(self) -> list[str]:
        """What of this demo still runs."""
        return [" ".join(p.cmdline()) for p in self._marked()]

    @property
    def events(self) -> list[dict[str, Any]]:
        """The lines of standard output."""
        return [json.loads(line) for line in self.out]

    @property
    def written(self) -> str:
        """Everything that was written to either stream."""
        return "".join([*self.out, *self.err])

    def _marked(self) -> list[psutil.Process]:
        return [p for p in psutil.process_iter() if _mark_of(p) == self._mark]


def _mark_of(process: psutil.Process) -> str | None:
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return process.environ().get(MARK)
    except psutil.Error:
        return None
