"""One child process: it logs to a file, dies with its parent, and is ended within a bound."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from mts_stream.errors import LocalPartError
from mts_stream.local import guard
from mts_stream.local.disk import disk_errors

STOP_TIMEOUT_S = 10.0
LOG_TAIL_BYTES = 64 * 1024
LOG_BYTES_MAX = 16 * 1024 * 1024  # a longer log is moved aside when the child starts again


class ChildProcess:
    """A command in a session of its own, so that a terminal's Ctrl-C reaches it only through `stop`.

    Start it from the thread that lives as long as the program does (an event loop in the main thread): Linux ends
    the child when that thread ends. `env` is added to the parent's environment.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        log_path: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        stop_timeout_s: float = STOP_TIMEOUT_S,
        guard_mode: str = "signal" if sys.platform == "linux" else "pipe",
    ) -> None:
        self.name = name
        self.command = list(command)
        self.log_path = log_path
        self.stop_timeout_s = stop_timeout_s
        self._environment = {**os.environ, **(env or {})}
        self._cwd = cwd
        self._guard_mode = guard_mode
        self._log_start = 0
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start the command; `LocalPartError` when its log cannot be written."""
        with disk_errors(self.log_path):
            log = open_log(self.log_path)
        with log:
            self._log_start = log.tell()
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", guard.__file__, self._guard_mode, str(os.getpid())),
                *self.command,
                stdin=asyncio.subprocess.PIPE if self._guard_mode == "pipe" else asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                cwd=self._cwd,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The process id, also after the end."""
        return self._started().pid

    @property
    def exit_code(self) -> int | None:
        """The exit code, negative for a signal; None while it runs or before it was started."""
        return None if self._process is None else self._process.returncode

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.returncode is None

    async def wait(self) -> int:
        """Wait for the end and give the exit code."""
        return await self._started().wait()

    async def stop(self) -> int | None:
        """Ask it to end, kill it after `stop_timeout_s`, and give the exit code (None when it never started)."""
        process = self._process
        if process is None:
            return None
        try:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.terminate()
            return await asyncio.wait_for(process.wait(), self.stop_timeout_s)
        except TimeoutError:
            self._kill_group()
            return await process.wait()
        finally:
            self._kill_group()

    def log_tail(self) -> str:
        """The last 64 KiB that it has written since it was started; the log also holds what earlier ones wrote."""
        return read_since(self.log_path, self._log_start)

    def killed_text(self) -> str | None:
        """The line for a process that a signal ended; None when none did, as far as can be seen."""
        code = self.exit_code
        return None if code is None or code >= 0 else f"{self.name} was killed by signal {-code}"

    def _started(self) -> asyncio.subprocess.Process:
        if self._process is None:
            raise LocalPartError(f"{self.name} was never started")
        return self._process

    def _kill_group(self) -> None:
        # What the child started itself shares its process group; the group outlives its leader.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)


def read_tail(path: Path, size: int = LOG_TAIL_BYTES) -> str:
    """The last `size` bytes of a file as text, empty when there is no such file."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - size))
            return file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""


def read_since(path: Path, start: int) -> str:
    """The last 64 KiB of what a log has got since it was `start` bytes long."""
    size = path.stat().st_size if path.exists() else 0
    # A log that was turned over since is shorter than it was.
    grown = size - start if size >= start else size
    return read_tail(path, min(LOG_TAIL_BYTES, grown))


def open_log(path: Path) -> BinaryIO:
    """A log to append to, its directory made; a long one is moved aside first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > LOG_BYTES_MAX:
        path.replace(path.with_suffix(path.suffix + ".1"))
    return path.open("ab")
