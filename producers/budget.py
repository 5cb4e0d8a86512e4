"""How much of a venue's request weight may be used, and when: told what was spent and what the venue reports."""

from collections import deque

MINUTE_S = 60.0
VENUE_SHARE_MAX = 0.9  # of the whole limit, whoever else uses this address


class WeightBudget:
    """A share of a limit per minute; the venue's own count, which includes others, steers it too."""

    def __init__(self, weight_per_minute: int, share: float) -> None:
        self.allowed = max(1, int(weight_per_minute * share))
        self._venue_allowed = int(weight_per_minute * VENUE_SHARE_MAX)
        self._spent: deque[tuple[float, int]] = deque()
        self._used = 0
        self._paused_until_s = 0.0
        self._reported = 0
        self._reported_minute = -1

    def wait_s(self, now_s: float, weight: int) -> float:
        """How long to wait before a request of this weight; 0 if it may go now."""
        self._forget(now_s)
        wait_s = max(0.0, self._paused_until_s - now_s)
        if self._spent and self._used + weight > self.allowed:
            wait_s = max(wait_s, self._spent[0][0] + MINUTE_S - now_s)
        minute = int(now_s // MINUTE_S)
        if minute == self._reported_minute and self._reported + weight > self._venue_allowed:
            wait_s = max(wait_s, (minute + 1) * MINUTE_S - now_s)
        return wait_s

    def spend(self, now_s: float, weight: int) -> None:
        """A request of this weight goes out."""
        self._spent.append((now_s, weight))
        self._used += weight

    def reported(self, now_s: float, used: int) -> None:
        """The venue says how much of this minute is used."""
        self._reported, self._reported_minute = used, int(now_s // MINUTE_S)

    def spent(self, now_s: float) -> int:
        """What we spent in the minute that ends now."""
        self._forget(now_s)
        return self._used

    def reported_now(self, now_s: float) -> int | None:
        """What the venue says is used of this minute of the clock; None where it has not said."""
        return self._reported if int(now_s // MINUTE_S) == self._reported_minute else None

    def pause(self, now_s: float, seconds: float) -> None:
        """The venue wants to be left alone."""
        self._paused_until_s = max(self._paused_until_s, now_s + seconds)

    def _forget(self, now_s: float) -> None:
        while self._spent and self._spent[0][0] <= now_s - MINUTE_S:
            self._used -= self._spent.popleft()[1]
