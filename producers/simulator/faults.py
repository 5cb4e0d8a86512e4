"""Faults that a run is told to make; the servers ask before they send, and know nothing else of faults."""

BookKey = tuple[str, str, str]
"""Venue, market, symbol."""


class Faults:
    """The faults still to come: depth frames that are made, counted by the venue, and never sent."""

    def __init__(self) -> None:
        self._skips: dict[BookKey, int] = {}

    def skip_next_frame(self, key: BookKey) -> None:
        """Lose the next depth frame of a book for every subscriber, as a broken network would."""
        self._skips[key] = self._skips.get(key, 0) + 1

    def loses_frame(self, key: BookKey) -> bool:
        """Whether this depth frame is lost; each loss happens once."""
        left = self._skips.pop(key, 0)
        if left > 1:
            self._skips[key] = left - 1
        return left > 0
