"""What can happen in the raw log, as values: depth, funding, connection status, registry.

Levels are handed on as the venue's own bytes; only the book reads them (quoted.py has their form). What is made for
every record writes its `__init__` out, which is then compiled; one that `dataclass` makes is interpreted each time.
"""

from dataclasses import dataclass
from typing import Literal

from mts_stream.domain.instrument import PairListing

KnownRange = tuple[str, str]  # lowest bid, highest ask
ConnectionState = Literal["up", "alive", "down"]


RecordName = str | tuple[str, str, str, str, int, int]  # a message id, or the parts that make it


def message_id(name: RecordName) -> str:
    """A record's id, `venue/market/symbol/conn/gen/seq`; it takes time, and most are never read."""
    if isinstance(name, str):
        return name
    venue, market, symbol, conn, gen, seq = name
    return f"{venue}/{market}/{symbol}/{conn}/{gen}/{seq}"


@dataclass(slots=True, init=False)
class Origin:
    """Where a record came from: its leg, its connection, and when the producer received it (Unix ns)."""

    venue: str
    market: str
    symbol: str
    pair: str
    conn: str
    gen: int
    seq: int
    received_ns: int

    def __init__(
        self, venue: str, market: str, symbol: str, pair: str, conn: str, gen: int, seq: int, received_ns: int
    ) -> None:
        self.venue, self.market, self.symbol, self.pair = venue, market, symbol, pair
        self.conn, self.gen, self.seq, self.received_ns = conn, gen, seq, received_ns

    @property
    def leg(self) -> str:
        """The leg's name, `venue:market`."""
        return f"{self.venue}:{self.market}"

    @property
    def message_id(self) -> str:
        """The record's id, which is also its correlation id."""
        return f"{self.venue}/{self.market}/{self.symbol}/{self.conn}/{self.gen}/{self.seq}"

    def __str__(self) -> str:
        """The message id, so that an origin can stand where a text does that hardly anybody will read."""
        return self.message_id


@dataclass(slots=True, init=False)
class DepthUpdate:
    """A change of a book, or with `replaces` the whole book.

    `first_id`, `last_id`, `previous_id` are U, u and pu of Binance, `last_id` is u of Bybit; None where the venue
    has none, and by those that are there the book knows what may follow. `exchange_ns` is Binance's E or Bybit's ts.
    `bids` and `asks` are JSON arrays of [price, size], both strings. `known_range` is (lowest bid, highest ask) of a
    keyframe.
    """

    origin: Origin
    replaces: bool
    is_keyframe: bool
    last_id: int
    bids: bytes
    asks: bytes
    first_id: int | None
    previous_id: int | None
    exchange_ns: int | None
    known_range: KnownRange | None

    def __init__(
        self, origin: Origin, replaces: bool, is_keyframe: bool, last_id: int, bids: bytes, asks: bytes,
        first_id: int | None = None, previous_id: int | None = None, exchange_ns: int | None = None,
        known_range: KnownRange | None = None,
    ) -> None:  # fmt: skip
        self.origin, self.replaces, self.is_keyframe, self.last_id = origin, replaces, is_keyframe, last_id
        self.bids, self.asks = bids, asks
        self.first_id, self.previous_id = first_id, previous_id
        self.exchange_ns, self.known_range = exchange_ns, known_range


@dataclass(slots=True)
class FundingUpdate:
    """What a venue stated about a perp's funding; what it did not state is None.

    `rate` is a decimal string, a fraction per interval, positive when longs pay shorts.
    """

    origin: Origin
    rate: str | None
    next_funding_ns: int | None
    interval_hours: int | None


@dataclass(slots=True)
class ConnectionStatus:
    """A connection says that it is up, alive or down; it touches every book that stands on it."""

    origin: Origin
    state: ConnectionState
    reason: str


@dataclass(slots=True)
class RegistryUpdate:
    """The registry's newest word on a pair."""

    origin: Origin
    listing: PairListing


@dataclass(slots=True)
class AuditRecord:
    """A record that is kept for audit and moves nothing but time, such as a REST snapshot."""

    origin: Origin


MarketEvent = DepthUpdate | FundingUpdate | ConnectionStatus | RegistryUpdate | AuditRecord
