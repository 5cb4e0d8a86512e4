"""How a demo speaks: plain lines on standard error, a live view in a terminal, two JSON lines for programs."""

import json
import sys
from collections.abc import Iterable
from typing import Any, TextIO

from rich.console import Console
from rich.live import Live

from mts_stream.local.demo.view import DemoView

FRAMES_PER_S = 4


class Voice:
    """Says things while somebody can hear them: a terminal that has gone must not end the demo half-way."""

    def __init__(self, as_json: bool, out: TextIO | None = None, err: TextIO | None = None) -> None:
        self._out = out or sys.stdout
        self._err = err or sys.stderr
        self._as_json = as_json
        self._live: Live | None = None
        self.in_terminal = self._out.isatty() and not as_json

    def say(self, *lines: str) -> None:
        """Progress, for people."""
        self._write(self._out if self.in_terminal else self._err, lines)

    def announce(self, event: dict[str, Any]) -> None:
        """One JSON line, for programs; nothing without `--json`."""
        if self._as_json:
            self._write(self._out, [json.dumps(event)])

    def show(self, view: DemoView) -> None:
        """Draw the live view, anew with every call; nothing outside a terminal."""
        if not self.in_terminal:
            return
        try:
            if self._live is None:
                console = Console(file=self._out)
                self._live = Live(view, console=console, auto_refresh=False, transient=True)
                self._live.start()
            self._live.refresh()
        except OSError:
            self._gone()

    def hide(self) -> None:
        """Take the live view away."""
        live, self._live = self._live, None
        if live is None:
            return
        try:
            live.stop()
        except OSError:
            self._gone()

    def _write(self, stream: TextIO, lines: Iterable[str]) -> None:
        try:
            for line in lines:
                stream.write(line + "\n")
            stream.flush()
        except (OSError, ValueError):
            self._gone()

    def _gone(self) -> None:
        """Nobody listens any more; the end is asked for by SIGHUP, or by whoever closed the pipe."""
        self.in_terminal, self._live = False, None
