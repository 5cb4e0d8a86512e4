"""What was sent: mts.signals, or the signals.jsonl that a recording keeps beside its captures."""

import time
from pathlib import Path
from typing import NamedTuple

import msgspec

from mts_stream.settings import Settings
from mts_stream.wire.kafka import Reader, Record
from mts_stream.wire.topics import INSTRUMENTS, RAW, SIGNALS, TOPICS

SIGNALS_FILE = "signals.jsonl"
RECENT_MS = 15 * 60 * 1000
RAW_KEEPS_MS = next(topic.retention_ms for topic in TOPICS if topic.name == RAW) or 0


class _Head(msgspec.Struct):
    id: str
    event_time_ns: int


class SentSignals(NamedTuple):
    """The signals of one subject as they stand on the topic, and how many were read to find them."""

    partition: int | None
    values: dict[str, bytes]
    first_event_ns: int
    last_event_ns: int
    read: int


def sent_beside(captures: list[Path], subject: str) -> dict[str, bytes]:
    """The signals of a subject, by id, in the files beside the captures."""
    found: dict[str, bytes] = {}
    for path in sorted({capture.parent / SIGNALS_FILE for capture in captures}):
        if path.is_file():
            with path.open("rb") as lines:
                for line in lines:
                    head = _head(line, subject)
                    if head is not None:
                        found.setdefault(head.id, line.rstrip(b"\r\n"))
    return found


def sent_on_topic(settings: Settings, subject: str) -> SentSignals:
    """The signals of a subject, first among those of the last minutes, then as far back as the raw log is kept."""
    read = 0
    for back_ms in (RECENT_MS, RAW_KEEPS_MS):
        from_ms = int(time.time() * 1000) - back_ms
        with Reader(settings, [SIGNALS], from_ms=from_ms) as reader:
            records = []
            for record in reader.read_to_end():
                read += 1
                if subject.encode() in (record.value or b""):
                    records.append(record)
        sent = _sent(records, subject, read)
        if sent.partition is not None and any(key.endswith("-0") or key == subject for key in sent.values):
            return sent  # with its first event; else it opened before
    return sent


def _sent(records: list[Record], subject: str, read: int) -> SentSignals:
    partition: int | None = None
    values: dict[str, bytes] = {}
    times: list[int] = []
    for record in records:
        head = _head(record.value or b"", subject)
        if head is not None:
            partition = record.partition
            values.setdefault(head.id, record.value or b"")
            times.append(head.event_time_ns)
    return SentSignals(partition, values, min(times, default=0), max(times, default=0), read)


def _head(value: bytes, subject: str) -> _Head | None:
    if subject.encode() not in value:
        return None
    try:
        head = msgspec.json.decode(value, type=_Head)
    except msgspec.DecodeError:
        return None
    return head if head.id.startswith(subject) else None


def partition_of(settings: Settings, pair: str) -> int | None:
    """The partition of a pair: it is the same in every topic, and mts.instruments keeps each pair."""
    with Reader(settings, [INSTRUMENTS]) as reader:
        for record in reader.read_to_end():
            if record.key == pair.encode():
                return record.partition
    return None
