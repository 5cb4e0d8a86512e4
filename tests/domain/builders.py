"""Hand-made records for tests of the domain: short to write, complete to read."""

import json
from decimal import Decimal
from typing import Any

from mts_stream.domain.economics import EconomicSettings
from mts_stream.domain.engine import PartitionEngine
from mts_stream.domain.instrument import Instrument, PairListing
from mts_stream.domain.kernel import Kernel
from mts_stream.domain.market_data import ConnectionStatus, DepthUpdate, FundingUpdate, Origin, RegistryUpdate
from mts_stream.domain.messages import ArbitrageMessage, Message, SpreadWindow

T0 = 1_700_000_000 * 10**9
MS = 10**6
PAIR = "BTC-USDT"


def origin(leg: str = "binance:perp", *, at_ms: float = 0, conn: str = "c", gen: int = 1, seq: int = 1) -> Origin:
    """Where a record came from; times in ms after T0."""
    venue, market = leg.split(":")
    return Origin(venue, market, "BTCUSDT", PAIR, conn, gen, seq, T0 + int(at_ms * MS))


def instrument(leg: str, **changes: Any) -> Instrument:
    """A leg with a lot of 0.001 and no minimum."""
    venue, market = leg.split(":")
    values: dict[str, Any] = {
        "venue": venue, "market": market, "symbol": "BTCUSDT", "multiplier": Decimal(1), "tick_size": Decimal("0.1"),
        "lot_size": Decimal("0.001"), "min_notional": Decimal(0), "funding_interval_hours": 8,
        "fee_group": "default", "status": "trading", "reference_price": Decimal(0),
    }  # fmt: skip
    return Instrument(**(values | changes))


PERPS = ("binance:perp", "bybit:perp")


def registry(
    *instruments: Instrument, at_ms: float = 0, quarantined: str | None = None, pair: str = PAIR
) -> RegistryUpdate:
    """The registry's word; without instruments, both perps."""
    legs = instruments or tuple(instrument(leg) for leg in PERPS)
    where = Origin("mts", "all", pair, pair, "registry", 1, 1, T0 + int(at_ms * MS))
    return RegistryUpdate(where, PairListing(pair, quarantined, legs))


def levels(text: str) -> bytes:
    """`100 2, 101 3` as a venue writes levels."""
    return json.dumps([part.split() for part in text.split(",") if part.strip()], separators=(",", ":")).encode()


def keyframe(leg: str, bids: str, asks: str, *, last_id: int = 10, known: Any = None, **where: Any) -> DepthUpdate:
    """The producer's own full book."""
    return DepthUpdate(
        origin(leg, **where), replaces=True, is_keyframe=True, last_id=last_id,
        bids=levels(bids), asks=levels(asks), known_range=known,
    )  # fmt: skip


def snapshot(leg: str, bids: str, asks: str, *, last_id: int = 10, **where: Any) -> DepthUpdate:
    """A snapshot frame of the venue."""
    update = keyframe(leg, bids, asks, last_id=last_id, **where)
    update.is_keyframe = False
    return update


def diff(
    leg: str, bids: str, asks: str, *, first_id: int, last_id: int, previous_id: int | None = None,
    exchange_ms: float | None = None, **where: Any,
) -> DepthUpdate:  # fmt: skip
    """A change of a book; a venue without first ids (Bybit) has `first_id` 0."""
    return DepthUpdate(
        origin(leg, **where), replaces=False, is_keyframe=False, last_id=last_id, bids=levels(bids),
        asks=levels(asks), first_id=first_id or None, previous_id=previous_id,
        exchange_ns=None if exchange_ms is None else T0 + int(exchange_ms * MS),
    )  # fmt: skip


def status(state: Any, leg: str = "binance:perp", **where: Any) -> ConnectionStatus:
    """A connection's word."""
    return ConnectionStatus(origin(leg, **where), state, "")


def funding(leg: str, rate: str | None, next_ms: float | None, hours: int | None = None, **where: Any) -> FundingUpdate:
    """What a venue stated; the next settlement in ms after T0."""
    next_ns = None if next_ms is None else T0 + int(next_ms * MS)
    return FundingUpdate(origin(leg, **where), rate, next_ns, hours)


def both_fundings(rate_binance: str = "0", rate_bybit: str = "0", at_ms: float = 0) -> list[FundingUpdate]:
    """Known funding of both perps, settling in an hour and every 8 hours after."""
    hour_ms = 3_600_000
    return [
        funding("binance:perp", rate_binance, hour_ms, 8, at_ms=at_ms),
        funding("bybit:perp", rate_bybit, hour_ms, 8, at_ms=at_ms, conn="y"),
    ]


class Bench:
    """An engine of one partition that is fed events and remembers what came out."""

    def __init__(self, settings: EconomicSettings | None = None, implementation: Kernel | None = None) -> None:
        self.engine = PartitionEngine(settings or EconomicSettings(), implementation)
        self.offset = 0
        self.messages: list[Message] = []

    def feed(self, *events: Any) -> list[Message]:
        """Hand events on; returns what these led to."""
        out: list[Message] = []
        for event in events:
            out += self.engine.on_event(event, self.offset).messages
            self.offset += 1
        self.messages += out
        return out

    @property
    def signals(self) -> list[ArbitrageMessage]:
        """The arbitrage messages so far."""
        return [m for m in self.messages if isinstance(m, ArbitrageMessage)]

    @property
    def windows(self) -> list[SpreadWindow]:
        """The window rows so far."""
        return [m for m in self.messages if isinstance(m, SpreadWindow)]

    def state(self, leg: str) -> str:
        """What a leg's book shows."""
        return self.engine.pairs[PAIR].engine.legs[leg].state
