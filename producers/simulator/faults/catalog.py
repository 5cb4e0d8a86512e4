"""The faults by name: what each does, where it can be, how long it lasts, and its parameters.

Facts behind them: exchange notes 0, 1.1, 1.3, 1.4, 2.1, 2.2, 2.4 and 7.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from producers.simulator.universe import BINANCE, BYBIT, LEGS, PERP, SPOT, Leg

BOOK, MARKET, VENUE = "book", "market", "venue"

BINANCE_LEGS: tuple[Leg, ...] = ((BINANCE, SPOT), (BINANCE, PERP))
PERP_LEGS: tuple[Leg, ...] = ((BINANCE, PERP), (BYBIT, PERP))
FOREVER_S = 1e9


@dataclass(frozen=True, slots=True)
class FaultKind:
    """One class of fault.

    `params`: the values a schedule draws from; the first is the default. `counted`: the parameter that says how often
    it bites before it is over. `provoked_by`: what makes it bite in a schedule, a `cut` of the market's sockets (it
    shows when clients subscribe) or a `gap` in a book (it shows when clients ask for a snapshot). `settles_s`: how long
    after its end the clients of its place need to be connected and to ask again (pauses, backoff); 0 for what concerns
    one book alone, or no connection and no request.
    """

    name: str
    scope: str
    duration_s: tuple[float, float]
    legs: tuple[Leg, ...] = LEGS
    params: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    counted: str | None = None
    provoked_by: str | None = None
    settles_s: float = 0.0
    mixed: bool = True
    once: bool = False

    @property
    def disturbs_s(self) -> float:
        """From its begin until its place is as it was before, at the most."""
        longest_s = self.duration_s[1] + max(self.params.get("delay_s", (0.0,)))
        return longest_s + self.settles_s if self.settles_s else 0.0


BROKEN_BODIES = ("truncated", "html", "empty", "other")
CLOSE_CODES = (1000, 1001, 1006, 1008, 1011)

_FRAMES = (
    FaultKind("lost_frames", BOOK, (5, 5), params={"frames": (1, 2, 5)}, counted="frames"),
    FaultKind("doubled_frames", BOOK, (5, 5), params={"frames": (3, 1, 8)}, counted="frames"),
    FaultKind("reordered_frames", BOOK, (5, 5), params={"frames": (1, 2, 3)}, counted="frames"),
    FaultKind("late_frames", BOOK, (2, 4), params={"delay_s": (2.5, 1.0, 4.0)}),
)
_BOOKS = (
    FaultKind("sequence_reset", BOOK, (0, 0), params={"jump": (1_000_000, 50_000), "as_delta": (False, True)}),
    FaultKind("crossed_book", BOOK, (0.5, 1.5), params={"slots": (3, 2, 6)}),
)
_SOCKETS = (
    FaultKind("half_open", MARKET, (8, 8), settles_s=1),
    FaultKind("connection_refused", MARKET, (2, 4), settles_s=4),
    *(FaultKind(f"close_{code}", MARKET, (0, 0), settles_s=3) for code in CLOSE_CODES),
    FaultKind("venue_restart", VENUE, (0, 0), settles_s=3),
    FaultKind("server_shutdown", MARKET, (2, 4), legs=((BINANCE, SPOT),), settles_s=3),
)
_SUBSCRIBING: tuple[FaultKind, ...] = (
    *(
        FaultKind(
            f"ack_{how}", MARKET, (8, 8), params={"times": (1, 2)}, counted="times", provoked_by="cut", settles_s=1
        )
        for how in ("failure", "wrong_id", "missing")
    ),
    FaultKind("silent_stream", BOOK, (6, 6), params={"listed": (True, False)}, provoked_by="cut", settles_s=2),
)
_REST = (
    FaultKind("rest_429", MARKET, (2, 4), provoked_by="gap", settles_s=2),
    FaultKind("rest_418", MARKET, (3, 5), legs=BINANCE_LEGS, provoked_by="gap", settles_s=2),
    FaultKind("slow_rest", MARKET, (3, 3), params={"delay_s": (3.0, 1.5, 6.0)}, provoked_by="gap", settles_s=1),
    FaultKind("rest_5xx", MARKET, (2, 4), params={"status": (503, 500, 502, 504)}, provoked_by="gap", settles_s=3),
    FaultKind("malformed_rest", MARKET, (2, 4), params={"how": BROKEN_BODIES}, provoked_by="gap", settles_s=3),
    FaultKind("rest_10006", MARKET, (2, 4), legs=((BYBIT, SPOT), (BYBIT, PERP)), settles_s=2, mixed=False),
    FaultKind("region_403", MARKET, (FOREVER_S, FOREVER_S), settles_s=1, mixed=False),
    FaultKind("region_451", MARKET, (FOREVER_S, FOREVER_S), legs=BINANCE_LEGS, settles_s=1, mixed=False),
)
_INSTRUMENTS = (
    FaultKind("funding_interval_change", BOOK, (5, 10), legs=PERP_LEGS, params={"hours": (1, 2, 4, 8)}),
    FaultKind("delisting", BOOK, (FOREVER_S, FOREVER_S), once=True),
    FaultKind("listing", BOOK, (0, 0), params={"everywhere": (True,)}, mixed=False, once=True),
    FaultKind(
        "delisting_announced", BOOK, (FOREVER_S, FOREVER_S), legs=PERP_LEGS, params={"hours": (20, 70)}, mixed=False
    ),
    FaultKind("halting", BOOK, (5, 10), legs=((BINANCE, SPOT),), mixed=False),
    FaultKind("clock_skew", VENUE, (4, 8), params={"skew_s": (-1.3, 1.3, 2.5, -2.5)}),
)

CATALOG: dict[str, FaultKind] = {
    kind.name: kind for kind in (*_FRAMES, *_BOOKS, *_SOCKETS, *_SUBSCRIBING, *_REST, *_INSTRUMENTS)
}
MIX: frozenset[str] = frozenset(name for name, kind in CATALOG.items() if kind.mixed)
"""What `--faults` plays; a refused region and a too frequent address are played by name alone."""
