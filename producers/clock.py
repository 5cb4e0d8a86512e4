"""The clock of `received_ns`: wall time that never jumps and never goes back (DESIGN section 3)."""

import time
from collections.abc import Callable

SLEW_PPM_MAX = 500
READJUST_NS = 100_000_000


class SlewedClock:
    """The wall clock at its start plus monotonic time, drawn to the wall clock by at most SLEW_PPM_MAX.

    The correction is fixed for at least READJUST_NS and grows with elapsed time alone, so no reading is below the last.
    """

    def __init__(
        self,
        wall_ns: Callable[[], int] = time.time_ns,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._wall_ns, self._monotonic_ns = wall_ns, monotonic_ns
        self._base_monotonic_ns = monotonic_ns()
        self._base_ns = wall_ns()
        self._error_ns = 0

    def now_ns(self) -> int:
        """Unix ns."""
        monotonic_ns = self._monotonic_ns()
        elapsed_ns = monotonic_ns - self._base_monotonic_ns
        slew_ns = elapsed_ns * SLEW_PPM_MAX // 1_000_000
        now_ns = self._base_ns + elapsed_ns + max(-slew_ns, min(slew_ns, self._error_ns))
        if elapsed_ns >= READJUST_NS:
            self._base_monotonic_ns, self._base_ns = monotonic_ns, now_ns
            self._error_ns = self._wall_ns() - now_ns
        return now_ns
