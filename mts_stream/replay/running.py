"""One capture through one engine: its results into files, its dead letters with their line."""

import io
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from mts_stream.domain.economics import EconomicSettings
from mts_stream.domain.engine import CLOCK_KEY, PartitionEngine
from mts_stream.domain.evaluation import MissingFeeError
from mts_stream.domain.kernel import KernelChoice, kernel
from mts_stream.domain.market_data import MarketEvent
from mts_stream.domain.messages import Message
from mts_stream.errors import BadRecordError, SettingsError
from mts_stream.replay.captures import BROKEN, Unreadable, capture_lines
from mts_stream.wire.codec import dead_letter, encode_message, topic_of
from mts_stream.wire.reading import record_reader
from mts_stream.wire.topics import FUNDING, QUALITY, RAW, SIGNALS, SPREADS

FILE_OF = {
    SIGNALS: "signals.jsonl",
    SPREADS: "spreads.jsonl",
    FUNDING: "funding.jsonl",
    QUALITY: "quality.jsonl",
}
DEAD_LETTERS_FILE = "dlq.jsonl"
FILES = (*FILE_OF.values(), DEAD_LETTERS_FILE)
BATCH_BYTES_MAX = 1 << 23

Line = tuple[int, bytes | Unreadable]  # offset, value


@dataclass(frozen=True, slots=True)
class Pace:
    """How a capture is worked off: none of it may change a result.

    With `restart_first` an engine is thrown away at the end of the batch that reaches so many records, and a new one
    goes on from its checkpoints; then at three times as many, but at the latest after `restart_every` more.
    """

    batch_records: int = 1000
    restart_first: int | None = None
    restart_every: int = 4999

    def next_restart(self, records: int) -> int:
        """When to restart after a restart."""
        return min(3 * records, records + self.restart_every)


STEADY = Pace()
UNSTEADY = Pace(batch_records=37, restart_first=97)


@dataclass(frozen=True, slots=True)
class Job:
    """One capture to replay: as which partition, under which settings, at which pace, into which folder."""

    capture: Path
    partition: int
    folder: Path
    settings: EconomicSettings
    pace: Pace = STEADY
    kernel: KernelChoice = "auto"


@dataclass
class Summary:
    """What a replay read and wrote."""

    records: int = 0
    evaluated: int = 0
    dead_by_reason: Counter[str] = field(default_factory=Counter)
    truncated: list[str] = field(default_factory=list)
    written: Counter[str] = field(default_factory=Counter)

    @property
    def dead(self) -> int:
        """Records that are dead letters."""
        return self.dead_by_reason.total()

    def add(self, other: "Summary") -> None:
        """Count another capture in."""
        self.records += other.records
        self.evaluated += other.evaluated
        self.dead_by_reason += other.dead_by_reason
        self.truncated += other.truncated
        self.written += other.written

    def as_json(self) -> dict[str, object]:
        """For programs."""
        return {
            "event": "done",
            "records": self.records,
            "evaluated": self.evaluated,
            "not_evaluated": self.records - self.evaluated - self.dead,
            "dead": self.dead,
            "dead_by_reason": dict(sorted(self.dead_by_reason.items())),
            "truncated": self.truncated,
            "written": dict(sorted(self.written.items())),
        }


def run_job(job: Job, on_bytes: Callable[[int], None]) -> Summary:
    """Replay a capture into the files of its folder, which is made.

    Raises SettingsError for a fee that the table lacks, OSError where the disk refuses.
    """
    return run_lines(job, capture_lines(job.capture, on_bytes))


def run_lines(job: Job, lines: Iterator[bytes | Unreadable]) -> Summary:
    """The same with the lines given: nothing of them is kept, however many they are."""
    job.folder.mkdir(parents=True)
    with ExitStack() as stack:
        files = {name: stack.enter_context((job.folder / name).open("wb")) for name in FILES}
        return _Run(job, files).run(lines)


class _Run:
    def __init__(self, job: Job, files: dict[str, io.BufferedWriter]) -> None:
        self._job = job
        self._files = files
        self._engine = PartitionEngine(job.settings, kernel(job.kernel))
        self._read = record_reader(self._engine.kernel.name)
        self._restart_at = job.pace.restart_first
        self._summary = Summary()

    def run(self, lines: Iterator[bytes | Unreadable]) -> Summary:
        """Batch by batch, each read whole before the engine sees it and written when it has been handled."""
        for batch in _batches(lines, self._job.pace.batch_records):
            decoded = [(offset, line, self._decoded(offset, line)) for offset, line in batch if line]
            messages = [
                m for offset, line, event in decoded if event is not None for m in self._on(event, offset, line)
            ]
            for message in messages:
                self._write(FILE_OF[topic_of(message)], encode_message(message))
            self._end_batch(batch[-1][0])
        return self._summary

    def _decoded(self, offset: int, line: bytes | Unreadable) -> MarketEvent | BadRecordError:
        if isinstance(line, Unreadable):
            return BadRecordError(line.reason, line.detail)
        try:
            return self._read(line)
        except BadRecordError as error:
            return error

    def _on(self, event: MarketEvent | BadRecordError, offset: int, line: bytes | Unreadable) -> list[Message]:
        self._summary.records += 1
        try:
            if isinstance(event, BadRecordError):
                raise event
            handled = self._engine.on_event(event, offset)
        except BadRecordError as error:
            self._dead(error, offset, line)
            return []
        except MissingFeeError as error:
            raise SettingsError(str(error.args[0])) from error
        self._summary.evaluated += handled.evaluated
        return handled.messages

    def _dead(self, error: BadRecordError, offset: int, line: bytes | Unreadable) -> None:
        self._summary.dead_by_reason[error.reason] += 1
        if error.reason == BROKEN:
            self._summary.truncated.append(f"{self._job.capture}: broken after line {offset}: {error.detail}")
        payload, size = (line, len(line)) if isinstance(line, bytes) else (line.head, line.size_bytes)
        letter = dead_letter(
            origin="worker", reason=error.reason, detail=f"line {offset + 1}: {error.detail}", topic=RAW,
            partition=self._job.partition, offset=offset, venue=None, stream=None, payload=payload, payload_bytes=size,
        )  # fmt: skip
        self._write(DEAD_LETTERS_FILE, letter)

    def _write(self, name: str, value: bytes) -> None:
        self._files[name].write(value + b"\n")
        self._summary.written[name] += 1

    def _end_batch(self, offset: int) -> None:
        self._engine.clock.forget_before(offset)  # nothing is ever read again from before here
        if self._restart_at is not None and offset >= self._restart_at:
            self._restart_at = self._job.pace.next_restart(offset)
            self._engine = restarted(self._engine)


def restarted(engine: PartitionEngine) -> PartitionEngine:
    """A new engine that goes on from another's checkpoints, as after a crash."""
    successor = PartitionEngine(engine.settings, engine.kernel)
    for key in (CLOCK_KEY, *engine.pairs):
        successor.restore(key, engine.snapshot(key))
    return successor


def _batches(lines: Iterator[bytes | Unreadable], records: int) -> Iterator[list[Line]]:
    batch: list[Line] = []
    size_bytes = 0
    for offset, line in enumerate(lines):
        batch.append((offset, line))
        size_bytes += len(line) if isinstance(line, bytes) else len(line.head)
        if len(batch) >= records or size_bytes >= BATCH_BYTES_MAX:
            yield batch
            batch, size_bytes = [], 0
    if batch:
        yield batch
