"""Captures on disk: files of whole compressed frames, so that what was written can be read however it ends.

Lines wait in memory until FRAME_BYTES have come or `flush` is called, then go to the file as one compressed frame.
A write that fails is cut back to the last whole frame. A file is called `.part` until it is closed.
"""

import errno
import gzip
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

FRAME_BYTES = 1 << 20
FLUSH_S = 1.0
LEVEL = 3
PART = ".part"
SUFFIX = ".jsonl.zst"
LINE_BREAKS = bytes.maketrans(b"\r\n", b"  ")

COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    ".jsonl.zst": lambda lines: zstd.compress(lines, LEVEL),
    ".jsonl.gz": lambda lines: gzip.compress(lines, 6, mtime=0),
    ".jsonl": bytes,
}


def suffix_of(path: Path) -> str | None:
    """The ending of a capture's name; None for another file."""
    return next((suffix for suffix in COMPRESS if path.name.endswith(suffix)), None)


def one_line(value: bytes) -> bytes:
    """A value as one line; JSON means the same with a space where a line broke."""
    return value.translate(LINE_BREAKS) + b"\n"


def refusal(error: OSError, path: Path) -> str:
    """What the disk refused and what to do, for a line of the user's."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"no space left on the disk of {path}: free some room or choose another --out"
    return f"cannot write to {path}: {error.strerror or error}; choose another --out"


class CaptureFile:
    """One file that grows by whole frames; `records` and `size_bytes` count what stands in it."""

    def __init__(self, path: Path) -> None:
        suffix = suffix_of(path)
        if suffix is None:
            raise ValueError(f"{path}: a capture's name ends in {', '.join(COMPRESS)}")
        self.path = path
        self.records = self.waiting = self.unwritten = self.size_bytes = 0
        self.opened_s = time.monotonic()
        self._compress = COMPRESS[suffix]
        self._part = path.with_name(path.name + PART)
        self._file = self._part.open("xb", buffering=0)
        self._lines = bytearray()

    def add(self, value: bytes) -> None:
        """Take a record; raises OSError where the disk refuses."""
        self._lines += one_line(value)
        self.waiting += 1
        if len(self._lines) >= FRAME_BYTES:
            self.flush()

    def flush(self) -> None:
        """Bring what waits into the file; raises OSError, and then what waited is `unwritten`."""
        if not self.waiting:
            return
        frame = self._compress(bytes(self._lines))
        count, self.waiting = self.waiting, 0
        self._lines.clear()
        try:
            self._write(frame)
        except OSError:
            self.unwritten += count
            with suppress(OSError):  # readers stop at a broken last frame as well
                self._file.truncate(self.size_bytes)
            raise
        self.size_bytes += len(frame)
        self.records += count

    def _write(self, frame: bytes) -> None:
        left = memoryview(frame)
        while left:
            left = left[self._file.write(left) :]

    def close(self) -> None:
        """Write the rest and take the final name; a file without a whole frame is removed. Raises OSError."""
        if self._file.closed:
            return
        try:
            self.flush()
            os.fsync(self._file.fileno())
        finally:
            self._file.close()
            if self.size_bytes:
                self._part.rename(self.path)
            else:
                self._part.unlink()


@dataclass(frozen=True, slots=True)
class Rotation:
    """When a new file begins: at so many bytes on disk or so many seconds; None for never."""

    bytes_max: int | None = None
    seconds_max: float | None = None

    def is_due(self, file: CaptureFile) -> bool:
        """Whether a file is full or old enough."""
        if self.bytes_max is not None and file.size_bytes >= self.bytes_max:
            return True
        return self.seconds_max is not None and time.monotonic() - file.opened_s >= self.seconds_max


@dataclass(slots=True)
class Counts:
    """What stands in files that are closed."""

    records: int = 0
    unwritten: int = 0
    size_bytes: int = 0
    files: int = 0


class CaptureDirectory:
    """The files of a recording: `<name>-<nnnn>.jsonl.zst`, a name per partition, begun anew as the rotation says."""

    def __init__(self, directory: Path, rotation: Rotation) -> None:
        self.directory, self.rotation = directory, rotation
        self._open: dict[str, CaptureFile] = {}
        self._numbers: dict[str, int] = {}
        self._closed = Counts()
        self._flush_due_s = time.monotonic() + FLUSH_S

    def add(self, name: str, value: bytes) -> None:
        """Take a record of a name; raises OSError where the disk refuses."""
        file = self._open.get(name)
        if file is None:
            file = self._open[name] = self._begin(name)
        file.add(value)

    def _begin(self, name: str) -> CaptureFile:
        number = self._numbers.get(name, 0)
        self._numbers[name] = number + 1
        return CaptureFile(self.directory / f"{name}-{number:04d}{SUFFIX}")

    def tick(self) -> None:
        """Once in a while: what waits goes to disk at least every FLUSH_S, and full files are closed."""
        now_s = time.monotonic()
        if now_s >= self._flush_due_s:
            self._flush_due_s = now_s + FLUSH_S
            for file in self._open.values():
                file.flush()
        for name, file in list(self._open.items()):
            if self.rotation.is_due(file):
                self._close(name)

    def close(self) -> None:
        """Close all files, those too that come after one that fails; raises the first OSError."""
        first: OSError | None = None
        for name in list(self._open):
            try:
                self._close(name)
            except OSError as error:
                first = first or error
        if first is not None:
            raise first

    def _close(self, name: str) -> None:
        file = self._open.pop(name)
        try:
            file.close()
        finally:
            self._closed.records += file.records
            self._closed.unwritten += file.unwritten
            self._closed.size_bytes += file.size_bytes
            self._closed.files += bool(file.size_bytes)

    @property
    def counts(self) -> Counts:
        """What stands on disk now, in all files; what still waits counts as nothing yet."""
        total = Counts(self._closed.records, self._closed.unwritten, self._closed.size_bytes, self._closed.files)
        for file in list(self._open.values()):  # asked from another thread than the one that writes
            total.records += file.records
            total.unwritten += file.unwritten
            total.size_bytes += file.size_bytes
            total.files += bool(file.size_bytes)
        return total
