"""The partitions of the raw log that this worker holds: one engine each, how far it is, what is not durable yet."""

import asyncio
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from mts_stream.domain.market_data import MarketEvent
from mts_stream.domain.messages import Message

CLOCK = "@"  # the engine's name of the partition's status clock


class Progress(Protocol):
    """How far a pair (or the clock) is: the last offset handled, the first one that no checkpoint holds."""

    offset: int
    pending: int | None


class Clock(Progress, Protocol):
    """The partition's status clock."""

    def forget_before(self, offset: int) -> None:
        """Drop what only a record before the committed offset could ask for."""


class Handled(Protocol):
    """What one record led to."""

    messages: list[Message]
    evaluated: bool
    skipped: bool


class Engine(Protocol):
    """Everything of one partition of the raw log; pure."""

    @property
    def pairs(self) -> Mapping[str, Progress]:
        """Every pair that it holds."""

    @property
    def clock(self) -> Clock:
        """The status clock."""

    @property
    def open_opportunities(self) -> int:
        """How many opportunities are open now."""

    @property
    def owing(self) -> Mapping[str, object]:
        """The pairs that have something to settle, the one that owes for longest first."""

    def on_event(self, event: MarketEvent, offset: int, *, owe: bool = False) -> Handled:
        """Handle one record, with `owe` but for what can wait; raises BadRecordError."""

    def settle(self, name: str) -> Handled:
        """Handle what a pair owes."""

    def snapshot(self, key: str) -> bytes:
        """A pair, or the clock, as bytes."""

    def restore(self, key: str, data: bytes) -> None:
        """Take a pair, or the clock, back; raises ValueError."""


EngineFactory = Callable[[], Engine]


@dataclass(eq=False)
class Partition:
    """The engine of one partition; `position` is the offset after the last record of the last whole batch.

    `generation` is that of its last batch; `held` is the first offset that a checkpoint on its way to the changelog
    includes, by key; `owes_since` is the time since when some pair always owed something.
    """

    number: int
    engine: Engine
    generation: int = 0
    position: int | None = None
    handled_at: float = 0.0
    owes_since: float | None = None
    held: dict[str, int] = field(default_factory=dict)
    due: dict[str, float] = field(default_factory=dict)

    def progress(self) -> Iterator[tuple[str, Progress]]:
        """Every key of the engine with how far it is."""
        yield CLOCK, self.engine.clock
        yield from self.engine.pairs.items()

    def note_owing(self, now: float) -> None:
        """Some pair owes something, or none does any more."""
        if not self.engine.owing:
            self.owes_since = None
        elif self.owes_since is None:
            self.owes_since = now

    def is_behind(self, begin: int | None) -> bool:
        """Whether another worker has moved the partition on meanwhile: the log goes on at `begin`, after our end."""
        return self.position is None or (begin is not None and begin > self.position)

    def low_water(self, end: int) -> int:
        """The lowest offset that no durable checkpoint holds, at most `end`."""
        pending = (state.pending for _, state in self.progress() if state.pending is not None)
        return min((end, *pending, *self.held.values()))

    def due_keys(self, now: float, interval_s: float, *, everything: bool) -> list[str]:
        """The keys whose checkpoint is due, spread over the interval by their names; moves their next time on."""
        keys = []
        for key, state in self.progress():
            at = self.due.get(key)
            if at is None:
                at = self.due[key] = now + interval_s * (zlib.crc32(key.encode()) % 997) / 997
            if state.pending is not None and (everything or at <= now):
                keys.append(key)
                self.due[key] = at + interval_s * max(0, int((now - at) / interval_s) + 1)
        return keys

    def take(self, key: str) -> tuple[int, bytes]:
        """The snapshot of a key and the offset it includes; what it covers is held until it is durable."""
        state = self.engine.clock if key == CLOCK else self.engine.pairs[key]
        data = self.engine.snapshot(key)
        if state.pending is not None:
            self.held[key], state.pending = state.pending, None
        return state.offset, data


class Partitions:
    """The engines of the partitions assigned to this worker; once `closed`, no batch is handled any more.

    `working` is held over a batch, while something owed is settled, and while snapshots are taken: whoever holds it
    finds every result of the records handled in the outbox.
    """

    def __init__(self, new_engine: EngineFactory) -> None:
        self._new_engine = new_engine
        self._open: dict[int, Partition] = {}
        self.working = asyncio.Lock()
        self.closed = False

    def __iter__(self) -> Iterator[Partition]:
        return iter(self._open.values())

    def get(self, number: int) -> Partition | None:
        """The partition, if its engine stands."""
        return self._open.get(number)

    def open(self, number: int) -> Partition:
        """A new engine for a partition."""
        partition = self._open[number] = Partition(number, self._new_engine())
        return partition

    def keep_only(self, numbers: Iterable[int]) -> None:
        """Drop the engines of lost partitions: they would be stale when those come back."""
        for number in set(self._open) - set(numbers):
            del self._open[number]
