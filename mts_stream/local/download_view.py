"""How a first download is shown: a bar in a terminal, a few calm lines anywhere else."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from mts_stream.local.jars import DownloadView

MEGABYTE = 1_000_000
LINE_STEP_PERCENT = 25


class BarView:
    """A progress bar on standard error."""

    def __init__(self) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
        self._progress = Progress(*columns, console=Console(stderr=True))
        self._task = self._progress.add_task("download", start=False, visible=False)

    def begin(self, title: str, total_bytes: int) -> None:
        """Show the bar."""
        self._progress.update(self._task, description=f"{title} (once)", total=total_bytes, visible=True)
        self._progress.start_task(self._task)
        self._progress.start()

    def advance(self, size_bytes: int) -> None:
        """Move the bar."""
        self._progress.advance(self._task, size_bytes)

    def end(self) -> None:
        """Leave the bar as it stands."""
        self._progress.stop()


class LineView:
    """A line at the start, at every quarter and at the end."""

    def __init__(self, report: Callable[[str], None], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._report = report
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._title = ""
        self._total = self._done = self._said_percent = 0
        self._began_s = 0.0

    def begin(self, title: str, total_bytes: int) -> None:
        """Say what is coming."""
        self._title, self._total, self._done, self._said_percent = title, total_bytes, 0, 0
        self._began_s = self._monotonic()
        self._report(f"downloading {title} ({total_bytes / MEGABYTE:.0f} MB, once)")

    def advance(self, size_bytes: int) -> None:
        """Say it when another quarter is there."""
        with self._lock:
            self._done += size_bytes
            percent = min(100, 100 * self._done // self._total) // LINE_STEP_PERCENT * LINE_STEP_PERCENT
            if percent > self._said_percent and percent < 100:
                self._said_percent = percent
                self._report(f"downloading {self._title}: {percent} %")

    def end(self) -> None:
        """Say that it is done, if it is."""
        if self._done >= self._total:
            self._report(f"downloaded {self._title} in {self._monotonic() - self._began_s:.0f} s")


def download_view(report: Callable[[str], None]) -> DownloadView:
    """A bar when standard error is a terminal, else lines through `report`."""
    return BarView() if sys.stderr.isatty() else LineView(report)
