"""How often we may speak to a venue and knock at its door: both are told the time and hold no clock."""

from collections import deque

ATTEMPT_SHARE = 0.5  # of a venue's limit: the rest is for whoever else uses this address
MESSAGE_WINDOW_S = 1.5  # the venue's second, and half of one for what the way there squeezes together


class MessagePace:
    """At most `per_s` messages in any second of one connection; told of each one that goes out."""

    def __init__(self, per_s: float) -> None:
        self._per_s = int(per_s)
        self._sent_s: deque[float] = deque()

    def wait_s(self, now_s: float, keep_free: int) -> float:
        """How long to wait so that `keep_free` messages of the second stay free; 0 if one may go now."""
        while self._sent_s and self._sent_s[0] <= now_s - MESSAGE_WINDOW_S:
            self._sent_s.popleft()
        over = len(self._sent_s) - max(1, self._per_s - keep_free)
        return 0.0 if over < 0 else max(0.0, self._sent_s[over] + MESSAGE_WINDOW_S - now_s)

    def sent(self, now_s: float) -> None:
        """A message goes out."""
        self._sent_s.append(now_s)


class AttemptPace:
    """Attempts to connect to one host, by all its connections: half of our share at once, the rest spread evenly.

    So no window of the venue's, wherever it begins, sees more than the share, and nobody waits for a window's end.
    """

    def __init__(self, host: str, attempts: int, window_s: float) -> None:
        self.host = host
        allowed = attempts * ATTEMPT_SHARE
        self._every_s = window_s / (allowed / 2)
        self._at_once_s = (max(1, int(allowed / 2)) - 1) * self._every_s
        self._paid_until_s = float("-inf")

    def reserve(self, now_s: float) -> float:
        """Take the next turn and tell how long to wait for it; 0 if it is now."""
        self._paid_until_s = max(self._paid_until_s, now_s) + self._every_s
        return max(0.0, self._paid_until_s - self._every_s - self._at_once_s - now_s)
