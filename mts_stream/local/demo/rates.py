"""Counters read from a process's /metrics, and how fast they grow."""

from collections import deque
from collections.abc import Iterable, Mapping

from prometheus_client.parser import text_string_to_metric_families

WINDOW_S = 3.0
SAMPLES_MAX = 64


def read_counters(text: str) -> dict[tuple[str, str], float]:
    """Our samples in Prometheus's text form, by (name, first label's value or "")."""
    ours = "\n".join(line for line in text.splitlines() if line.startswith("mts_")) + "\n"
    return {
        (sample.name, next(iter(sample.labels.values()), "")): sample.value
        for family in text_string_to_metric_families(ours)
        for sample in family.samples
    }


def total(counters: Mapping[tuple[str, str], float], name: str, labels: Iterable[str] | None = None) -> int:
    """The sum of a counter over its labels' values, or over some of them."""
    wanted = None if labels is None else set(labels)
    return int(sum(v for (n, label), v in counters.items() if n == name and (wanted is None or label in wanted)))


class Rate:
    """How much a growing count grows per second, over the last three seconds or another window."""

    def __init__(self, window_s: float = WINDOW_S) -> None:
        self._window_s = window_s
        self._samples: deque[tuple[float, float]] = deque()

    def add(self, now_s: float, count: float) -> None:
        """The count stands at this value now."""
        self._samples.append((now_s, count))
        if len(self._samples) > SAMPLES_MAX:
            del self._samples[1]  # the beginning of the window stays
        while len(self._samples) > 2 and now_s - self._samples[1][0] >= self._window_s:
            self._samples.popleft()

    @property
    def per_s(self) -> float:
        """Growth per second, 0 before there are two samples."""
        if len(self._samples) < 2:
            return 0.0
        (begin_s, begin), (end_s, end) = self._samples[0], self._samples[-1]
        return max(0.0, (end - begin) / (end_s - begin_s)) if end_s > begin_s else 0.0
