"""A capture's lines: whatever can be read of a file is given, and what cannot is told where it stands."""

import gzip
import io
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mts_stream.errors import UsageError
from mts_stream.wire.codec import PAYLOAD_BYTES_MAX
from mts_stream.wire.topics import MESSAGE_BYTES_MAX

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

SUFFIXES = (".jsonl", ".jsonl.gz", ".jsonl.zst")
CHUNK_BYTES = 1 << 18
LINE_BYTES_MAX = MESSAGE_BYTES_MAX  # no record of the topic is longer
TOO_LONG = "line_too_long"
BROKEN = "broken_capture"
BROKEN_FILE_ERRORS = (EOFError, OSError, zlib.error, zstd.ZstdError)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """What stands in a line's place where it cannot be given whole: why, its first bytes, and its length so far."""

    reason: str
    detail: str
    head: bytes
    size_bytes: int


def ignore(_: object) -> None:
    """For whoever does not want to be told."""


def capture_lines(capture: Path, on_bytes: Callable[[int], None] = ignore) -> Iterator[bytes | Unreadable]:
    """The lines of a capture without their ends; `on_bytes` is told how many bytes of the file were read.

    A line of more than LINE_BYTES_MAX is Unreadable, and so is the place where a file breaks off, always its last.
    """
    lines = _Lines()
    with capture.open("rb") as raw:
        told = 0
        try:
            for chunk in _chunks(capture, raw):
                yield from lines.split(chunk)
                on_bytes(raw.tell() - told)
                told = raw.tell()
        except BROKEN_FILE_ERRORS as error:
            yield Unreadable(BROKEN, f"the file breaks off: {error}", bytes(lines.begun), lines.begun_bytes)
            return
        finally:
            on_bytes(raw.tell() - told)
    yield from lines.last()


def read_lines(capture: Path, on_bytes: Callable[[int], None], on_unreadable: Callable[[str], None]) -> Iterator[bytes]:
    """The lines that can be read; the others are told, with their number."""
    for number, line in enumerate(capture_lines(capture, on_bytes), start=1):
        if isinstance(line, bytes):
            yield line
        else:
            on_unreadable(f"{capture} line {number}: {line.detail}")


def _chunks(capture: Path, raw: io.BufferedReader) -> Iterator[bytes]:
    opened = _opened(capture, raw)
    while chunk := opened.read1(CHUNK_BYTES):
        yield chunk


def _opened(capture: Path, raw: io.BufferedReader) -> gzip.GzipFile | zstd.ZstdFile | io.BufferedReader:
    if capture.name.endswith(".gz"):
        return gzip.GzipFile(fileobj=raw)
    if capture.name.endswith(".zst"):
        return zstd.ZstdFile(raw)
    return raw


class _Lines:
    """Cuts chunks into lines and keeps of a line that is too long no more than its head."""

    def __init__(self) -> None:
        self.begun = bytearray()
        self.begun_bytes = 0

    def split(self, chunk: bytes) -> Iterator[bytes | Unreadable]:
        """The lines that a chunk ends; what it begins is kept."""
        ended, *others = chunk.split(b"\n")
        self._go_on(ended)
        if others:
            yield self._ended()
            yield from (line.rstrip(b"\r") for line in others[:-1])
            self._go_on(others[-1])

    def last(self) -> Iterator[bytes | Unreadable]:
        """The last line, where it lacks its end."""
        if self.begun_bytes:
            yield self._ended()

    def _go_on(self, part: bytes) -> None:
        self.begun_bytes += len(part)
        self.begun += part
        if self.begun_bytes > LINE_BYTES_MAX:
            del self.begun[PAYLOAD_BYTES_MAX:]

    def _ended(self) -> bytes | Unreadable:
        line, size_bytes = bytes(self.begun), self.begun_bytes
        self.begun.clear()
        self.begun_bytes = 0
        if size_bytes > LINE_BYTES_MAX:
            return Unreadable(TOO_LONG, f"{size_bytes} bytes, a record has {LINE_BYTES_MAX} at most", line, size_bytes)
        return line.rstrip(b"\r")


def check_captures(captures: Iterable[Path]) -> None:
    """Refuse what is no capture, by name; raises UsageError."""
    for capture in captures:
        if not capture.is_file():
            raise UsageError(f"{capture}: there is no such file; give captures ({', '.join(SUFFIXES)})")
        if not capture.name.endswith(SUFFIXES):
            raise UsageError(f"{capture}: a capture's name ends in {', '.join(SUFFIXES)}")
        try:
            is_empty = capture.stat().st_size == 0 or next(capture_lines(capture), None) is None
        except OSError as error:
            raise UsageError(f"{capture}: {error.strerror or error}; give captures that can be read") from error
        if is_empty:
            raise UsageError(f"{capture}: the file is empty")
