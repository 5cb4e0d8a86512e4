"""What a signal claims of its two books, held against the books that the simulated venues had; pure.

arbitrage.opened | updated -> a claim per leg: "at this sequence the best ask (or bid) stood at this price"
                              true in one of the true books of that sequence, else the signal is untrue
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

Verdict = Literal["verified", "unverified", "untrue"]

JUDGED_TYPES = frozenset({"arbitrage.opened", "arbitrage.updated"})
TOUCHED_SIDE = {"buy": "asks", "sell": "bids"}
UNTRUE_KEPT_MAX = 100


@dataclass(frozen=True, slots=True)
class Claim:
    """A leg's touch: whoever takes `side` ("buy" or "sell") gets `price` (USD per unit) at this sequence."""

    venue: str
    market: str
    symbol: str
    sequence: int
    side: str
    price: Decimal

    @property
    def place(self) -> dict[str, str]:
        """What to ask the simulator for."""
        return {
            "venue": self.venue, "market": self.market, "symbol": self.symbol, "sequence": str(self.sequence),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class TrueTouches:
    """The touches of a book in each epoch that holds a sequence, in the venue's own price.

    `multiplier` is how many units the price is for; a side without levels has no touch.
    """

    multiplier: int
    bids: frozenset[Decimal]
    asks: frozenset[Decimal]


def claims_of(message: dict[str, Any]) -> tuple[Claim, ...]:
    """What a decoded signal claims; nothing for other types; raises KeyError, TypeError, ArithmeticError."""
    if message["type"] not in JUDGED_TYPES:
        return ()
    return tuple(
        Claim(leg["venue"], leg["market"], leg["symbol"], leg["sequence"], leg["side"], Decimal(leg["price"]))
        for leg in message["legs"]
    )


def touches_of(answer: dict[str, Any]) -> TrueTouches | None:
    """What the simulator answered; None if it keeps no book of that sequence any more."""
    books = answer["books"]
    if not books:
        return None
    bids, asks = ([Decimal(book[side][0][0]) for book in books if book[side]] for side in ("bids", "asks"))
    return TrueTouches(answer["multiplier"], frozenset(bids), frozenset(asks))


def judge(claims: Iterable[tuple[Claim, TrueTouches | None]]) -> Verdict:
    """The verdict on a signal: one wrong leg is enough, and one unknown leg leaves the rest open."""
    verdicts = [_judge_leg(claim, touches) for claim, touches in claims]
    if "untrue" in verdicts:
        return "untrue"
    return "unverified" if "unverified" in verdicts else "verified"


def _judge_leg(claim: Claim, touches: TrueTouches | None) -> Verdict:
    if touches is None:
        return "unverified"
    touched = touches.asks if TOUCHED_SIDE[claim.side] == "asks" else touches.bids
    return "verified" if claim.price * touches.multiplier in touched else "untrue"


@dataclass(slots=True)
class Verdicts:
    """How many signals were judged how; the first untrue ones by their ids."""

    counts: Counter[Verdict] = field(default_factory=Counter)
    untrue_ids: list[str] = field(default_factory=list)

    def add(self, signal_id: str, verdict: Verdict) -> None:
        """One signal was judged."""
        self.counts[verdict] += 1
        if verdict == "untrue" and len(self.untrue_ids) < UNTRUE_KEPT_MAX:
            self.untrue_ids.append(signal_id)
