"""One direction of a pair: judged, counted, and followed through an opportunity's life."""

from dataclasses import asdict
from fractions import Fraction
from typing import Any

from mts_stream.domain.economics import EconomicSettings
from mts_stream.domain.evaluation import SIGNAL, Judge
from mts_stream.domain.exact import (
    BPS_DECIMALS,
    FRACTION_SCALE,
    SCALE,
    plain,
    plain_ratio,
    plain_rounded,
)
from mts_stream.domain.leg import Leg
from mts_stream.domain.messages import ArbitrageClosed, ArbitrageMessage, LegQuote, SpreadWindow
from mts_stream.domain.opportunities import Opportunity, opportunity_id
from mts_stream.domain.pricing import Amounts, Costs, PairScale
from mts_stream.domain.windows import EDGE_DECIMALS, DirectionWindow, Edge

NS_PER_MS = 10**6
AVERAGE_PRICE_DECIMALS = 12
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
            peak_net_usd=closing.peak_net_usd,
            size_at_peak=closing.size_at_peak,
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

    def _terms(self, now_ns: int, amounts: Amounts, edge: Edge) -> dict[str, Any]:
        """The amounts as they stand in a message: exact USD, bps rounded half-even."""
        scale, costs = self.judge.scale, self.judge.costs(now_ns)
        fine_scale = scale.money_scale * FRACTION_SCALE * SCALE

        def usd(amount: int) -> str:
            return plain_ratio(amount, fine_scale)

        return {
            "legs": [
                self._quote(now_ns, "buy", self.buy, amounts.buy_notional, amounts.size, costs),
                self._quote(now_ns, "sell", self.sell, amounts.sell_notional, amounts.size, costs),
            ],
            "size": plain_ratio(amounts.size, scale.size_scale),
            "buy_notional": plain_ratio(amounts.buy_notional, scale.money_scale),
            "sell_notional": plain_ratio(amounts.sell_notional, scale.money_scale),
            "gross_usd": usd(amounts.gross),
            "fees_usd": usd(amounts.fees),
            "slippage_usd": usd(amounts.slippage),
            "carry_usd": usd(amounts.carry),
            "net_entry_usd": usd(amounts.net_entry),
            "net_round_trip_usd": usd(amounts.net_round_trip),
            "net_usd": usd(amounts.net),
            "net_bps": plain_rounded(amounts.net * 10**4, amounts.buy_notional * FRACTION_SCALE * SCALE, EDGE_DECIMALS),
            "edge_bps": plain(edge.bps, EDGE_DECIMALS),
        }

    def _quote(self, now_ns: int, side: str, leg: Leg, notional: int, size: int, costs: Costs) -> dict[str, Any]:
        instrument, book, scale = leg.instrument, leg.book, self.judge.scale
        touch, fee = (leg.best_ask, costs.buy_fee) if side == "buy" else (leg.best_bid, costs.sell_fee)
        return asdict(
            LegQuote(
                instrument.venue, instrument.market, instrument.symbol, side,
                plain_ratio(touch, scale.price_scale),
                plain_rounded(notional, size * scale.price_scale, AVERAGE_PRICE_DECIMALS),
                plain(fee, BPS_DECIMALS),
                leg.funding.rate_plain if leg.is_perp else None,
                leg.next_funding_ns(now_ns),
                (now_ns - book.applied_ns) // NS_PER_MS,
                book.sequence, book.applied_id, book.gen,
            )
        )  # fmt: skip

    def snapshot(self) -> dict[str, Any]:
        """As JSON data."""
        opportunity = None if self.opportunity is None else self.opportunity.snapshot()
        return {"window": self.window.snapshot(), "opportunity": opportunity}

    def restore(self, data: dict[str, Any]) -> None:
        """Take over a snapshot."""
        self.window.restore(data["window"])
        self.opportunity = None if data["opportunity"] is None else Opportunity.restored(data["opportunity"])


def _typed(terms: dict[str, Any]) -> dict[str, Any]:
    return terms | {"legs": [LegQuote(**leg) for leg in terms["legs"]]}
