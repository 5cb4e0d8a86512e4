"""How good a book was, minute by minute: how long in which state, and what made it invalid."""

from typing import Any

from mts_stream.domain.instrument import Instrument
from mts_stream.domain.messages import BookQuality
from mts_stream.domain.sequencing import VALID

MINUTE_NS = 60 * 10**9
NS_PER_MS = 10**6


class BookMinute:
    """The open minute of one book, on the pair's event time."""

    __slots__ = ("_invalidations", "_since_ns", "_spent_ns", "_state", "applied", "records")

    def __init__(self, state: str, now_ns: int) -> None:
        self._state = state
        self._begin(now_ns)

    def _begin(self, now_ns: int) -> None:
        self._since_ns = now_ns
        self._spent_ns: dict[str, int] = {}
        self._invalidations: dict[str, int] = {}
        self.records = self.applied = 0

    def on_state(self, now_ns: int, state: str) -> None:
        """The book shows another state from now on."""
        self._spend_to(now_ns)
        if self._state == VALID and state != VALID:
            self._invalidations[state] = self._invalidations.get(state, 0) + 1
        self._state = state

    def _spend_to(self, now_ns: int) -> None:
        spent_ns = now_ns - self._since_ns
        if spent_ns:
            self._spent_ns[self._state] = self._spent_ns.get(self._state, 0) + spent_ns
        self._since_ns = now_ns

    def on_close(self, end_ns: int, pair: str, instrument: Instrument) -> BookQuality:
        """The row of the minute that ends then; the next one begins."""
        self._spend_to(end_ns)
        row = BookQuality(
            "book", f"{instrument.venue}/{instrument.market}/{instrument.symbol}",
            pair, instrument.venue, instrument.market, instrument.symbol,
            end_ns - MINUTE_NS, MINUTE_NS // NS_PER_MS, self._state, self.records, self.applied,
            self._spent_ns.get(VALID, 0) // NS_PER_MS,
            {state: ns // NS_PER_MS for state, ns in sorted(self._spent_ns.items())}, self._invalidations,
        )  # fmt: skip
        self._begin(end_ns)
        return row

    def snapshot(self) -> list[Any]:
        """As JSON data."""
        return [self._state, self._since_ns, self._spent_ns, self._invalidations, self.records, self.applied]

    def restore(self, data: list[Any]) -> None:
        """Take over a snapshot."""
        self._state, self._since_ns, spent, invalidations, self.records, self.applied = data
        self._spent_ns, self._invalidations = dict(spent), dict(invalidations)


def minute_end_ns(at_ns: int) -> int:
    """The end of the minute that holds a time."""
    return (at_ns // MINUTE_NS + 1) * MINUTE_NS
