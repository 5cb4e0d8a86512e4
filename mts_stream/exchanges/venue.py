"""What the producers ask of one market of a venue: the interface that a new venue fills in, and its values.

Everything here is pure: bytes in, values out. The producers own sockets, requests, clocks and retries.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Protocol

from msgspec import Meta, Raw, Struct

from mts_stream.domain.market_data import DepthUpdate, FundingUpdate, KnownRange, Origin
from mts_stream.domain.quoted import Level

# What a venue's whole numbers can be: beyond these nothing downstream has room, in nanoseconds or in a column.
Id = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Millis = Annotated[int, Meta(ge=0, le=9_000_000_000_000)]
WHOLE_DIGITS_MAX = 19

Verdict = Literal["applies", "stale", "gap"]
ControlKind = Literal["ack", "refused", "listed", "pong", "shutdown", "ignored", "unknown"]
RefusalKind = Literal["request", "rate", "region", "failed"]


class DepthFrame(Struct, gc=False):
    """The header of a depth frame; `frame` goes to the log verbatim, `bids` and `asks` are not decoded yet.

    `first_id`, `last_id`, `previous_id` are U, u and pu of Binance; Bybit has `last_id` alone.
    """

    symbol: str
    frame: Raw
    replaces: bool
    last_id: int
    bids: Raw
    asks: Raw
    exchange_ms: int
    first_id: int = 0
    previous_id: int | None = None
    engine_ms: int = 0
    cross_sequence: int = 0


class BookTop(Struct, gc=False):
    """The best levels of a book as of `snapshot.last_id`, in the ids of its diffs; `frame` goes to the log verbatim."""

    symbol: str
    frame: Raw
    snapshot: "BookSnapshot"
    exchange_ms: int


class FundingFrame(Struct, gc=False):
    """A frame about funding; `changed` has the ticker's fields where the venue sends only what changed."""

    symbol: str
    frame: Raw
    exchange_ms: int
    replaces: bool = True
    changed: dict[str, Any] | None = None
    cross_sequence: int = 0


class Control(Struct, gc=False):
    """Any other message: an answer to a request, a pong, a farewell, or nothing that we know (`detail` says what).

    `topics`: of a refusal the streams at fault, where the venue names them; of a list the streams that it knows of.
    """

    kind: ControlKind
    request_id: str = ""
    detail: str = ""
    topics: tuple[str, ...] = ()


Incoming = DepthFrame | BookTop | FundingFrame | Control


@dataclass(frozen=True, slots=True)
class SocketRoute:
    """One kind of connection: its name within the market, its path, and the channels that it carries.

    `top_channel` has a stream of BookTop for each symbol that a book can be seeded from; "" where there is none.
    """

    name: str
    path: str
    channels: tuple[str, ...]
    top_channel: str = ""


@dataclass(frozen=True, slots=True)
class SocketLimits:
    """What a venue allows on one connection, and how many attempts to connect per window, address and host.

    `heartbeat_s` is how often we send its own kind of ping, `life_s` the age at which it closes a connection.
    """

    messages_per_s: float
    topics_per_request: int
    attempts: int
    attempts_window_s: float
    heartbeat_s: float
    topics_per_connection: int | None = None
    characters_per_connection: int | None = None
    life_s: float | None = None


@dataclass(frozen=True, slots=True)
class RestRequest:
    """A GET of the venue with the weight that it counts; `pool` names a second limit where it counts one more."""

    path: str
    params: tuple[tuple[str, str], ...] = ()
    weight: int = 1
    pool: str = ""


@dataclass(frozen=True, slots=True)
class RequestLimit:
    """At most so much weight in so many seconds from one address."""

    weight: int
    window_s: float = 60.0


@dataclass(frozen=True, slots=True)
class RestLimits:
    """The venue's limit per address, the header that tells what of a clock minute is used, and further limits by name.

    Markets that are asked at one host share its limit.
    """

    limit: RequestLimit
    used_header: str = ""
    pools: Mapping[str, RequestLimit] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error body of a venue: its code, its words, and what kind of refusal the code stands for."""

    code: int
    message: str
    kind: RefusalKind = "request"


@dataclass(frozen=True, slots=True)
class BookSnapshot:
    """A REST answer to depth, or the top of a book from the socket: the book up to `last_id`."""

    last_id: int
    bids: list[Level]
    asks: list[Level]


@dataclass(frozen=True, slots=True)
class BookImage:
    """A whole book with the identifiers of its last frame: what a keyframe is made of.

    `bids` and `asks` are JSON arrays of [price, size], plain decimal strings, best levels first.
    """

    symbol: str
    last_id: int
    bids: Raw
    asks: Raw
    exchange_ms: int
    engine_ms: int
    cross_sequence: int


@dataclass(frozen=True, slots=True)
class ListedInstrument:
    """An instrument as the venue lists it; numbers are its own strings, `status` is one of ours.

    `unfit` says why it is never taken (not perpetual, a stock, another settlement coin); "" if it may be.
    """

    venue: str
    market: str
    symbol: str
    base: str
    quote: str
    tick_size: str
    lot_size: str
    min_notional: str
    status: str
    fee_group: str = "default"
    funding_interval_hours: int | None = None
    delisting_ms: int | None = None
    unfit: str = ""


@dataclass(frozen=True, slots=True)
class InstrumentPage:
    """One page of a venue's list; `cursor` asks for the next, "" after the last."""

    instruments: list[ListedInstrument]
    cursor: str = ""


