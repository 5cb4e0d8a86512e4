"""The commonest results, read several times as fast as by their models: windows, and what opportunities do.

What is read here has the attributes of its model. A decimal is any text yet: whoever turns it into a number judges it.
Whatever else does not fit the model is not read here but by the model, which says why; but for one thing: an integer
may be written with a point and zeros.
"""

import re
from functools import lru_cache
from typing import Annotated, Literal

import msgspec

from mts_stream.wire.results import SpreadRow, parse_spread
from mts_stream.wire.signals import (
    CONFIG_ID_PATTERN,
    DIRECTION_PATTERN,
    NS_MAX,
    OPPORTUNITY_ID_PATTERN,
    AnySignal,
    parse_signal,
)

KNOWN_MAX = 4096

Name = Annotated[str, msgspec.Meta(min_length=1)]
Count = Annotated[int, msgspec.Meta(ge=0, le=NS_MAX)]
Sequence = Annotated[int, msgspec.Meta(ge=-NS_MAX, le=NS_MAX)]
OpportunityId = Annotated[str, msgspec.Meta(pattern=OPPORTUNITY_ID_PATTERN, max_length=36)]
Decimal = str


class Value(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """Exactly these fields, of exactly these JSON types."""


class QuickSpread(Value):
    """`results.SpreadRow`."""

    pair: Name
    direction: str
    window_start_ns: Count
    edge_open_bps: Decimal | None
    edge_high_bps: Decimal | None
    edge_low_bps: Decimal | None
    edge_close_bps: Decimal | None
    edge_mean_bps: Decimal | None
    net_bps_1k: Decimal | None
    net_bps_10k: Decimal | None
    net_bps_50k: Decimal | None
    valid_ms: Count
    evaluations: Count
    outcomes: dict[Name, Count]


class _Leg(Value):
    venue: Name
    market: Literal["perp", "spot"]
    symbol: Name
    price: Decimal
    average_price: Decimal
    fee_bps: Decimal
    funding_rate: Decimal | None
    next_funding_ns: Count | None
    book_age_ms: Count
    sequence: Sequence
    message_id: Name
    generation: Count


class _Buy(_Leg):
    side: Literal["buy"]


class _Sell(_Leg):
    side: Literal["sell"]


class _Arbitrage(Value):
    id: Name
    schema_version: Literal[1]
    pair: Name
    event_time_ns: Count
    emitted_ns: Count
    expires_ns: Count
    config_id: str
    opportunity_id: OpportunityId
    event: Count
    direction: str
    legs: tuple[_Buy, _Sell]
    size: Decimal
    buy_notional: Decimal
    sell_notional: Decimal
    gross_usd: Decimal
    fees_usd: Decimal
    slippage_usd: Decimal
    carry_usd: Decimal
    net_entry_usd: Decimal
    net_round_trip_usd: Decimal
    net_usd: Decimal
    net_bps: Decimal
    edge_bps: Decimal


class QuickOpen(_Arbitrage):
    """`signals.ArbitrageOpened` or `ArbitrageUpdated`."""

    type: Literal["arbitrage.opened", "arbitrage.updated"]


class QuickClosed(_Arbitrage):
    """`signals.ArbitrageClosed`."""

    type: Literal["arbitrage.closed"]
    reason: Name
    duration_ns: Count
    updates: Count
    peak_net_usd: Decimal
    size_at_peak: Decimal
    survived_ms: list[Count]


_spread = msgspec.json.Decoder(QuickSpread)
_open = msgspec.json.Decoder(QuickOpen)
_closed = msgspec.json.Decoder(QuickClosed)


def read_spread(value: bytes | None) -> QuickSpread | SpreadRow:
    """A window; raises BadRecordError."""
    try:
        row = _spread.decode(value or b"")
    except msgspec.MsgspecError:
        return parse_spread(value)
    if sum(row.outcomes.values()) != row.evaluations or not _is_direction(row.direction):
        return parse_spread(value)
    return row


def read_signal(value: bytes | None) -> QuickOpen | QuickClosed | AnySignal:
    """Any message of `mts.signals`; raises BadRecordError."""
    text = value or b""
    decoder: msgspec.json.Decoder[QuickOpen] | msgspec.json.Decoder[QuickClosed]
    decoder = _closed if b'"arbitrage.closed"' in text else _open
    try:
        signal = decoder.decode(text)
    except msgspec.MsgspecError:
        return parse_signal(value)
    return signal if _is_direction(signal.direction) and _is_config_id(signal.config_id) else parse_signal(value)


@lru_cache(KNOWN_MAX)
def _is_direction(text: str) -> bool:
    return re.fullmatch(DIRECTION_PATTERN, text) is not None


@lru_cache(KNOWN_MAX)
def _is_config_id(text: str) -> bool:
    return re.fullmatch(CONFIG_ID_PATTERN, text) is not None
