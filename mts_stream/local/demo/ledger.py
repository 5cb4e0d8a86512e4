"""Every result seen on the result topics, counted by its natural key; pure: it is told records."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import orjson

from mts_stream.local.demo.episodes import Opened
from mts_stream.wire.kafka import Record
from mts_stream.wire.topics import DEAD_LETTERS, FUNDING, QUALITY, SIGNALS, SPREADS

Fields = dict[str, Any]

NATURAL_KEYS: dict[str, Callable[[Fields], str]] = {
    SIGNALS: lambda m: str(m["id"]),
    SPREADS: lambda m: f"{m['pair']}|{m['direction']}|{m['window_start_ns']}",
    FUNDING: lambda m: str(m["message_id"]),
    QUALITY: lambda m: f"{m['type']}|{m['subject']}|{m['window_start_ns']}",
}


def digest(key: str) -> int:
    """A natural key in eight bytes: a day of results then fits into memory."""
    return int.from_bytes(blake2b(key.encode(), digest_size=8).digest(), "big")


@dataclass(slots=True)
class ResultLedger:
    """Distinct results by topic, repeats, refusals and worker's dead letters, and the opportunities that opened."""

    keys: dict[str, set[int]] = field(default_factory=lambda: {topic: set() for topic in NATURAL_KEYS})
    repeats: int = 0
    refused: set[tuple[str, int, int]] = field(default_factory=set)
    opened: list[Opened] = field(default_factory=list)
    next_offsets: dict[tuple[str, int], int] = field(default_factory=dict)

    def on_records(self, records: Iterable[Record]) -> list[tuple[Record, Fields]]:
        """Count the records; gives those that are new, decoded, for whoever shows them."""
        return [(record, message) for record in records if (message := self._on_record(record)) is not None]

    @property
    def results(self) -> int:
        """Distinct results."""
        return sum(map(len, self.keys.values()))

    def reached(self, ends: dict[tuple[str, int], int]) -> bool:
        """Whether everything before these end offsets was seen; a partition never read from counts as at 0."""
        return all(self.next_offsets.get(where, 0) >= end for where, end in ends.items())

    def _on_record(self, record: Record) -> Fields | None:
        self.next_offsets[record.topic, record.partition] = record.offset + 1
        try:
            message: Fields = orjson.loads(record.value or b"")
            return self._on_message(record.topic, message)
        except (ValueError, KeyError, TypeError):
            # What cannot be read is a result all the same: the sink must have refused it.
            self._is_new(record.topic, f"{record.topic}/{record.partition}/{record.offset}")
            return None

    def _on_message(self, topic: str, message: Fields) -> Fields | None:
        if topic == DEAD_LETTERS:
            if message["origin"] == "sink":
                self.refused.add((message["topic"], message["partition"], message["offset"]))
            return message
        opened = _opened(message) if topic == SIGNALS and message["type"] == "arbitrage.opened" else None
        if not self._is_new(topic, NATURAL_KEYS[topic](message)):
            return None
        if opened is not None:
            self.opened.append(opened)
        return message

    def _is_new(self, topic: str, key: str) -> bool:
        if topic not in self.keys:
            return True
        known, number = self.keys[topic], digest(key)
        if number in known:
            self.repeats += 1
            return False
        known.add(number)
        return True


def _opened(message: Fields) -> Opened:
    return Opened(message["opportunity_id"], message["pair"], message["direction"], message["event_time_ns"])
