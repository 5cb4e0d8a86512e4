"""What the connections of one market share, looked at once a second for their quality."""

import time

from producers.budget import WeightBudget
from producers.clock_watch import ClockWatch
from producers.quality import Shared
from producers.records import RecordSink
from producers.resync import SnapshotScheduler


class SharedParts:
    """The process's queue into Kafka, and the market's snapshots, REST budget and clock."""

    def __init__(self, sink: RecordSink, scheduler: SnapshotScheduler, budget: WeightBudget, clock: ClockWatch) -> None:
        self._sink, self._scheduler, self._budget, self._clock = sink, scheduler, budget, clock

    def look(self, now_ns: int) -> Shared:
        """All of it as it is now."""
        now_s = time.time()  # the budget's own clock
        return Shared(
            self._sink.queued_records, self._scheduler.waiting, self._budget.spent(now_s),
            self._budget.reported_now(now_s), self._budget.allowed, self._clock.offset(now_ns),
        )  # fmt: skip
