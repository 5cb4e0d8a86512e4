"""How long to wait before the next try: full jitter under a bound that doubles up to a cap."""

import random
from collections.abc import Callable

BASE_S = 0.25
CAP_S = 30.0
SETTLED_S = 5.0
"""Of a connection that stood: then its end is a new failure, and not one more of those before it."""


class Backoff:
    """Waits of one retry loop; a try that held for SETTLED_S starts it over."""

    def __init__(
        self, base_s: float = BASE_S, cap_s: float = CAP_S, uniform: Callable[[float, float], float] = random.uniform
    ) -> None:
        self._base_s, self._cap_s, self._uniform = base_s, cap_s, uniform
        self._failures = 0

    def next_s(self) -> float:
        """The wait after one more failure."""
        bound_s = min(self._cap_s, self._base_s * 2 ** min(self._failures, 16))
        self._failures += 1
        return self._uniform(0, bound_s)

    def held(self, seconds: float) -> None:
        """The last try held for so long."""
        if seconds >= SETTLED_S:
            self._failures = 0