@dataclass(frozen=True, slots=True)
class InstrumentFigures:
    """What moves about an instrument: a price to compare legs by, the day's turnover in USD, the funding interval."""

    reference_price: str = "0"
    turnover_usd: str = "0"
    funding_interval_hours: int | None = None


@dataclass(frozen=True, slots=True)
class FundingSettlement:
    """One settlement of the past: when, at which rate; `rate_type` and `mark_price` where the venue tells them."""

    settled_ms: int
    rate: str
    rate_type: str = "regular"
    mark_price: str = ""


class VenueMarket(Protocol):
    """One market of a venue, as the producers need it."""

    venue: str
    market: str
    host: str  # the settings <host>_ws_url and <host>_rest_url are its addresses
    routes: tuple[SocketRoute, ...]
    socket_limits: SocketLimits
    rest_limits: RestLimits
    snapshots_by_rest: bool  # else subscribing again gives one
    lists_subscriptions: bool  # the venue's own ping asks for the list of streams
    snapshot_depths: tuple[int, ...]  # levels a side that a snapshot can be asked for, the most first
    funding_in_parts: bool  # funding frames hold what changed alone, so that keyframes are needed
    funding_page_rows: int  # of the history at most in one answer; 0 for a market without funding

    def topics(self, route: SocketRoute, symbol: str) -> list[str]:
        """The streams of a symbol on a route."""

    def topic_symbol(self, topic: str) -> str:
        """The symbol that a stream is about."""

    def subscribe(self, topics: Sequence[str], request_id: int) -> bytes:
        """The message that subscribes to streams."""

    def unsubscribe(self, topics: Sequence[str], request_id: int) -> bytes:
        """The message that ends streams."""

    def heartbeat(self, request_id: int) -> bytes:
        """The venue's own ping."""

    def classify(self, message: bytes) -> Incoming:
        """What a message of the socket is; never raises."""

    def follows(self, frame: DepthFrame, local_id: int, is_first: bool) -> Verdict:
        """Whether a diff follows a book at `local_id`; `is_first` after a snapshot."""

    def keyframe(self, image: BookImage) -> bytes:
        """A whole book in the venue's own format."""

    def funding_keyframe(self, symbol: str, data: dict[str, Any], exchange_ms: int, cross_sequence: int) -> bytes:
        """A whole ticker in the venue's own format."""

    def snapshot_request(self, symbol: str, depth: int = 0) -> RestRequest:
        """The request for a book, so many levels a side; 0 for the most."""

    def parse_snapshot(self, body: bytes) -> BookSnapshot:
        """The book in the answer."""

    def instruments_request(self, cursor: str) -> RestRequest:
        """The request for a page of the instrument list."""

    def parse_instruments(self, body: bytes) -> InstrumentPage:
        """The page in the answer."""

    def figures_requests(self) -> tuple[RestRequest, ...]:
        """The requests for prices, turnover and funding intervals of all instruments."""

    def parse_figures(self, bodies: Sequence[bytes]) -> dict[str, InstrumentFigures]:
        """The figures in their answers, by symbol."""

    def funding_history_request(self, symbol: str, start_ms: int, end_ms: int) -> RestRequest:
        """The request for the settlements of a symbol from `start_ms` to `end_ms`, at most a page of them."""

    def parse_funding_history(self, body: bytes) -> list[FundingSettlement]:
        """The settlements in the answer, in whatever order the venue has."""

    def time_request(self) -> RestRequest:
        """The request for the venue's clock."""

    def parse_time_ms(self, body: bytes) -> float:
        """The venue's clock, Unix ms."""

    def refusal(self, body: bytes) -> Refusal | None:
        """The error that a body states, whatever the HTTP status; None if it states none."""


def whole(text: str) -> int | None:
    """The number that a venue writes as a string of digits; None for anything else, and for what is too long."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= WHOLE_DIGITS_MAX else None


DepthDecoder = Callable[[Raw, Origin, str, KnownRange | None], DepthUpdate]
FundingDecoder = Callable[[Raw, Origin], FundingUpdate]


@dataclass(frozen=True, slots=True)
class Venue:
    """A venue whole: its name in the log, its markets, and how its frames in the log become domain events.

    `decode_depth` takes a frame, its origin, its kind (`frame` or `keyframe`) and the known range; the decoders raise
    BadRecordError or one of errors.UNREADABLE, and nothing else.
    """

    name: str
    markets: tuple[VenueMarket, ...]
    decode_depth: DepthDecoder
    decode_funding: FundingDecoder
