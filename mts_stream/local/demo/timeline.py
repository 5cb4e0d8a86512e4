"""When what happened on the way to the first opportunity."""

import time
from collections.abc import Callable


class Timeline:
    """Moments by name, in seconds since `begin_s` (Unix), the start of the process; each is said as it comes."""

    def __init__(self, begin_s: float, say: Callable[[str], None]) -> None:
        self.moments: dict[str, float] = {}
        self._begin = time.monotonic() - (time.time() - begin_s)
        self._say = say

    @property
    def elapsed_s(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self._begin

    def note(self, line: str) -> None:
        """Say something that happened now."""
        self._say(f"{self.elapsed_s:6.1f} s  {line}")

    def mark(self, name: str, said: str = "") -> None:
        """It happened now."""
        if name in self.moments:
            return
        self.moments[name] = round(self.elapsed_s, 2)
        if said:
            self.note(said)
