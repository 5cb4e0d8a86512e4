"""Whether the legs of a pair are the same thing: judged anew at every reading of the venues' lists; pure.

A pair enters at once when two reference prices per unit differ by more than 2 %, and leaves when they have agreed at
AGREED_READINGS readings in a row. A leg without a fresh price agrees with nobody: a pair that was compared before keeps
its verdict meanwhile, one that never was is quarantined until it can be. A name that is known to mean two assets is
quarantined whatever the prices say.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from decimal import Decimal

from mts_stream.domain.instrument import Instrument
from mts_stream.exchanges.naming import AMBIGUOUS_NAMES

REFERENCE_DIFFERENCE_MAX = Decimal("0.02")
AGREED_READINGS = 3

MarketKey = tuple[str, str]


@dataclass(slots=True)
class _Verdict:
    reason: str | None
    compared: frozenset[str]
    agreed: int


class Quarantine:
    """The verdicts by pair."""

    def __init__(self) -> None:
        self._verdicts: dict[str, _Verdict] = {}

    def judge(self, pair: str, legs: Sequence[Instrument], stale: Collection[MarketKey] = ()) -> str | None:
        """The reason of a pair's quarantine after one more reading, or None; prices of `stale` markets do not count."""
        if len({leg.venue for leg in legs}) > 1 and pair.partition("-")[0] in AMBIGUOUS_NAMES:
            return "ambiguous name: the venues trade different things under it"
        priced = [leg for leg in legs if leg.reference_price > 0 and (leg.venue, leg.market) not in stale]
        names = frozenset(leg.symbol + leg.leg for leg in legs)
        known = self._verdicts.get(pair)
        if difference := _difference(priced):
            self._verdicts[pair] = _Verdict(difference, names, 0)
        elif len(legs) > 1 and len(priced) < len(legs):
            if known is None or not names <= known.compared:
                unpriced = next(leg.leg for leg in legs if leg not in priced)
                return f"no reference price of {unpriced} to compare with the other legs"
        else:
            agreed = AGREED_READINGS if known is None or known.reason is None else known.agreed + 1
            reason = None if known is None or agreed >= AGREED_READINGS else known.reason
            self._verdicts[pair] = _Verdict(reason, names, agreed)
        verdict = self._verdicts.get(pair)
        return verdict.reason if verdict else None


def _difference(legs: Sequence[Instrument]) -> str | None:
    """The two legs whose prices per unit are farthest apart, where that is more than 2 %."""
    prices = sorted((leg.reference_price / leg.multiplier, leg.leg) for leg in legs)
    if len(prices) < 2 or prices[-1][0] / prices[0][0] - 1 <= REFERENCE_DIFFERENCE_MAX:
        return None
    return f"reference prices of {prices[0][1]} and {prices[-1][1]} differ by more than 2 %"
