"""One direction judged at one moment: the outcome is the first rule of DESIGN section 5 that holds."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import lcm

from mts_stream.domain.economics import EconomicSettings
from mts_stream.domain.exact import (
    BPS_DECIMALS,
    DECIMALS,
    FRACTION_SCALE,
    SCALE,
    SHARE_SCALE,
    plain_rounded,
    scaled_decimal,
)
from mts_stream.domain.fees import NS_PER_DAY
from mts_stream.domain.leg import Leg
from mts_stream.domain.limits import Limits
from mts_stream.domain.order_book import ScaledLevel
from mts_stream.domain.pricing import Amounts, Costs, PairScale, Walk, counted, walk
from mts_stream.domain.sequencing import VALID
from mts_stream.domain.windows import EDGE_DECIMALS, Edge, WalkedNets

SIGNAL = "signal"


class MissingFeeError(LookupError):
    """The fee table has no fee for a leg at an event time: a mistake in the settings."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """An outcome, the touch edge where both books were valid, and the amounts where the outcome is `signal`."""

    outcome: str
    edge: Edge | None
    amounts: Amounts | None = None


class Judge:
    """Judges one direction; holds what does not change between two registry records."""

    def __init__(self, buy: Leg, sell: Leg, settings: EconomicSettings, scale: PairScale) -> None:
        self.buy, self.sell = buy, sell
        self.settings = settings
        basis = settings.net_basis
        if basis == "auto":
            basis = "round_trip" if buy.is_perp or sell.is_perp else "entry"
        self.turns = 2 if basis == "round_trip" else 1
        self._edge = Edge(0, 0)
        self._nets: WalkedNets = (None, None, None)
        self.relist(scale)

    def relist(self, scale: PairScale) -> None:
        """Take over what a registry record may have changed: scale, lots, minima, fee groups."""
        self.scale, self.limits = scale, Limits.of(self.settings, scale)
        self.lot = lcm(self.buy.factors.lot, self.sell.factors.lot)
        self.buy_minimum = max(self.limits.min_notional, self._minimum(self.buy))
        self.sell_minimum = self._minimum(self.sell)
        self._costs: Costs | None = None
        self._costs_day = -1
        self._edge_of: tuple[int, int] | None = None
        self._nets_of: tuple[int, int, Costs] | None = None

    def _minimum(self, leg: Leg) -> int:
        return scaled_decimal(leg.instrument.min_notional, DECIMALS) * self.scale.money_scale // SCALE

    def costs(self, at_ns: int) -> Costs:
        """The fees in force at an event time, and the slippage."""
        day = at_ns // NS_PER_DAY
        if self._costs is None or day != self._costs_day:
            fees = (self._fee(self.buy, at_ns), self._fee(self.sell, at_ns))
            self._costs, self._costs_day = Costs(*fees, self.limits.slippage, self.turns), day
        return self._costs

    def _fee(self, leg: Leg, at_ns: int) -> int:
        instrument = leg.instrument
        bps = self.settings.fees.taker_bps(instrument.venue, instrument.market, instrument.fee_group, at_ns)
        if bps is None:
            raise MissingFeeError(f"FEES_FILE: no fee of {leg.name} is in force at event time {at_ns} ns")
        return scaled_decimal(bps, BPS_DECIMALS)

    def judge(self, now_ns: int, quarantined: bool) -> Evaluation:
        """The outcome now; the books are as they are."""
        buy, sell = self.buy, self.sell
        refusal = self._book_refusal()
        if refusal is not None:
            return Evaluation("quarantined" if quarantined else refusal, None)
        ask, bid = buy.best_ask, sell.best_bid
        edge = self._touch_edge(bid, ask)
        if quarantined:
            return Evaluation("quarantined", edge)
        if not self.costs(now_ns).adds(bid, ask):
            return Evaluation("no_edge", edge)
        if (bid - ask) * FRACTION_SCALE > self.limits.max_edge_bps * ask:
            return Evaluation("implausible", edge)
        return self._walked(now_ns, edge)

    def _book_refusal(self) -> str | None:
        """`book_<state>` of the leg whose book is not valid, the buy leg's first; None when both are."""
        for leg in (self.buy, self.sell):
            if leg.state != VALID:
                return f"book_{leg.state}"
        return None

    def refusal(self, now_ns: int) -> str | None:
        """Why nothing can be said of the direction: a book that is not valid, or unknown funding; None if it can."""
        refusal = self._book_refusal()
        if refusal is None and not (self.buy.funding_known(now_ns) and self.sell.funding_known(now_ns)):
            return "funding_unknown"
        return refusal

    def _touch_edge(self, bid: int, ask: int) -> Edge:
        if self._edge_of != (bid, ask):
            self._edge_of, self._edge = (bid, ask), Edge.of(bid, ask)
        return self._edge

    def _walked(self, now_ns: int, edge: Edge) -> Evaluation:
        limits, walked = self.limits, self.walked(now_ns)
        if not walked.size or self._below_minimum(walked.buy_notional, walked.sell_notional):
            return Evaluation("min_notional", edge)
        if not self.funding_known(now_ns):
            return Evaluation("funding_unknown", edge)
        amounts = Amounts.of(walked, self.costs(now_ns), self.carried_rates(now_ns))
        too_little = amounts.net < limits.min_profit_usd
        too_thin = amounts.net < limits.min_profit_bps * amounts.buy_notional * SCALE
        if too_little or too_thin:
            return Evaluation("below_threshold", edge)
        return Evaluation(SIGNAL, edge, amounts)

    def walked(self, now_ns: int) -> Walk:
        """The walk up to MAX_NOTIONAL; of valid books."""
        return self._walk(self.limits.max_notional, self.costs(now_ns))

    def funding_known(self, now_ns: int) -> bool:
        """Whether the carry of both legs can be computed."""
        return self.buy.funding_known(now_ns) and self.sell.funding_known(now_ns)

    def carried_rates(self, now_ns: int) -> int:
        """The sell leg's sum of funding rates while held, minus the buy leg's (10^-18); only where funding is known."""
        horizon_ns = self.limits.holding_ns
        return self.sell.rates_until(now_ns, horizon_ns) - self.buy.rates_until(now_ns, horizon_ns)

    def _walk(self, max_notional: int, costs: Costs | None) -> Walk:
        return walk(*self.counted_levels(), max_notional, self.lot, costs)

    def counted_levels(self) -> tuple[Iterator[ScaledLevel], Iterator[ScaledLevel]]:
        """The asks of the buy leg and the bids of the sell leg from the best, as far as MAX_DEPTH_SHARE counts them."""
        asks, bids = self.levels()
        share = self.limits.depth_share
        if share == SHARE_SCALE:
            return asks, bids
        return counted(asks, share, self.buy.factors.lot), counted(bids, share, self.sell.factors.lot)

    def levels(self) -> tuple[Iterator[ScaledLevel], Iterator[ScaledLevel]]:
        """The asks of the buy leg and the bids of the sell leg from the best, in units of the pair."""
        buy, sell = self.buy, self.sell
        asks = buy.factors.levels(buy.book.book.asks.from_best())
        return asks, sell.factors.levels(sell.book.book.bids.from_best())

    def _below_minimum(self, buy_notional: int, sell_notional: int) -> bool:
        return buy_notional < self.buy_minimum or sell_notional < self.sell_minimum

    def window_nets(self, at_ns: int) -> WalkedNets:
        """Net before carry, in bps, of entering with 1k, 10k and 50k USD whatever the edge; null where it cannot be.

        Null: a book is not valid, or the books end before the notional does.
        """
        buy, sell = self.buy, self.sell
        if self._book_refusal() is not None:
            return (None, None, None)
        costs = self.costs(at_ns)
        basis = (buy.book.book.version, sell.book.book.version, costs)
        if basis != self._nets_of:
            small, middle, large = (self._net_bps(notional, costs) for notional in self.limits.window_notionals)
            self._nets = (small, middle, large)
            self._nets_of = basis
        return self._nets

    def _net_bps(self, max_notional: int, costs: Costs) -> str | None:
        walked = self._walk(max_notional, None)
        if not walked.filled or not walked.size:
            return None
        bought, sold = walked.buy_notional, walked.sell_notional
        cost = bought * costs.buy_fee + sold * costs.sell_fee + costs.slippage * (bought + sold)
        net = (sold - bought) * FRACTION_SCALE - cost
        return plain_rounded(net * 10**4, bought * FRACTION_SCALE, EDGE_DECIMALS)
