"""Whether a Faust worker does its work: what /health answers, and the watch over its recovery."""

import time
from collections.abc import Callable
from typing import Any

from faust.exceptions import ConsumerNotStarted
from faust.types import TP

STALLED_S = 30.0
RECOVERY_STALLED_S = 45.0

Clock = Callable[[], float]


class WorkerHealth:
    """Healthy is a worker that has partitions, has recovered, and moves: a batch handled lately, or the end reached.

    Agents call `handled` after every batch with the offset of the record that comes next.
    """

    def __init__(self, app: Any, *, stalled_s: float = STALLED_S, clock: Clock = time.monotonic) -> None:
        self._app = app
        self._stalled_s = stalled_s
        self._clock = clock
        self._next: dict[TP, int] = {}
        self._moved_at = clock()
        self.kafka_problem: str | None = None  # why Kafka counts as away; set by the watch over it
        self.details: Callable[[], dict[str, Any]] = dict  # what else the answer tells

    def handled(self, tp: TP, next_offset: int) -> None:
        """A batch of a partition was handled up to this offset."""
        self._next[tp] = next_offset
        self._moved_at = self._clock()

    def problem(self) -> str | None:
        """Why the worker is not healthy now, or None."""
        app = self._app
        if not app.started or app.should_stop:
            return "the worker is starting or stopping"
        if self.kafka_problem is not None:
            return self.kafka_problem
        if app.rebalancing:
            return "the group is rebalancing"
        if app.in_recovery:
            return "the table is being recovered"
        ours = self._partitions()
        if not ours:
            return "no partitions are assigned"
        idle_s = self._clock() - self._moved_at
        behind = len(self.behind())
        if behind and idle_s > self._stalled_s:
            return f"no batch was handled for {idle_s:.0f} s, {behind} partitions have records"
        return None

    def report(self) -> tuple[int, dict[str, Any]]:
        """HTTP status and body: 200, or 503 with the reason."""
        reason = self.problem()
        partitions = sorted(f"{tp.topic}-{tp.partition}" for tp in self._partitions()) if self._app.started else []
        body = {"healthy": reason is None, "reason": reason, "partitions": partitions} | self.details()
        return (200 if reason is None else 503), body

    def behind(self) -> list[TP]:
        """Which of our partitions have records that are not handled yet."""
        return [tp for tp in self._partitions() if self._behind(tp)]

    def _partitions(self) -> list[TP]:
        batched = self._app.batched_topics
        try:
            assigned = self._app.consumer.assignment()
        except ConsumerNotStarted:  # the app counts as started a moment before its consumer does
            return []
        return [tp for tp in assigned if tp.topic in batched]

    def _behind(self, tp: TP) -> bool:
        end = self._app.consumer.highwater(tp)
        return end is not None and end > self._next.get(tp, self._app.consumer.first_offsets.get(tp, 0))


class RecoveryWatch:
    """Sees a recovery that does not advance: same generation, same offsets, for longer than `stalled_s`."""

    def __init__(self, app: Any, *, stalled_s: float = RECOVERY_STALLED_S, clock: Clock = time.monotonic) -> None:
        self._app = app
        self._stalled_s = stalled_s
        self._clock = clock
        self._seen: object = None
        self._since = clock()

    def stalled_for_s(self) -> float | None:
        """How long the recovery has stood still, when that is too long."""
        if not (self._app.rebalancing or self._app.in_recovery):
            self._seen = None
            return None
        now, state = self._clock(), self._state()
        if state != self._seen:
            self._seen, self._since = state, now
        stood_s = now - self._since
        return stood_s if stood_s > self._stalled_s else None

    def _state(self) -> object:
        offsets = self._app.tables.recovery.active_offsets
        return self._app.consumer_generation_id, self._app.rebalancing_count, tuple(sorted(offsets.items()))
