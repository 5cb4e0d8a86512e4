"""How much of a venue's request weight may be used, and when: told what was spent and what the venue reports."""

import asyncio
from collections import deque

from mts_stream.exchanges.venue import RequestLimit

MINUTE_S = 60.0
VENUE_SHARE_MAX = 0.9  # of the whole limit, whoever else uses this address
PAUSE_S_MAX = 3 * 86_400.0  # Binance's longest ban; what asks for more is an error in the answer


class WeightBudget:
    """A share of a limit in every window of its length; the venue's own count of a clock minute steers it too.

    Whoever spends takes `turn` first, so that requests go in the order they came: a heavy one would never find room
    among light ones.
    """

    def __init__(self, limit: RequestLimit, share: float) -> None:
        self.allowed = max(1, int(limit.weight * share))
        self.window_s = limit.window_s
        self.turn = asyncio.Lock()
        self._venue_allowed = int(limit.weight * VENUE_SHARE_MAX)
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
            wait_s = max(wait_s, self._spent[0][0] + self.window_s - now_s)
        minute = int(now_s // MINUTE_S)
        if minute == self._reported_minute and self._reported + weight > self._venue_allowed:
            wait_s = max(wait_s, (minute + 1) * MINUTE_S - now_s)
        return wait_s

    def left(self, now_s: float) -> int:
        """What of the share is not used in the window that ends now."""
        self._forget(now_s)
        return max(0, self.allowed - self._used)

    def spend(self, now_s: float, weight: int) -> None:
        """A request of this weight goes out; the venue counts it before it says so."""
        if not weight:
            return
        self._spent.append((now_s, weight))
        self._used += weight
        if int(now_s // MINUTE_S) == self._reported_minute:
            self._reported += weight

    def reported(self, now_s: float, used: int) -> None:
        """The venue says how much of this clock minute is used; answers overtake each other, so the highest counts."""
        minute = int(now_s // MINUTE_S)
        self._reported = max(used, self._reported) if minute == self._reported_minute else used
        self._reported_minute = minute

    def spent(self, now_s: float) -> int:
        """What we spent in the minute that ends now."""
        self._forget(now_s)
        return self._used

    def reported_now(self, now_s: float) -> int | None:
        """What the venue says is used of this minute of the clock; None where it has not said."""
        return self._reported if int(now_s // MINUTE_S) == self._reported_minute else None

    def pause(self, now_s: float, seconds: float) -> None:
        """The venue wants to be left alone."""
        self._paused_until_s = max(self._paused_until_s, now_s + min(seconds, PAUSE_S_MAX))

    def _forget(self, now_s: float) -> None:
        while self._spent and self._spent[0][0] <= now_s - self.window_s:
            self._used -= self._spent.popleft()[1]
