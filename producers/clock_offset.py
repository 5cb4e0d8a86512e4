"""How far an exchange's clock is ahead of ours, estimated from the times that its REST tells (as NTP does, RFC 5905).

    ours     sent ------ RTT ------ received        the answer's time was read somewhere in between, so the offset
    theirs          server time                     is server - (sent + received) / 2, wrong by at most RTT / 2

It is shown and never used to alter event time (DESIGN section 4).
"""

from collections import deque
from typing import NamedTuple

SAMPLES_MAX = 10
AGE_NS_MAX = 300 * 1_000_000_000
STAMP_NS = 1_000_000  # Binance's times are whole milliseconds, cut off; its events are stamped alike
DRIFT_PPM = 15  # of two clocks that nobody sets (RFC 5905, PHI)


class ClockOffset(NamedTuple):
    """The exchange's clock minus ours, and by how much that may be wrong."""

    offset_ns: int
    error_ns: int


class _Sample(NamedTuple):
    at_ns: int
    offset_ns: int
    error_ns: int

    def error_at(self, now_ns: int) -> int:
        return self.error_ns + max(0, now_ns - self.at_ns) * DRIFT_PPM // 1_000_000


class OffsetEstimator:
    """Told the times of requests, asked for the offset: that of the quickest answer of the last minutes."""

    def __init__(self) -> None:
        self._samples: deque[_Sample] = deque(maxlen=SAMPLES_MAX)

    def on_answer(self, sent_ns: int, received_ns: int, server_ns: int) -> None:
        """An answer came; samples that it contradicts are of a clock that was set since, and forgotten."""
        sample = _Sample(received_ns, server_ns - (sent_ns + received_ns) // 2, (received_ns - sent_ns) // 2 + STAMP_NS)
        kept = [old for old in self._samples if _agree(old, sample)]
        self._samples.clear()
        self._samples.extend([*kept, sample])

    def estimate(self, now_ns: int) -> ClockOffset | None:
        """The offset with the smallest error now; None where nothing was heard for AGE_NS_MAX."""
        fresh = [sample for sample in self._samples if now_ns - sample.at_ns <= AGE_NS_MAX]
        if not fresh:
            return None
        best = min(fresh, key=lambda sample: sample.error_at(now_ns))
        return ClockOffset(best.offset_ns, best.error_at(now_ns))


def _agree(old: _Sample, new: _Sample) -> bool:
    """Whether one offset can be true of both, drift included."""
    return abs(old.offset_ns - new.offset_ns) <= old.error_at(new.at_ns) + new.error_ns
