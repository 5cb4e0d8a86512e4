"""Holding both perps for their funding: long the buy leg, short the sell leg (DESIGN section 5, "Funding arbitrage").

Judged at each window's end, at that event time, against the books as they stand then:

    carry = sum of the sell leg's rates - sum of the buy leg's, over settlements in (end, end + FUNDING_HORIZON_HOURS]
    cost  = four taker fees + four times the slippage - touch edge
    net   = carry - cost                                        each a fraction of the buy notional

It is closed by the first of `quarantined`, `book_<state>`, `funding_unknown`, `below_threshold` that holds.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import NAMESPACE_OID, uuid5

from mts_stream.domain.evaluation import Judge
from mts_stream.domain.exact import FRACTION_SCALE, SCALE, plain_rounded
from mts_stream.domain.funding import Payments, break_even_ns
from mts_stream.domain.messages import FundingClosed, FundingMessage
from mts_stream.domain.pricing import PairScale
from mts_stream.domain.signal_head import opportunity_head
from mts_stream.domain.terms import LegMoment, fields_of
from mts_stream.domain.windows import EDGE_DECIMALS

_RATE_UNITS: int = SCALE // FRACTION_SCALE  # a fee or slippage in the unit of a funding rate


class Paying(NamedTuple):
    """Carry and cost of a moment, as multiples of 1/(ask * SCALE) of the buy notional."""

    carry: int
    cost: int
    ask: int

    @property
    def net(self) -> int:
        """What is left over the horizon."""
        return self.carry - self.cost

    def bps(self, part: int) -> str:
        """Carry, cost or net in basis points, rounded half-even to 4 places."""
        return plain_rounded(part * 10**4, self.ask * SCALE, EDGE_DECIMALS)


class Moment(NamedTuple):
    """The terms of a window's end, as numbers until somebody asks for their texts: there is no walk, only the touch."""

    legs: tuple[LegMoment, LegMoment]
    payments: tuple[Payments, Payments]
    until_ns: int
    paying: Paying
    scale: PairScale

    def texts(self) -> dict[str, Any]:
        """The fields of a message."""
        paying = self.paying
        return {
            "legs": [leg.texts(1, self.scale) for leg in self.legs],
            "carry_bps": paying.bps(paying.carry),
            "cost_bps": paying.bps(paying.cost),
            "net_bps": paying.bps(paying.net),
            "break_even_ns": break_even_ns(self.payments, self.until_ns, paying.cost, paying.ask),
        }


@dataclass(slots=True)
class OpenFunding:
    """An open funding arbitrage: its name, since when, and the terms of the last window that it was judged at."""

    id: str
    opened_ns: int
    terms: Moment | dict[str, Any]  # a checkpoint has the texts

    @property
    def texts(self) -> dict[str, Any]:
        """The fields of a message that the terms decide."""
        return self.terms.texts() if isinstance(self.terms, Moment) else self.terms


def funding_opportunity_id(pair: str, direction: str, opened_ns: int) -> str:
    """The id of the funding arbitrage that opened then."""
    return str(uuid5(NAMESPACE_OID, f"mts|funding|{pair}|{direction}|{opened_ns}"))


class FundingArbitrage:
    """The funding arbitrage of one direction of two perps."""

    def __init__(self, pair: str, direction: str, judge: Judge) -> None:
        self._pair, self._direction, self._judge = pair, direction, judge
        self._open: OpenFunding | None = None

    def on_window(self, end_ns: int, quarantined: bool) -> FundingMessage | None:
        """Judge it at a window's end; says what that opens or closes."""
        reason = "quarantined" if quarantined else self._judge.refusal(end_ns)
        if reason is not None:
            return self._close(end_ns, reason)
        paying = self._paying(end_ns)
        if paying.net < self._judge.limits.funding_min_net_bps * _RATE_UNITS * paying.ask:
            return self._close(end_ns, "below_threshold")
        moment = self._moment(end_ns, paying)
        if self._open is not None:
            self._open.terms = moment
            return None
        self._open = OpenFunding(funding_opportunity_id(self._pair, self._direction, end_ns), end_ns, moment)
        return FundingMessage(**self._head("opened", self._open, 0, end_ns), **fields_of(moment.texts()))

    def _close(self, end_ns: int, reason: str) -> FundingClosed | None:
        """The terms are those of the last window at which it was open."""
        closing, self._open = self._open, None
        if closing is None:
            return None
        head = self._head("closed", closing, 1, end_ns)
        duration_ns = end_ns - closing.opened_ns
        return FundingClosed(**head, **fields_of(closing.texts), reason=reason, duration_ns=duration_ns)

    def _head(self, what: str, funding: OpenFunding, event: int, end_ns: int) -> dict[str, Any]:
        kind = f"funding.{what}"
        return opportunity_head(self._judge.settings, kind, funding.id, event, self._pair, self._direction, end_ns)

    def _paying(self, at_ns: int) -> Paying:
        buy, sell, limits, costs = self._judge.buy, self._judge.sell, self._judge.limits, self._judge.costs(at_ns)
        ask, bid = buy.best_ask, sell.best_bid
        horizon_ns = limits.funding_horizon_ns
        rates = sell.rates_until(at_ns, horizon_ns) - buy.rates_until(at_ns, horizon_ns)
        fees_and_slippage = 2 * (costs.buy_fee + costs.sell_fee) + 4 * costs.slippage
        return Paying(rates * ask, fees_and_slippage * _RATE_UNITS * ask - (bid - ask) * SCALE, ask)

    def _moment(self, at_ns: int, paying: Paying) -> Moment:
        judge = self._judge
        buy, sell, costs = judge.buy, judge.sell, judge.costs(at_ns)
        legs = (
            LegMoment(buy, "buy", buy.best_ask, buy.best_ask, costs.buy_fee, at_ns),
            LegMoment(sell, "sell", sell.best_bid, sell.best_bid, costs.sell_fee, at_ns),
        )
        payments = (buy.payments(at_ns, -1), sell.payments(at_ns, 1))
        return Moment(legs, payments, at_ns + judge.limits.funding_horizon_ns, paying, judge.scale)

    def snapshot(self) -> list[Any] | None:
        """As JSON data."""
        return None if self._open is None else [self._open.id, self._open.opened_ns, self._open.texts]

    def restore(self, data: list[Any] | None) -> None:
        """Take over a snapshot."""
        self._open = None if data is None else OpenFunding(*data)
