"""The seeded schedule of faults: rounds that hold every class once, in a new order and at new places each time.

    0 s    first_s                     first_s + ROUND_S
    |  calm  | a . d . b . c . e . ... | c . a . e . b . d . ...     one fault each ROUND_S / classes, at most GAP_S_MAX

Pure: no clock; the same arguments give the same plans. A place that has been left alone the longest comes first.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from producers.simulator.faults.catalog import BOOK, CATALOG, VENUE, FaultKind
from producers.simulator.universe import BINANCE, Leg, Listing

ROUND_S = 46.0
GAP_S_MAX = 6.0
_PROVOKE_AFTER_S = 0.2


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """One fault to come: which, when (from the start of the run), where, how long, and with what."""

    name: str
    start_s: float
    duration_s: float
    venue: str
    market: str | None
    symbol: str | None
    params: dict[str, Any] = field(default_factory=dict)


def plan_faults(names: Collection[str], listings: Sequence[Listing], seed: int, first_s: float) -> Iterator[FaultPlan]:
    """Endless plans in order of their start; every name of the mix stands in each round (once-only ones in the first).

    Empty if there are no names.
    """
    if not names:
        return
    planner = _Planner(listings, Random(f"{seed}/faults"))  # noqa: S311
    gap_s = min(GAP_S_MAX, ROUND_S / len(names))
    kinds = [CATALOG[name] for name in sorted(names)]
    start_s, played = first_s, False
    while True:
        planner.rng.shuffle(kinds)
        for kind in kinds:
            if not (kind.once and played):
                yield from planner.plan(kind, round(start_s, 3))
            start_s += gap_s
        played = True


class _Planner:
    """Chooses places, lengths and parameters."""

    def __init__(self, listings: Sequence[Listing], rng: Random) -> None:
        self.rng = rng
        self._listings = listings
        self._busy_until_s: dict[Leg, float] = {listing.leg: 0.0 for listing in listings}

    def plan(self, kind: FaultKind, start_s: float) -> list[FaultPlan]:
        """The fault, and what provokes it to show."""
        leg = self._calmest(kind)
        duration_s = round(self.rng.uniform(*kind.duration_s), 3)
        params = {name: self.rng.choice(values) for name, values in kind.params.items()}
        market = None if kind.scope == VENUE or _is_shared_host(kind, leg) else leg[1]
        symbol = self._listing(leg, last=kind.once).symbol if kind.scope == BOOK else None
        for one in self._busy_until_s:
            if one[0] == leg[0] and market in (None, one[1]):
                self._busy_until_s[one] = max(self._busy_until_s[one], start_s + min(duration_s, ROUND_S))
        fault = FaultPlan(kind.name, start_s, duration_s, leg[0], market, symbol, params)
        return [fault, *self._provocation(kind, leg, fault)]

    def _calmest(self, kind: FaultKind) -> Leg:
        legs = [leg for leg in kind.legs if leg in self._busy_until_s]
        if kind.provoked_by == "gap":  # a gap makes clients ask for a snapshot on Binance alone
            legs = [leg for leg in legs if leg[0] == BINANCE]
        return min(legs, key=lambda leg: (self._busy_until_s[leg], self.rng.random()))

    def _listing(self, leg: Leg, last: bool) -> Listing:
        listed = [listing for listing in self._listings if listing.leg == leg]
        return listed[-1] if last else self.rng.choice(listed)

    def _provocation(self, kind: FaultKind, leg: Leg, fault: FaultPlan) -> list[FaultPlan]:
        start_s = round(fault.start_s + _PROVOKE_AFTER_S, 3)
        if kind.provoked_by == "cut":
            return [FaultPlan("close_1006", start_s, 0.0, *leg, None)]
        if kind.provoked_by == "gap":
            busiest = max((one for one in self._listings if one.leg == leg), key=lambda one: one.updates_per_s)
            symbol = busiest.symbol  # a quiet book would notice its gap when the fault is over
            return [FaultPlan("lost_frames", start_s, 5.0, *leg, symbol, {"frames": 1})]
        return []


def _is_shared_host(kind: FaultKind, leg: Leg) -> bool:
    """Bybit has one host for both markets: when it refuses connections, it does for both."""
    return kind.name == "connection_refused" and leg[0] != BINANCE
