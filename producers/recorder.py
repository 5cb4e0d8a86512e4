"""The raw log into capture files: read back from Kafka, or straight from the venues' feeds."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mts_stream.errors import CaptureError, UsageError
from mts_stream.settings import Settings
from mts_stream.wire.kafka import LATEST, Reader, Record
from mts_stream.wire.topics import RAW
from producers.captures import SUFFIX, CaptureDirectory, Counts, Rotation, refusal
from producers.file_publisher import FilePublisher
from producers.service import ProducerService

POLL_S = 0.2
LIVE_PARTITIONS = 1  # one total order; nothing about a pair depends on what shares its partition

Progress = Callable[[int, int], None]


def prepare_directory(directory: Path) -> None:
    """Make the directory before anything is recorded; raises UsageError where captures stand in it already."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        standing = next((p for name in ("capture", "dlq") for p in directory.glob(f"{name}-*{SUFFIX}*")), None)
    except OSError as error:
        what = error.strerror or str(error)
        raise UsageError(f"--out {directory}: {what}; choose a directory that can be written") from error
    if standing is not None:
        raise UsageError(f"--out {directory}: it holds a capture already ({standing.name}); choose another directory")


def disk_refused(error: OSError, directory: Path, counts: Counts) -> CaptureError:
    """One line about what the disk refused, what can be read all the same, and what to do."""
    readable = f"{counts.records} records in {counts.files} files of {directory} can be read"
    return CaptureError(f"{refusal(error, directory)}; {readable}")


@dataclass(slots=True)
class PartitionTotals:
    """What was taken of one partition; `missing` offsets were gone before they could be read."""

    records: int = 0
    without_value: int = 0
    missing: int = 0
    first_offset: int | None = None
    last_offset: int | None = None

    def take(self, record: Record) -> None:
        """Count a record."""
        if self.last_offset is None:
            self.first_offset = record.offset
        else:
            self.missing += record.offset - self.last_offset - 1
        self.last_offset = record.offset
        self.records += 1
        self.without_value += not record.value

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass
class KafkaRecorder:
    """Reads mts.raw and writes a capture per partition until told to stop. Blocks: give it a thread of its own."""

    settings: Settings
    directory: Path
    rotation: Rotation
    from_beginning: bool = False
    totals: dict[int, PartitionTotals] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.files = CaptureDirectory(self.directory, self.rotation)

    def run(self, is_done: Callable[[], bool], on_ready: Callable[[], None], on_progress: Progress) -> None:
        """Record; raises CaptureError where the disk refuses, KafkaUnavailableError."""
        try:
            try:
                self._read(is_done, on_ready, on_progress)
            finally:
                self.files.close()
        except OSError as error:
            raise disk_refused(error, self.directory, self.files.counts) from error

    def _read(self, is_done: Callable[[], bool], on_ready: Callable[[], None], on_progress: Progress) -> None:
        with Reader(self.settings, [RAW], from_ms=None if self.from_beginning else LATEST) as reader:
            on_ready()
            taken = 0
            while not is_done():
                records = reader.poll(POLL_S)
                for record in records:
                    self._take(record)
                self.files.tick()
                taken += len(records)
                on_progress(taken, self.files.counts.size_bytes)

    def _take(self, record: Record) -> None:
        self.totals.setdefault(record.partition, PartitionTotals()).take(record)
        self.files.add(f"capture-{record.partition}", record.value or b"")

    def summary(self) -> dict[str, Any]:
        """Exact counts of a recording that has ended."""
        counts = self.files.counts
        return {
            "records": counts.records,
            "unwritten": counts.unwritten,
            "files": counts.files,
            "bytes": counts.size_bytes,
            "missing": sum(totals.missing for totals in self.totals.values()),
            "partitions": {str(number): self.totals[number].as_json() for number in sorted(self.totals)},
        }


class LiveRecorder:
    """The venues' feeds into one capture, without Kafka."""

    def __init__(self, settings: Settings, directory: Path, rotation: Rotation) -> None:
        self.directory = directory
        self.files = CaptureDirectory(directory, rotation)
        self._settings = settings.model_copy(update={"partitions": LIVE_PARTITIONS})
        self._service: ProducerService | None = None

    async def run(self, stop: asyncio.Event, on_ready: Callable[[], None], on_progress: Progress) -> None:
        """Record until told to stop; raises CaptureError where the disk refuses."""
        loop = asyncio.get_running_loop()

        def on_failed() -> None:
            loop.call_soon_threadsafe(stop.set)

        publisher = FilePublisher(self._settings, self.files, on_failed)
        service = self._service = ProducerService(self._settings, publisher=publisher)
        showing = asyncio.create_task(self._show(service, on_ready, on_progress))
        try:
            await service.run(stop)
        finally:
            showing.cancel()
        if publisher.failure is not None:
            raise disk_refused(publisher.failure, self.directory, self.files.counts) from publisher.failure

    async def _show(self, service: ProducerService, on_ready: Callable[[], None], on_progress: Progress) -> None:
        await service.ready.wait()
        on_ready()
        while True:
            on_progress(sum(service.publisher.confirmed.values()), self.files.counts.size_bytes)
            await asyncio.sleep(POLL_S)

    def summary(self) -> dict[str, Any]:
        """Exact counts of a recording that has ended."""
        counts, service = self.files.counts, self._service
        return {
            "records": counts.records,
            "unwritten": counts.unwritten + (service.publisher.queued_records if service else 0),
            "files": counts.files,
            "bytes": counts.size_bytes,
            "by_kind": dict(sorted(service.publisher.confirmed.items())) if service else {},
            "pairs": len(service.listings) if service else 0,
        }
