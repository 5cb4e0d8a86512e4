"""One direction judged at one moment: the outcome is the first rule of DESIGN section 5 that holds."""

from math import lcm

from mts_stream.domain.economics import EconomicSettings
from mts_stream.domain.exact import BPS_DECIMALS, DECIMALS, FRACTION_SCALE, SCALE, scaled_decimal
from mts_stream.domain.fees import NS_PER_DAY
from mts_stream.domain.kernel import Kernel
from mts_stream.domain.leg import Leg
from mts_stream.domain.limits import Limits
from mts_stream.domain.pricing import Amounts, Costs, Measures, PairScale, Walk
from mts_stream.domain.sequencing import VALID
from mts_stream.domain.walker import Touch
from mts_stream.domain.windows import Edge, WalkedNets

SIGNAL = "signal"
Gated = tuple[Walk, int | None, Edge, Costs]
NO_NETS: WalkedNets = (None, None, None)


class MissingFeeError(LookupError):
    """The fee table has no fee for a leg at an event time: a mistake in the settings."""


class Evaluation:
    """An outcome, the touch edge where both books were valid, and the amounts where the outcome is `signal`.

    It `lasts` until a state or a touch changes, the day, or what the registry says; else depth and time decide too.
    """

    __slots__ = ("amounts", "edge", "lasts", "outcome")

    def __init__(self, outcome: str, edge: Edge | None, amounts: Amounts | None = None, lasts: bool = True) -> None:
        self.outcome, self.edge, self.amounts, self.lasts = outcome, edge, amounts, lasts


class Judge:
    """Judges one direction; holds what does not change between two registry records.

    Where the touch says it all, the same touch gets the same evaluation again, the very object.
    """

    __slots__ = (
        "_costs", "_costs_day", "_edgeless", "_gated", "_gated_of", "_nets", "_nets_of", "_new_walker", "_refused",
        "_touch", "buy", "buy_minimum", "limits", "lot", "scale", "sell", "sell_minimum", "settings", "turns", "walker",
    )  # fmt: skip

    def __init__(self, buy: Leg, sell: Leg, settings: EconomicSettings, scale: PairScale, kernel: Kernel) -> None:
        self.buy, self.sell = buy, sell
        self.settings = settings
        self._new_walker = kernel.new_walker
        basis = settings.net_basis
        if basis == "auto":
            basis = "round_trip" if buy.is_perp or sell.is_perp else "entry"
        self.turns = 2 if basis == "round_trip" else 1
        self._nets: WalkedNets = NO_NETS
        self._gated = Evaluation("", None)
        self._refused: dict[str, Evaluation] = {}
        self.relist(scale)

    def relist(self, scale: PairScale) -> None:
        """Take over what a registry record may have changed: scale, lots, minima, fee groups."""
        buy, sell = self.buy, self.sell
        self.scale, self.limits = scale, Limits.of(self.settings, scale)
        self.lot = lcm(buy.factors.lot, sell.factors.lot)
        self.buy_minimum = max(self.limits.min_notional, self._minimum(buy))
        self.sell_minimum = self._minimum(sell)
        self.walker = self._new_walker(buy.book.book, sell.book.book, self._measures())
        self._touch: Touch | None = None
        self._edgeless: Evaluation | None = None  # what the touch alone decides
        self._costs: Costs | None = None
        self._costs_day = -1
        self._nets_of: tuple[int, int, Costs] | None = None
        self._gated_of: Gated | None = None

    def _measures(self) -> Measures:
        limits = self.limits
        factors = (self.buy.factors, self.sell.factors)
        return Measures(*factors, self.lot, limits.depth_share, limits.max_notional, limits.window_notionals)

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
        if self.buy.state != VALID or self.sell.state != VALID:
            return self._refusal("quarantined" if quarantined else self._book_refusal() or "")
        costs = self.costs(now_ns)
        touch = self.walker.touch(costs)
        if quarantined:
            return Evaluation("quarantined", touch.edge)
        if touch is not self._touch:
            self._touch, self._edgeless = touch, self._at_touch(touch)
        return self._edgeless or self._walked(now_ns, touch.edge, costs)

    def _at_touch(self, touch: Touch) -> Evaluation | None:
        if not touch.adds:
            return Evaluation("no_edge", touch.edge)
        ask, bid = self.buy.best_ask, self.sell.best_bid
        if (bid - ask) * FRACTION_SCALE > self.limits.max_edge_bps * ask:
            return Evaluation("implausible", touch.edge)
        return None

    def _refusal(self, outcome: str) -> Evaluation:
        """The evaluation without an edge, the same one each time."""
        return self._refused.setdefault(outcome, Evaluation(outcome, None))

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

    def _walked(self, now_ns: int, edge: Edge, costs: Costs) -> Evaluation:
        """What the gates behind the walk say; the same as before where it and the funding are the same."""
        rates = self.carried_rates(now_ns) if self.funding_known(now_ns) else None
        basis = (self.walker.walk(costs), rates, edge, costs)
        if basis != self._gated_of:
            self._gated, self._gated_of = self._gate(*basis), basis
        return self._gated

    def _gate(self, walked: Walk, rates: int | None, edge: Edge, costs: Costs) -> Evaluation:
        limits = self.limits
        if not walked.size or self._below_minimum(walked.buy_notional, walked.sell_notional):
            return Evaluation("min_notional", edge, lasts=False)
        if rates is None:
            return Evaluation("funding_unknown", edge, lasts=False)
        amounts = Amounts.of(walked, costs, rates)
        too_little = amounts.net < limits.min_profit_usd
        too_thin = amounts.net < limits.min_profit_bps * amounts.buy_notional * SCALE
        if too_little or too_thin:
            return Evaluation("below_threshold", edge, lasts=False)
        return Evaluation(SIGNAL, edge, amounts, lasts=False)

    def walked(self, now_ns: int) -> Walk:
        """The walk up to MAX_NOTIONAL; of valid books."""
        return self.walker.walk(self.costs(now_ns))

    def funding_known(self, now_ns: int) -> bool:
        """Whether the carry of both legs can be computed."""
        return self.buy.funding_known(now_ns) and self.sell.funding_known(now_ns)

    def carried_rates(self, now_ns: int) -> int:
        """The sell leg's sum of funding rates while held, minus the buy leg's (10^-18); only where funding is known."""
        horizon_ns = self.limits.holding_ns
        return self.sell.rates_until(now_ns, horizon_ns) - self.buy.rates_until(now_ns, horizon_ns)

    def _below_minimum(self, buy_notional: int, sell_notional: int) -> bool:
        return buy_notional < self.buy_minimum or sell_notional < self.sell_minimum

    def window_nets(self, at_ns: int) -> WalkedNets:
        """The walker's nets at a window's end; null also where a book is not valid."""
        buy, sell = self.buy, self.sell
        if buy.state != VALID or sell.state != VALID:
            return NO_NETS
        costs = self.costs(at_ns)
        basis = (buy.book.book.version, sell.book.book.version, costs)
        if basis != self._nets_of:
            self._nets, self._nets_of = self.walker.nets(costs), basis
        return self._nets
