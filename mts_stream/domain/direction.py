"""One direction of a pair: judged, counted, and followed through an opportunity's life.

A leg whose book looks as before only counts that it does: its directions count along when they are next looked at.
"""

from typing import Any

from mts_stream.domain.anomalies import DirectionAnomalies
from mts_stream.domain.economics import EconomicSettings
from mts_stream.domain.evaluation import SIGNAL, Evaluation, Judge
from mts_stream.domain.funding_arbitrage import FundingArbitrage
from mts_stream.domain.kernel import Kernel
from mts_stream.domain.leg import Leg
from mts_stream.domain.market_data import Origin
from mts_stream.domain.messages import ArbitrageClosed, ArbitrageMessage, Message, SpreadWindow
from mts_stream.domain.opportunities import Opportunity, opportunity_id
from mts_stream.domain.pricing import Amounts, PairScale
from mts_stream.domain.signal_head import opportunity_head
from mts_stream.domain.terms import LegMoment, Terms, fields_of
from mts_stream.domain.windows import DirectionWindow, Edge


class Direction:
    """Buy on one leg, sell on the other."""

    __slots__ = (
        "_last", "_repeats", "_window", "anomalies", "buy", "funding", "judge", "name", "opportunity", "pair", "sell",
        "settings",
    )  # fmt: skip

    def __init__(
        self,
        pair: str,
        legs: tuple[Leg, Leg],
        settings: EconomicSettings,
        scale: PairScale,
        kernel: Kernel,
        now_ns: int,
    ) -> None:
        buy, sell = legs
        self.pair = pair
        self.name = f"{buy.name}>{sell.name}"
        self.buy, self.sell = buy, sell
        self.settings = settings
        self.judge = Judge(buy, sell, settings, scale, kernel)
        self._window = DirectionWindow(now_ns)
        self._last = Evaluation("", None)
        self._repeats = buy.repeats + sell.repeats  # those that are counted
        self.opportunity: Opportunity | None = None
        self.anomalies = DirectionAnomalies(pair, self.name, settings)
        both_perp = buy.is_perp and sell.is_perp
        self.funding = FundingArbitrage(pair, self.name, self.judge) if both_perp else None

    def evaluate(self, now_ns: int, quarantined: bool, origin: Origin) -> ArbitrageMessage | None:
        """Judge the direction once, count it, and say what that means for its opportunity."""
        window = self.window
        evaluation = self.judge.judge(now_ns, quarantined)
        window.on_evaluation(now_ns, evaluation.edge, evaluation.outcome)
        if evaluation.lasts is not self._last.lasts:
            step = -1 if evaluation.lasts else 1
            self.buy.walked += step
            self.sell.walked += step
        self._last = evaluation
        if evaluation.amounts is not None and evaluation.edge is not None:
            return self._on_signal(now_ns, evaluation.amounts, evaluation.edge, origin)
        if self.opportunity is not None:
            return self._on_end(now_ns, self.opportunity, evaluation.outcome)
        return None

    @property
    def lasts(self) -> bool:
        """Whether it need not be evaluated again as long as both legs look as before."""
        return self._last.lasts

    @property
    def window(self) -> DirectionWindow:
        """The open window, with all that its legs have counted."""
        repeats = self.buy.repeats + self.sell.repeats
        if repeats != self._repeats:
            if self._last.lasts:
                self._window.on_repeats(self._last.outcome, repeats - self._repeats)
            self._repeats = repeats
        return self._window

    def close_window(self, end_ns: int) -> SpreadWindow | None:
        """The row of the window that ends then, where it has one."""
        window = self.window
        if not window.has_row(end_ns):
            return None
        return window.on_close(end_ns, self.pair, self.name, self.judge.window_nets(end_ns))

    def judge_window(self, end_ns: int, row: SpreadWindow | None, quarantined: bool, out: list[Message]) -> None:
        """What is judged at a window's end only: whether its mean edge was odd, and whether the funding pays."""
        mean = None if row is None else self._window.closed_mean
        anomaly = self.anomalies.on_window(end_ns, mean, quarantined)
        if anomaly is not None:
            out.append(anomaly)
        if self.funding is None or row is None:
            return  # without a row no book was valid since the last window closed, so that no funding is open
        funding = self.funding.on_window(end_ns, quarantined)
        if funding is not None:
            out.append(funding)

    def _on_signal(self, now_ns: int, amounts: Amounts, edge: Edge, origin: Origin) -> ArbitrageMessage | None:
        unit = self.judge.limits.net_unit
        terms = self._terms(now_ns, amounts, edge)
        if self.opportunity is None:
            identity = opportunity_id(self.pair, self.name, origin.message_id)
            self.opportunity = Opportunity(identity, now_ns, amounts.net, terms, unit)
            return ArbitrageMessage(**self._head(now_ns, "opened", identity, 0), **fields_of(terms.texts))
        if self.opportunity.on_signal(now_ns, amounts.net, terms, unit):
            head = self._head(now_ns, "updated", self.opportunity.id, self.opportunity.event)
            return ArbitrageMessage(**head, **fields_of(terms.texts))
        return None

    def _on_end(self, now_ns: int, opportunity: Opportunity, reason: str) -> ArbitrageClosed:
        assert reason != SIGNAL
        self.opportunity = None
        closing = opportunity.on_end(now_ns)
        return ArbitrageClosed(
            **self._head(now_ns, "closed", closing.opportunity_id, closing.event),
            **fields_of(closing.terms.texts),
            reason=reason,
            duration_ns=closing.duration_ns,
            updates=closing.updates,
            peak_net_usd=closing.peak.texts["net_usd"],
            size_at_peak=closing.peak.texts["size"],
            survived_ms=closing.survived_ms,
        )

    def _head(self, now_ns: int, what: str, identity: str, event: int) -> dict[str, Any]:
        kind = f"arbitrage.{what}"
        return opportunity_head(self.settings, kind, identity, event, self.pair, self.name, now_ns)

    def _terms(self, now_ns: int, amounts: Amounts, edge: Edge) -> Terms:
        costs = self.judge.costs(now_ns)
        buy = LegMoment(self.buy, "buy", self.buy.best_ask, amounts.buy_notional, costs.buy_fee, now_ns)
        sell = LegMoment(self.sell, "sell", self.sell.best_bid, amounts.sell_notional, costs.sell_fee, now_ns)
        return Terms((buy, sell), amounts, edge, self.judge.scale)

    def snapshot(self) -> dict[str, Any]:
        """As JSON data."""
        return {
            "window": self.window.snapshot(),
            "opportunity": None if self.opportunity is None else self.opportunity.snapshot(),
            "anomalies": self.anomalies.watch.snapshot(),
            "funding": None if self.funding is None else self.funding.snapshot(),
        }

    def restore(self, data: dict[str, Any]) -> None:
        """Take over a snapshot."""
        self.window.restore(data["window"])
        self.opportunity = None if data["opportunity"] is None else Opportunity.restored(data["opportunity"])
        self.anomalies.watch.restore(data["anomalies"])
        if self.funding is not None:
            self.funding.restore(data["funding"])
