"""How good a book was, minute by minute: how long in which state, what made it invalid, how late its frames were."""

from typing import Any

from mts_stream.domain.exact import plain_rounded
from mts_stream.domain.instrument import Instrument
from mts_stream.domain.latency import LatencyCounts
from mts_stream.domain.market_data import DepthUpdate
from mts_stream.domain.messages import BookQuality
from mts_stream.domain.sequencing import VALID, Taken

MINUTE_NS = 60 * 10**9
NS_PER_MS = 10**6
PERCENT_PLACES = 4


class BookMinute:
    """The open minute of one book, on the pair's event time."""

    __slots__ = ("_invalidations", "_latencies", "_since_ns", "_spent_ns", "_state", "_taken")

    def __init__(self, state: str, now_ns: int) -> None:
        self._state = state
        self._begin(now_ns)

    def _begin(self, now_ns: int) -> None:
        self._since_ns = now_ns
        self._spent_ns: dict[str, int] = {}
        self._invalidations: dict[str, int] = {}
        self._taken = [0] * len(Taken)
        self._latencies = LatencyCounts()

    def on_depth(self, update: DepthUpdate, taken: Taken) -> None:
        """A depth record of the book came; a frame of the exchange says how late it is, a keyframe of ours does not."""
        self._taken[taken] += 1
        if update.exchange_ns is not None and not update.is_keyframe:
            self._latencies.add(update.origin.received_ns - update.exchange_ns)

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
        taken, valid_ns = self._taken, self._spent_ns.get(VALID, 0)
        row = BookQuality(
            "book", f"{instrument.venue}/{instrument.market}/{instrument.symbol}",
            pair, instrument.venue, instrument.market, instrument.symbol,
            end_ns - MINUTE_NS, MINUTE_NS // NS_PER_MS, self._state,
            records=sum(taken), applied=taken[Taken.APPLIED] + taken[Taken.DIFFERED] + taken[Taken.RESYNCED],
            valid_ms=valid_ns // NS_PER_MS, valid_percent=percent(valid_ns, sum(self._spent_ns.values())),
            states={state: ns // NS_PER_MS for state, ns in sorted(self._spent_ns.items())},
            invalidations=self._invalidations,
            gaps=taken[Taken.GAP], stale_records=taken[Taken.STALE], resyncs=taken[Taken.RESYNCED],
            differing_keyframes=taken[Taken.DIFFERED],
            **self._latency_percentiles(),
        )  # fmt: skip
        self._begin(end_ns)
        return row

    def _latency_percentiles(self) -> dict[str, str | None]:
        found = self._latencies.percentiles_ms(50, 90, 99, 100)
        names = ("latency_p50_ms", "latency_p90_ms", "latency_p99_ms", "latency_max_ms")
        return {name: None if ms is None else str(ms) for name, ms in zip(names, found, strict=True)}

    def snapshot(self) -> list[Any]:
        """As JSON data."""
        return [
            self._state, self._since_ns, self._spent_ns, self._invalidations, self._taken, self._latencies.snapshot(),
        ]  # fmt: skip

    def restore(self, data: list[Any]) -> None:
        """Take over a snapshot."""
        self._state, self._since_ns, spent, invalidations, taken, latencies = data
        self._spent_ns, self._invalidations, self._taken = dict(spent), dict(invalidations), list(taken)
        self._latencies.restore(latencies)


def minute_end_ns(at_ns: int) -> int:
    """The end of the minute that holds a time."""
    return (at_ns // MINUTE_NS + 1) * MINUTE_NS


def percent(part: int, whole: int) -> str | None:
    """A share in percent, rounded half-even to four places; None of nothing."""
    return plain_rounded(100 * part, whole, PERCENT_PLACES) if whole else None
