"""What the page reads of the result topics' messages: the fields it shows, in the topics' own names."""

import math
from collections.abc import Callable
from typing import Literal

import msgspec

from mts_stream.errors import UNREADABLE
from mts_stream.wire.kafka import Record
from mts_stream.wire.topics import FUNDING, QUALITY, SIGNALS, SPREADS


class Window(msgspec.Struct, frozen=True):
    """One second of one direction (DESIGN section 5, windows)."""

    pair: str
    direction: str
    window_start_ns: int
    edge_close_bps: str | None
    net_bps_1k: str | None
    net_bps_10k: str | None
    net_bps_50k: str | None
    valid_ms: int
    evaluations: int
    outcomes: dict[str, int]

    def __post_init__(self) -> None:
        if self.edge_close_bps is not None and not math.isfinite(float(self.edge_close_bps)):
            raise ValueError("edge_close_bps is no finite number")


class Leg(msgspec.Struct, frozen=True):
    """One leg of an opportunity."""

    venue: str
    market: str
    symbol: str
    side: str
    price: str
    average_price: str


class Opportunity(msgspec.Struct, frozen=True):
    """`arbitrage.opened|updated|closed`; the last five fields are those of `closed`."""

    id: str
    type: Literal["arbitrage.opened", "arbitrage.updated", "arbitrage.closed"]
    pair: str
    event_time_ns: int
    expires_ns: int
    opportunity_id: str
    event: int
    direction: str
    legs: list[Leg]
    size: str
    buy_notional: str
    net_usd: str
    net_bps: str
    edge_bps: str
    reason: str = ""
    duration_ns: int = 0
    updates: int = 0
    peak_net_usd: str = ""
    survived_ms: list[int] = []

    def __post_init__(self) -> None:
        if len(self.legs) != 2:
            raise ValueError("an opportunity has two legs")


class Funding(msgspec.Struct, frozen=True):
    """A change of a venue's funding."""

    message_id: str
    pair: str
    venue: str
    market: str
    event_time_ns: int
    rate: str | None
    next_funding_ns: int | None
    interval_hours: int | None


class Book(msgspec.Struct, frozen=True, tag="book", tag_field="type"):
    """One minute of one book; `state` is the one at its end."""

    pair: str
    venue: str
    market: str
    window_start_ns: int
    window_ms: int
    state: str


class Connection(msgspec.Struct, frozen=True, tag="connection", tag_field="type"):
    """One second of one connection of a producer."""

    subject: str
    venue: str
    market: str
    window_start_ns: int
    window_ms: int
    frames: int
    latency_p50_ms: str | None
    latency_p99_ms: str | None
    latency_corrected_p50_ms: str | None = None
    latency_corrected_p99_ms: str | None = None
    clock_offset_ms: str | None = None
    clock_offset_error_ms: str | None = None
    valid_percent: str | None = None


class OtherSignal(msgspec.Struct, frozen=True):
    """A signal of a type that the page does not show."""

    type: str
    event_time_ns: int


Told = Window | Opportunity | OtherSignal | Funding | Book | Connection

_head = msgspec.json.Decoder(OtherSignal)
_opportunity = msgspec.json.Decoder(Opportunity)


def _signal(value: bytes) -> Told:
    head = _head.decode(value)
    return _opportunity.decode(value) if head.type.startswith("arbitrage.") else head


_DECODERS: dict[str, Callable[[bytes], Told]] = {
    SPREADS: msgspec.json.Decoder(Window).decode,
    SIGNALS: _signal,
    FUNDING: msgspec.json.Decoder(Funding).decode,
    QUALITY: msgspec.json.Decoder(Book | Connection).decode,
}
SHOWN_TOPICS = tuple(_DECODERS)


def decode(record: Record) -> Told | None:
    """The message in a record of a result topic, None where it is not what the topic holds."""
    try:
        return _DECODERS[record.topic](record.value or b"")
    except UNREADABLE:
        return None
