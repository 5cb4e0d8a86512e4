"""What one evaluation found, kept as numbers until somebody asks for its text: most evaluations are never sent."""

from typing import Any

from mts_stream.domain.exact import BPS_DECIMALS, DECIMALS, FRACTION_SCALE, SCALE, plain, plain_ratio, plain_rounded
from mts_stream.domain.leg import Leg
from mts_stream.domain.market_data import message_id
from mts_stream.domain.messages import LegQuote
from mts_stream.domain.pricing import Amounts, PairScale
from mts_stream.domain.windows import EDGE_DECIMALS, Edge

AVERAGE_PRICE_DECIMALS = 12
NS_PER_MS = 10**6


class LegMoment:
    """A leg with a valid book as it stands at event time: its touch and notional on the pair's scale, its cost."""

    __slots__ = (
        "applied", "book_age_ns", "fee", "funding_rate", "generation", "instrument", "next_funding_ns", "notional",
        "sequence", "side", "touch",
    )  # fmt: skip

    def __init__(self, leg: Leg, side: str, touch: int, notional: int, fee: int, now_ns: int) -> None:
        book = leg.book
        self.instrument = leg.instrument
        self.side, self.touch, self.notional, self.fee = side, touch, notional, fee
        self.funding_rate: int | None = leg.funding.rate if leg.is_perp else None  # 10^-18
        self.next_funding_ns: int | None = leg.next_funding_ns(now_ns)
        self.book_age_ns = now_ns - book.applied_ns
        self.sequence, self.applied, self.generation = book.sequence, book.applied, book.gen

    def texts(self, size: int, scale: PairScale) -> dict[str, Any]:
        """The leg as it stands in a message."""
        instrument = self.instrument
        return {
            "venue": instrument.venue,
            "market": instrument.market,
            "symbol": instrument.symbol,
            "side": self.side,
            "price": plain_ratio(self.touch, scale.price_scale),
            "average_price": plain_rounded(self.notional, size * scale.price_scale, AVERAGE_PRICE_DECIMALS),
            "fee_bps": plain(self.fee, BPS_DECIMALS),
            "funding_rate": None if self.funding_rate is None else plain(self.funding_rate, DECIMALS),
            "next_funding_ns": self.next_funding_ns,
            "book_age_ms": self.book_age_ns // NS_PER_MS,
            "sequence": self.sequence,
            "message_id": message_id(self.applied),
            "generation": self.generation,
        }


class Terms:
    """The terms of an evaluation that was a signal: amounts exact, bps rounded half-even."""

    __slots__ = ("_amounts", "_edge", "_legs", "_scale", "_texts")

    def __init__(
        self, legs: tuple[LegMoment, ...], amounts: Amounts | None, edge: Edge | None, scale: PairScale | None,
        texts: dict[str, Any] | None = None,
    ) -> None:  # fmt: skip
        self._legs, self._amounts, self._edge, self._scale, self._texts = legs, amounts, edge, scale, texts

    @classmethod
    def restored(cls, texts: dict[str, Any]) -> "Terms":
        """Terms of a snapshot: their texts are all that anybody can still ask for."""
        return cls((), None, None, None, texts)

    @property
    def texts(self) -> dict[str, Any]:
        """The fields of a message that an evaluation decides, legs included."""
        if self._texts is None:
            self._texts = self._written()
        return self._texts

    def _written(self) -> dict[str, Any]:
        amounts, edge, scale = self._amounts, self._edge, self._scale
        assert amounts is not None and edge is not None and scale is not None, "restored with its texts"
        usd_scale = scale.money_scale * FRACTION_SCALE * SCALE
        bought = amounts.buy_notional
        return {
            "legs": [leg.texts(amounts.size, scale) for leg in self._legs],
            "size": plain_ratio(amounts.size, scale.size_scale),
            "buy_notional": plain_ratio(bought, scale.money_scale),
            "sell_notional": plain_ratio(amounts.sell_notional, scale.money_scale),
            "gross_usd": plain_ratio(amounts.gross, usd_scale),
            "fees_usd": plain_ratio(amounts.fees, usd_scale),
            "slippage_usd": plain_ratio(amounts.slippage, usd_scale),
            "carry_usd": plain_ratio(amounts.carry, usd_scale),
            "net_entry_usd": plain_ratio(amounts.net_entry, usd_scale),
            "net_round_trip_usd": plain_ratio(amounts.net_round_trip, usd_scale),
            "net_usd": plain_ratio(amounts.net, usd_scale),
            "net_bps": plain_rounded(amounts.net * 10**4, bought * FRACTION_SCALE * SCALE, EDGE_DECIMALS),
            "edge_bps": plain(edge.bps, EDGE_DECIMALS),
        }


def fields_of(texts: dict[str, Any]) -> dict[str, Any]:
    """Texts with legs as the fields of a message."""
    return texts | {"legs": [LegQuote(**leg) for leg in texts["legs"]]}
