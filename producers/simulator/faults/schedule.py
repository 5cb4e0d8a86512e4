"""The seeded schedule of faults: rounds that hold every class once, in a new order and at new places each time.

    0 s    first_s                     first_s + ROUND_S
    |  calm  | a . d . b . c . e . ... | c . a . e . b . d . ...     one fault each ROUND_S / classes, at most GAP_S_MAX

Pure: no clock; the same arguments give the same plans. A fault needs clients that are connected and may ask, else it
meets nobody: it comes where those have settled since the last one, a pause that a 429 asked for included.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from producers.simulator.faults.catalog import BOOK, CATALOG, VENUE, FaultKind
from producers.simulator.universe import BINANCE, BookKey, Leg, Listing

ROUND_S = 46.0
GAP_S_MAX = 6.0
ORDERS_MAX = 100
"""Orders tried for a round until every fault of it has a settled place; of few names, often, there is none."""

_PROVOKE_AFTER_S = 0.2
_BUSIEST = 3
"""Books of a leg whose next frame shows a gap at once."""

_Placed = list[tuple[FaultKind, Leg, float]]


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
    start_s = first_s
    while kinds:
        yield from planner.plan_round(kinds, start_s, gap_s)
        start_s += gap_s * len(kinds)
        kinds = [kind for kind in kinds if not kind.once]


class _Planner:
    """Chooses order, places, lengths and parameters."""

    def __init__(self, listings: Sequence[Listing], rng: Random) -> None:
        self._rng = rng
        self._listings = listings
        self._settled = _Settled(dict.fromkeys((listing.leg for listing in listings), 0.0))
        self._touched_s: dict[BookKey, float] = {}
        self._set_apart: set[BookKey] = set()

    def plan_round(self, kinds: Sequence[FaultKind], start_s: float, gap_s: float) -> Iterator[FaultPlan]:
        """Each kind once, and what provokes it to show."""
        placed, self._settled = self._place(kinds, start_s, gap_s)
        for kind, leg, begin_s in placed:
            yield from self._plan(kind, leg, begin_s)

    def _place(self, kinds: Sequence[FaultKind], start_s: float, gap_s: float) -> "tuple[_Placed, _Settled]":
        """Every kind with a settled place, if there is an order that gives them one among those tried."""
        for tries_left in reversed(range(ORDERS_MAX)):
            waiting = self._rng.sample(kinds, len(kinds))
            settled, placed = self._settled.copy(), _Placed()
            for number in range(len(kinds)):
                begin_s = round(start_s + number * gap_s, 3)
                kind = next((one for one in waiting if settled.at_s(one) <= begin_s), None)
                if kind is None and tries_left:
                    break
                kind = kind or waiting[0]
                waiting.remove(kind)
                leg = settled.choose(kind, begin_s, self._rng)
                settled.disturb(kind, leg, begin_s)
                placed.append((kind, leg, begin_s))
            else:
                break
        return placed, settled

    def _plan(self, kind: FaultKind, leg: Leg, start_s: float) -> list[FaultPlan]:
        duration_s = round(self._rng.uniform(*kind.duration_s), 3)
        params = {name: self._rng.choice(values) for name, values in kind.params.items()}
        market = None if _is_everywhere(kind, leg) else leg[1]
        symbol = self._symbol(kind, leg, start_s) if kind.scope == BOOK else None
        fault = FaultPlan(kind.name, start_s, duration_s, leg[0], market, symbol, params)
        return [fault, *self._provocation(kind, leg, fault)]

    def _symbol(self, kind: FaultKind, leg: Leg, start_s: float) -> str:
        """The smallest book for what happens once, and lasts; for all else any book that it did not happen to."""
        listed = self._listed(leg)
        chosen = listed[-1] if kind.once else self._rng.choice(listed)
        if kind.once:
            self._set_apart.add(chosen.key)
        self._touched_s[chosen.key] = start_s
        return chosen.symbol

    def _listed(self, leg: Leg) -> list[Listing]:
        listed = [listing for listing in self._listings if listing.leg == leg]
        return [listing for listing in listed if listing.key not in self._set_apart] or listed

    def _provocation(self, kind: FaultKind, leg: Leg, fault: FaultPlan) -> list[FaultPlan]:
        start_s = round(fault.start_s + _PROVOKE_AFTER_S, 3)
        if kind.provoked_by == "cut":
            return [FaultPlan("close_1006", start_s, 0.0, *leg, None)]
        if kind.provoked_by == "gap":
            # of the busiest books, since a quiet one would notice its gap when the fault is over, the one that was left
            # alone the longest: a book that waits for a snapshot does not ask for another
            busiest = sorted(self._listed(leg), key=lambda one: -one.updates_per_s)[:_BUSIEST]
            chosen = min(busiest, key=lambda one: self._touched_s.get(one.key, 0.0))
            self._touched_s[chosen.key] = start_s
            return [FaultPlan("lost_frames", start_s, 5.0, *leg, chosen.symbol, {"frames": 1})]
        return []


class _Settled:
    """When the clients of each leg have settled after what was planned there so far."""

    def __init__(self, by_leg: dict[Leg, float]) -> None:
        self._by_leg = by_leg

    def copy(self) -> "_Settled":
        """The same, to try further plans with."""
        return _Settled(dict(self._by_leg))

    def at_s(self, kind: FaultKind) -> float:
        """When the first of its places has settled; what disturbs nobody may come at any time."""
        if not kind.settles_s:
            return 0.0
        return min(self._place_s(kind, leg) for leg in self._places(kind))

    def choose(self, kind: FaultKind, start_s: float, rng: Random) -> Leg:
        """Any settled place, or the one that will be the first."""
        places = self._places(kind)
        settled = [leg for leg in places if self._place_s(kind, leg) <= start_s]
        return rng.choice(settled) if settled else min(places, key=lambda leg: self._place_s(kind, leg))

    def disturb(self, kind: FaultKind, leg: Leg, start_s: float) -> None:
        """A fault begins here."""
        until_s = start_s + min(kind.disturbs_s, ROUND_S)
        for one in self._concerned(kind, leg):
            self._by_leg[one] = max(self._by_leg[one], until_s)

    def _places(self, kind: FaultKind) -> list[Leg]:
        legs = [leg for leg in kind.legs if leg in self._by_leg]
        # a gap makes clients ask for a snapshot on Binance alone
        return [leg for leg in legs if leg[0] == BINANCE] if kind.provoked_by == "gap" else legs

    def _place_s(self, kind: FaultKind, leg: Leg) -> float:
        return max(self._by_leg[one] for one in self._concerned(kind, leg))

    def _concerned(self, kind: FaultKind, leg: Leg) -> Iterable[Leg]:
        return [one for one in self._by_leg if one == leg or (one[0] == leg[0] and _is_everywhere(kind, leg))]


def _is_everywhere(kind: FaultKind, leg: Leg) -> bool:
    """Whether it concerns all markets of the venue; Bybit has one host for both, which refuses for both."""
    return kind.scope == VENUE or (kind.name == "connection_refused" and leg[0] != BINANCE)
