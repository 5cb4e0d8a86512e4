"""Latencies of one window as a histogram that stays small: counts by whole milliseconds, exact up to 127.

Beyond, a value keeps its seven leading bits, so that a percentile is at most 1/64 too near to 0, and a window has at
most some 2,000 counts whatever comes. Negative where the exchange's clock is ahead of ours.
"""

NS_PER_MS = 10**6
EXACT_MS = 127
UNCOUNTED_MAX = 256
MS_MAX = 2**22 - 1  # 70 minutes; what is further off counts there


class LatencyCounts:
    """Told latencies in ns, asked for percentiles in whole ms."""

    __slots__ = ("_counts", "_uncounted")

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self._uncounted: list[int] = []  # as they came, for a while: counting some at once is cheaper

    def add(self, latency_ns: int) -> None:
        """One more, floored to a millisecond."""
        self._uncounted.append(latency_ns)
        if len(self._uncounted) >= UNCOUNTED_MAX:
            self._count()

    def _count(self) -> dict[int, int]:
        counts = self._counts
        for latency_ns in self._uncounted:
            ms = latency_ns // NS_PER_MS
            if not -EXACT_MS <= ms <= EXACT_MS:
                ms = _coarse(ms)
            counts[ms] = counts.get(ms, 0) + 1
        self._uncounted.clear()
        return counts

    def percentiles_ms(self, *percents: int) -> list[int | None]:
        """The latency that so many percent are below, for rising percents; None of nothing."""
        counts = self._count()
        total = sum(counts.values())
        if not total:
            return [None] * len(percents)
        ranks = [rank(total, percent) for percent in percents]
        found: list[int | None] = []
        below = 0
        for ms, count in sorted(counts.items()):
            below += count
            while len(found) < len(ranks) and ranks[len(found)] < below:
                found.append(ms)
        return found

    def snapshot(self) -> list[int]:
        """As JSON data: milliseconds and counts in turn."""
        return [number for item in sorted(self._count().items()) for number in item]

    def restore(self, data: list[int]) -> None:
        """Take over a snapshot."""
        self._counts = dict(zip(data[::2], data[1::2], strict=True))
        self._uncounted.clear()


def rank(total: int, percent: int) -> int:
    """Where in their order, from 0, stands the one of `total` values that so many percent are below."""
    return min(total - 1, total * percent // 100)


def _coarse(ms: int) -> int:
    size = min(abs(ms), MS_MAX)
    drop = size.bit_length() - EXACT_MS.bit_length()
    return (size >> drop << drop) * (1 if ms > 0 else -1)
