"""What an operator is told about Kafka: that it is away, that it is back, and what it did not take."""

import time
from collections.abc import Callable

from mts_stream.logs import get_logger

BURST_OVER_S = 1.0
BURST_MAX_S = 10.0

log = get_logger(__name__)

Clock = Callable[[], float]


class OutageWatch:
    """Says once that Kafka is away, records waiting and none confirmed for `away_after_s`, and once that it is back."""

    def __init__(self, away_after_s: float, clock: Clock = time.monotonic) -> None:
        self._away_after_s, self._clock = away_after_s, clock
        self._confirmed = 0
        self._quiet_since_s = clock()
        self._is_away = False

    def look(self, confirmed: int, queued: int) -> None:
        """Take the number of records confirmed so far, and of those that wait."""
        now_s = self._clock()
        quiet_s = now_s - self._quiet_since_s
        if confirmed > self._confirmed or not queued:
            self._quiet_since_s = now_s
        if confirmed > self._confirmed:
            self._confirmed = confirmed
            if self._is_away:
                self._is_away = False
                log.info("Kafka is back", away_s=round(quiet_s, 1), queued_records=queued)
        elif queued and quiet_s >= self._away_after_s and not self._is_away:
            self._is_away = True
            log.warning("Kafka is away: no record confirmed", for_s=round(quiet_s, 1), queued_records=queued)


class LossLog:
    """One line for each burst of records that Kafka did not take: it is over after a second without one."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._count = 0
        self._first: dict[str, str | int] = {}
        self._began_s = self._last_s = 0.0

    def add(self, topic: str, size_bytes: int, error: str) -> None:
        """A record was not delivered; topic, size and error of a burst's first are shown."""
        self._last_s = self._clock()
        if not self._count:
            self._began_s = self._last_s
            self._first = {"topic": topic, "bytes": size_bytes, "error": error}
        self._count += 1

    def tell(self, *, at_once: bool = False) -> None:
        """Write the line if the burst is over or has lasted long."""
        now_s = self._clock()
        is_over = at_once or now_s - self._last_s >= BURST_OVER_S or now_s - self._began_s >= BURST_MAX_S
        if self._count and is_over:
            log.error("records not delivered", count=self._count, **self._first)
            self._count = 0
