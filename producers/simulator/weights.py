"""Binance's request weights: a sum per minute and address, told in a header, refused above the limit."""

MINUTE_MS = 60_000


class WeightMeter:
    """Counts weight in calendar minutes; `take` says what is used and whether the request may pass."""

    def __init__(self, limit_per_minute: int) -> None:
        self.limit_per_minute = limit_per_minute
        self.used = 0
        self._minute = 0

    def take(self, weight: int, now_ms: int) -> bool:
        """Count a request; False if it goes over the limit."""
        minute = now_ms // MINUTE_MS
        if minute != self._minute:
            self._minute, self.used = minute, 0
        self.used += weight
        return self.used <= self.limit_per_minute


def retry_after_s(now_ms: int) -> int:
    """Whole seconds until the next minute begins, at least one."""
    return max(1, -(-(MINUTE_MS - now_ms % MINUTE_MS) // 1000))
