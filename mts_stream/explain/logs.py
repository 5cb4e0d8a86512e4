"""The raw log to explain from, as often as one likes: captures, or a partition of mts.raw."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from mts_stream.replay import capture_lines
from mts_stream.settings import Settings
from mts_stream.wire.kafka import Reader
from mts_stream.wire.topics import RAW

MS_PER_S = 1000
READ_ON_S = 120  # a record is appended at most so long after the event time that it moves


class Log(Protocol):
    """One partition's records, in order."""

    @property
    def name(self) -> str:
        """What it is, for people."""

    def records(self) -> Iterator[tuple[int, bytes]]:
        """Offset and value of each record, from the first."""

    def place(self, offset: int) -> str:
        """Where a record stands, for people."""


@dataclass(frozen=True, slots=True)
class CaptureLog:
    """A capture file."""

    path: Path

    @property
    def name(self) -> str:
        """The file."""
        return str(self.path)

    def records(self) -> Iterator[tuple[int, bytes]]:
        """Its lines; what cannot be read is left out, as it moves nothing."""
        for offset, line in enumerate(capture_lines(self.path)):
            if isinstance(line, bytes) and line:
                yield offset, line

    def place(self, offset: int) -> str:
        """The line, counted from 1."""
        return f"{self.path.name} line {offset + 1}"


@dataclass(slots=True)
class KafkaLog:
    """A partition of mts.raw between two times of appending; `begins_ms` is when its first record was appended."""

    settings: Settings
    partition: int
    from_ms: int
    until_ms: int
    begins_ms: int | None = None

    @property
    def name(self) -> str:
        """Topic and partition."""
        return f"{RAW}-{self.partition} at {self.settings.kafka_bootstrap_servers}"

    def records(self) -> Iterator[tuple[int, bytes]]:
        """What the topic still holds of that time, at most up to the end that stands now."""
        with Reader(self.settings, [RAW], from_ms=self.from_ms, partitions=[self.partition]) as reader:
            for record in reader.read_to_end():
                if self.begins_ms is None:
                    self.begins_ms = record.timestamp_ms
                if record.timestamp_ms > self.until_ms + READ_ON_S * MS_PER_S:
                    return
                yield record.offset, record.value or b""

    def place(self, offset: int) -> str:
        """Partition and offset."""
        return f"{RAW}-{self.partition} offset {offset}"
