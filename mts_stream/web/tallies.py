"""Counts of the last minute, by second of event time: how many messages, and what became of the evaluations."""

from collections import Counter
from collections.abc import Iterator

MINUTE_S = 60
RATE_S = 10
SECONDS_KEPT = MINUTE_S + 5


class PerSecond:
    """Counters of the newest SECONDS_KEPT seconds; what is older is forgotten when something newer comes."""

    def __init__(self) -> None:
        self._seconds: dict[int, Counter[str]] = {}
        self._newest = 0

    def add(self, second: int, counts: dict[str, int]) -> None:
        """Count what happened in a second; one that is too old to matter is ignored."""
        if second > self._newest:
            self._newest = second
            self._seconds = {s: kept for s, kept in self._seconds.items() if s > second - SECONDS_KEPT}
        if second > self._newest - SECONDS_KEPT:
            self._seconds.setdefault(second, Counter()).update(counts)

    def over(self, first: int, last: int) -> Counter[str]:
        """The sums from second `first` to `last`, both included."""
        total: Counter[str] = Counter()
        for second, counts in self._seconds.items():
            if first <= second <= last:
                total.update(counts)
        return total


class Tallies:
    """Told windows and signals; asked for rates, and for outcomes by pair, over the time that ends now."""

    def __init__(self) -> None:
        self._rates = PerSecond()
        self._outcomes: dict[str, PerSecond] = {}

    def on_window(self, pair: str, end_s: int, outcomes: dict[str, int]) -> None:
        """Count a window that ended at `end_s` and its evaluations by outcome."""
        self._rates.add(end_s, {"windows": 1, "evaluations": sum(outcomes.values())})
        self._outcomes.setdefault(pair, PerSecond()).add(end_s, outcomes)

    def on_signal(self, at_s: int) -> None:
        """Count a signal."""
        self._rates.add(at_s, {"signals": 1})

    def rates(self, now_s: int) -> dict[str, float]:
        """Windows and evaluations a second over the last 10 whole seconds, signals over the last minute."""
        # Windows of the running second may still come.
        short = self._rates.over(now_s - RATE_S, now_s - 1)
        long = self._rates.over(now_s - MINUTE_S + 1, now_s)
        return {
            "windows_per_s": short["windows"] / RATE_S,
            "evaluations_per_s": short["evaluations"] / RATE_S,
            "signals_per_min": float(long["signals"]),
        }

    def outcomes(self, now_s: int) -> dict[str, dict[str, int]]:
        """Evaluations of the last minute by pair and outcome; pairs without any are left out."""
        return dict(self._outcomes_by_pair(now_s))

    def forget(self, pair: str) -> None:
        """Forget a pair that is shown no more."""
        self._outcomes.pop(pair, None)

    def _outcomes_by_pair(self, now_s: int) -> Iterator[tuple[str, dict[str, int]]]:
        for pair, seconds in sorted(self._outcomes.items()):
            total = seconds.over(now_s - MINUTE_S + 1, now_s)
            if total:
                yield pair, dict(total)
