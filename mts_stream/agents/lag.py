"""How far the worker is behind event time, by partition, and when that is too far to be passed over."""

from collections.abc import Iterable

from mts_stream import metrics
from mts_stream.logs import get_logger

NS_PER_S = 10**9

log = get_logger("mts_stream.lag")


class EventLag:
    """Lag in seconds: the clock minus the newest event time handled; it grows while a partition has records waiting.

    A worker that is late changes no result: signals keep the `expires_ns` of their event time, and those that are
    sent after it are counted as stale. Beyond `max_lag_ms` the lag is said, once when it begins and once when it ends.
    """

    def __init__(self, max_lag_ms: int) -> None:
        self._max_s = max_lag_ms / 1000
        self._newest_ns: dict[int, int] = {}
        self._lag_s: dict[int, float] = {}
        self._late: set[int] = set()

    @property
    def max_s(self) -> float:
        """The largest lag of any partition, 0 where none has handled a record."""
        return max(self._lag_s.values(), default=0.0)

    @property
    def late(self) -> list[int]:
        """The partitions that are further behind than is allowed."""
        return sorted(self._late)

    def handled(self, partition: int, newest_ns: int, now_ns: int) -> None:
        """A batch of a partition was handled; its newest event time, or 0 where it had none."""
        if newest_ns:
            self._newest_ns[partition] = newest_ns
            self._set(partition, now_ns)

    def waiting(self, partitions: Iterable[int], now_ns: int) -> None:
        """These partitions have records that are not handled yet."""
        for partition in partitions:
            if partition in self._newest_ns:
                self._set(partition, now_ns)

    def keep_only(self, partitions: Iterable[int]) -> None:
        """Forget the partitions that are another's now."""
        for partition in set(self._newest_ns) - set(partitions):
            del self._newest_ns[partition], self._lag_s[partition]
            self._late.discard(partition)
            metrics.EVENT_LAG.remove(partition)

    def _set(self, partition: int, now_ns: int) -> None:
        lag_s = self._lag_s[partition] = (now_ns - self._newest_ns[partition]) / NS_PER_S
        metrics.EVENT_LAG.labels(partition).set(lag_s)
        was_late, is_late = partition in self._late, lag_s > self._max_s
        if is_late and not was_late:
            self._late.add(partition)
            log.warning("behind event time: signals may be stale", partition=partition, lag_s=round(lag_s, 3))
        elif was_late and not is_late:
            self._late.discard(partition)
            log.info("caught up with event time", partition=partition, lag_s=round(lag_s, 3))
