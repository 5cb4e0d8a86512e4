"""One direction of a pair: judged, counted, and followed through an opportunity's life."""

from fractions import Fraction
from typing import Any

from mts_stream.domain.economics import EconomicSettings
from mts_stream.domain.evaluation import SIGNAL, Judge
from mts_stream.domain.exact import FRACTION_SCALE, SCALE
from mts_stream.domain.leg import Leg
from mts_stream.domain.messages import ArbitrageClosed, ArbitrageMessage, LegQuote, SpreadWindow
from mts_stream.domain.opportunities import Opportunity, opportunity_id
from mts_stream.domain.pricing import Amounts, PairScale
from mts_stream.domain.terms import LegMoment, Terms
from mts_stream.domain.windows import DirectionWindow, Edge

NS_PER_MS = 10**6
SCHEMA_VERSION = 1


class Direction:
    """Buy on one leg, sell on the other."""

    def __init__(
        self, pair: str, buy: Leg, sell: Leg, settings: EconomicSettings, scale: PairScale, now_ns: int
    ) -> None:
        self.pair = pair
        self.name = f"{buy.name}>{sell.name}"
        self.buy, self.sell = buy, sell
        self.settings = settings
        self.judge = Judge(buy, sell, settings, scale)
        self.window = DirectionWindow(now_ns)
        self.opportunity: Opportunity | None = None

    def evaluate(self, now_ns: int, quarantined: bool, message_id: str) -> ArbitrageMessage | None:
        """Judge the direction once, count it, and say what that means for its opportunity."""
        evaluation = self.judge.judge(now_ns, quarantined)
        self.window.on_evaluation(now_ns, evaluation.edge, evaluation.outcome)
        if evaluation.amounts is not None and evaluation.edge is not None:
            return self._on_signal(now_ns, evaluation.amounts, evaluation.edge, message_id)
        if self.opportunity is not None:
            return self._on_end(now_ns, self.opportunity, evaluation.outcome)
        return None

    def close_window(self, end_ns: int) -> SpreadWindow | None:
        """The row of the window that ends then, where it has one."""
        if not self.window.has_row(end_ns):
            self.window.skip_to(end_ns)
            return None
        return self.window.on_close(end_ns, self.pair, self.name, self.judge.window_nets(end_ns))

    def _on_signal(self, now_ns: int, amounts: Amounts, edge: Edge, message_id: str) -> ArbitrageMessage | None:
        net = Fraction(amounts.net, self.judge.scale.money_scale * FRACTION_SCALE * SCALE)
        terms = self._terms(now_ns, amounts, edge)
        if self.opportunity is None:
            identity = opportunity_id(self.pair, self.name, message_id)
            self.opportunity = Opportunity(identity, now_ns, net, terms)
            return ArbitrageMessage(**self._head(now_ns, "opened", identity, 0), **_typed(terms))
        if self.opportunity.on_signal(now_ns, net, terms):
            head = self._head(now_ns, "updated", self.opportunity.id, self.opportunity.event)
            return ArbitrageMessage(**head, **_typed(terms))
        return None

    def _on_end(self, now_ns: int, opportunity: Opportunity, reason: str) -> ArbitrageClosed:
        assert reason != SIGNAL
        self.opportunity = None
        closing = opportunity.on_end(now_ns)
        return ArbitrageClosed(
            **self._head(now_ns, "closed", closing.opportunity_id, closing.event),
            **_typed(closing.terms),
            reason=reason,
            duration_ns=closing.duration_ns,
            updates=closing.updates,
            peak_net_usd=closing.peak.texts["net_usd"],
            size_at_peak=closing.peak.texts["size"],
            survived_ms=closing.survived_ms,
        )

    def _head(self, now_ns: int, what: str, identity: str, event: int) -> dict[str, Any]:
        return {
            "id": f"{identity}-{event}",
            "type": f"arbitrage.{what}",
            "schema_version": SCHEMA_VERSION,
            "pair": self.pair,
            "event_time_ns": now_ns,
            "emitted_ns": now_ns,
            "expires_ns": now_ns + self.settings.signal_ttl_ms * NS_PER_MS,
            "config_id": self.settings.config_id,
            "opportunity_id": identity,
            "event": event,
            "direction": self.name,
        }

    def _terms(self, now_ns: int, amounts: Amounts, edge: Edge) -> Terms:
        costs = self.judge.costs(now_ns)
        buy = _moment(now_ns, "buy", self.buy, self.buy.best_ask, amounts.buy_notional, costs.buy_fee)
        sell = _moment(now_ns, "sell", self.sell, self.sell.best_bid, amounts.sell_notional, costs.sell_fee)
        return Terms((buy, sell), amounts, edge, self.judge.scale)

    def snapshot(self) -> dict[str, Any]:
        """As JSON data."""
        opportunity = None if self.opportunity is None else self.opportunity.snapshot()
        return {"window": self.window.snapshot(), "opportunity": opportunity}

    def restore(self, data: dict[str, Any]) -> None:
        """Take over a snapshot."""
        self.window.restore(data["window"])
        self.opportunity = None if data["opportunity"] is None else Opportunity.restored(data["opportunity"])


def _moment(now_ns: int, side: str, leg: Leg, touch: int, notional: int, fee: int) -> LegMoment:
    book = leg.book
    return LegMoment(
        leg.instrument, side, touch, notional, fee,
        leg.funding.rate_plain if leg.is_perp else None,
        leg.next_funding_ns(now_ns),
        (now_ns - book.applied_ns) // NS_PER_MS,
        book.sequence, book.applied_id, book.gen,
    )  # fmt: skip


def _typed(terms: Terms) -> dict[str, Any]:
    """The terms as the fields of a message."""
    texts = terms.texts
    return texts | {"legs": [LegQuote(**leg) for leg in texts["legs"]]}
