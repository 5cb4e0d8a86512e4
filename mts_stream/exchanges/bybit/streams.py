"""Bybit v5 spot and linear: raw frames to domain events.

Book recipe (docs/v5/websocket/public/orderbook, read 2026-03-18): a snapshot replaces the book whenever it comes,
a delta applies when u == the last u + 1, size "0" deletes; u == 1 is a restart of the service and counts as a snapshot.
Tickers of linear send a snapshot, then deltas with the changed fields alone; absent means unchanged.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Raw

from mts_stream.domain.market_data import DepthUpdate, FundingUpdate, KnownRange, Origin
from mts_stream.errors import UNREADABLE, BadRecordError
from mts_stream.exchanges.bybit.rest import BybitRest
from mts_stream.exchanges.venue import (
    BookImage,
    Control,
    DepthFrame,
    FundingFrame,
    Id,
    Incoming,
    Millis,
    RequestLimit,
    RestLimits,
    SocketLimits,
    SocketRoute,
    Verdict,
    whole,
)

NS_PER_MS = 1_000_000
NEXT_FUNDING_MS_MAX = 9_000_000_000_000
INTERVAL_HOURS_MAX = 65_535  # a column of two bytes


class BookData(msgspec.Struct, gc=False):
    """`data` of orderbook.N."""

    b: Raw
    a: Raw
    u: Id


class BookFrame(msgspec.Struct, gc=False):
    """orderbook.N, snapshot or delta."""

    type: str
    ts: Millis
    data: BookData


class TickerData(msgspec.Struct):
    """`data` of tickers; what a delta leaves out did not change."""

    fundingRate: str = ""  # noqa: N815
    nextFundingTime: str = ""  # noqa: N815
    fundingIntervalHour: str = ""  # noqa: N815


class TickerFrame(msgspec.Struct):
    """tickers, snapshot or delta."""

    data: TickerData


_book = msgspec.json.Decoder(BookFrame)
_ticker = msgspec.json.Decoder(TickerFrame)


def decode_depth(frame: Raw, origin: Origin, kind: str, known_range: KnownRange | None) -> DepthUpdate:
    """A snapshot or a delta as a change of the book."""
    book = _book.decode(frame)
    if book.type not in ("snapshot", "delta"):
        raise BadRecordError("bad_frame", f"{origin.message_id}: unknown type {book.type!r}")
    data = book.data
    return DepthUpdate(
        origin, book.type == "snapshot", kind == "keyframe", data.u, bytes(data.b), bytes(data.a),
        None, None, book.ts * NS_PER_MS,
    )  # fmt: skip


def _replaces(kind: str, update_id: int) -> bool:
    """Whether a frame is a whole book to the producer: with `u` 1 the service began anew, whatever the `type` (2.2).

    The engine goes by the type alone (DESIGN section 4): the keyframe that the producer writes at once tells it.
    """
    return kind == "snapshot" or update_id == 1


def decode_funding(frame: Raw, origin: Origin) -> FundingUpdate:
    """A ticker: what it states of rate, next settlement and interval."""
    data = _ticker.decode(frame).data
    return FundingUpdate(
        origin,
        data.fundingRate or None,
        _stated(origin, "nextFundingTime", data.nextFundingTime, NEXT_FUNDING_MS_MAX, NS_PER_MS),
        _stated(origin, "fundingIntervalHour", data.fundingIntervalHour, INTERVAL_HOURS_MAX, 1),
    )


def _stated(origin: Origin, name: str, text: str, most: int, unit: int) -> int | None:
    if not text or text == "0":
        return None
    value = whole(text)
    if value is None or value > most:
        raise BadRecordError("bad_frame", f"{origin.message_id}: {name} cannot be {text[:40]!r}")
    return value * unit


# What the producers need of the venue: streams, control frames, the book recipe's rules. REST: rest.py.

BOOK_LEVELS = 50
HEARTBEAT_S = 20.0
CHARACTERS_MAX = 21_000  # of all topics of one connection (2.1); 500 new connections in 5 min per domain


class _Message(msgspec.Struct, gc=False):
    topic: str = ""
    type: str = ""
    ts: Millis = 0
    cts: Millis = 0
    cs: Id = 0
    data: Raw = Raw(b"")
    op: str = ""
    ret_msg: str = ""
    req_id: str = ""
    success: bool | None = None


class _BookHeader(msgspec.Struct, gc=False):
    s: str
    u: Id
    b: Raw
    a: Raw
    seq: Id = 0


class _BookMessage(msgspec.Struct, gc=False):
    topic: str
    data: _BookHeader
    type: str = ""
    ts: Millis = 0
    cts: Millis = 0


_BOOK = b'{"topic":"orderbook.'
_message = msgspec.json.Decoder(_Message)
_book_message = msgspec.json.Decoder(_BookMessage)
_book_header = msgspec.json.Decoder(_BookHeader)
_ticker_data = msgspec.json.Decoder(dict[str, Any])


class BybitMarket(BybitRest):
    """Spot or linear: wss://stream.bybit.com/v5/public/<category>, https://api.bybit.com/v5/market."""

    host = "bybit"
    routes: tuple[SocketRoute, ...]
    socket_limits: SocketLimits
    rest_limits = RestLimits(RequestLimit(600, 5))  # requests per address, each of weight 1 (2.4)
    snapshots_by_rest = False
    lists_subscriptions = False
    funding_in_parts = True

    def topics(self, route: SocketRoute, symbol: str) -> list[str]:
        """`orderbook.50.BTCUSDT`; lower case is refused."""
        names = {"depth": f"orderbook.{BOOK_LEVELS}", "funding": "tickers"}
        return [f"{names[channel]}.{symbol}" for channel in route.channels]

    def topic_symbol(self, topic: str) -> str:
        """The symbol after the last dot."""
        return topic.rpartition(".")[2]

    def subscribe(self, topics: Sequence[str], request_id: int) -> bytes:
        """One request is one ack: an unknown topic among them fails them all."""
        return msgspec.json.encode({"req_id": str(request_id), "op": "subscribe", "args": list(topics)})

    def unsubscribe(self, topics: Sequence[str], request_id: int) -> bytes:
        """Subscribing to the same topic afterwards brings a new snapshot."""
        return msgspec.json.encode({"req_id": str(request_id), "op": "unsubscribe", "args": list(topics)})

    def heartbeat(self, request_id: int) -> bytes:
        """Wanted every 20 s (2.1)."""
        return msgspec.json.encode({"req_id": str(request_id), "op": "ping"})

    def classify(self, message: bytes) -> Incoming:
        """A frame by its topic; its keys come in any order (2.2)."""
        if not message.startswith(_BOOK):
            return self._classify(message)
        try:
            book = _book_message.decode(message)
            return _book_frame(book, book.data, message)
        except UNREADABLE:  # more than a book, or less
            return self._classify(message)

    def _classify(self, message: bytes) -> Incoming:
        """The same where the topic does not come first; data are read twice here, which costs as much again."""
        try:
            head = _message.decode(message)
            if head.topic.startswith("orderbook."):
                return _book_frame(head, _book_header.decode(head.data), message)
            if head.topic.startswith("tickers."):
                return _ticker_frame(head, message)
        except UNREADABLE as error:
            return Control("unknown", detail=str(error))
        return _control(head)

    def follows(self, frame: DepthFrame, local_id: int, is_first: bool) -> Verdict:
        """2.2: u rises by one."""
        if frame.last_id <= local_id:
            return "stale"
        return "applies" if frame.last_id == local_id + 1 else "gap"

    def keyframe(self, image: BookImage) -> bytes:
        """An orderbook message of type snapshot."""
        ids = {"u": image.last_id, "seq": image.cross_sequence}
        data = {"s": image.symbol, "b": image.bids, "a": image.asks} | ids
        topic = f"orderbook.{BOOK_LEVELS}.{image.symbol}"
        head = {"topic": topic, "type": "snapshot", "ts": image.exchange_ms}
        return msgspec.json.encode(head | {"data": data, "cts": image.engine_ms})

    def funding_keyframe(self, symbol: str, data: dict[str, Any], exchange_ms: int, cross_sequence: int) -> bytes:
        """A tickers message of type snapshot."""
        head = {"topic": f"tickers.{symbol}", "type": "snapshot", "data": data}
        return msgspec.json.encode(head | {"cs": cross_sequence, "ts": exchange_ms})


class BybitSpot(BybitMarket):
    """Spot: at most 10 topics a request."""

    market, category, funding_page_rows = "spot", "spot", 0
    routes: tuple[SocketRoute, ...] = (SocketRoute("public", "/v5/public/spot", ("depth",)),)
    socket_limits = SocketLimits(10, 10, 500, 300, HEARTBEAT_S, characters_per_connection=CHARACTERS_MAX)


class BybitPerp(BybitMarket):
    """Linear: books and tickers on one connection."""

    market, category, funding_page_rows = "perp", "linear", 200
    routes: tuple[SocketRoute, ...] = (SocketRoute("public", "/v5/public/linear", ("depth", "funding")),)
    socket_limits = SocketLimits(10, 100, 500, 300, HEARTBEAT_S, characters_per_connection=CHARACTERS_MAX)


def _book_frame(head: _Message | _BookMessage, book: _BookHeader, message: bytes) -> Incoming:
    if head.type not in ("snapshot", "delta"):
        return Control("unknown", detail=f"orderbook of type {head.type!r}")
    return DepthFrame(
        book.s, Raw(message), _replaces(head.type, book.u), book.u, book.b, book.a, head.ts,
        engine_ms=head.cts, cross_sequence=book.seq,
    )  # fmt: skip


def _ticker_frame(head: _Message, message: bytes) -> FundingFrame:
    symbol = head.topic.rpartition(".")[2]
    data = _ticker_data.decode(head.data)
    return FundingFrame(symbol, Raw(message), head.ts, head.type == "snapshot", data, head.cs)


def _named_topics(ret_msg: str) -> tuple[str, ...]:
    """`error:handler not found,topic:orderbook.50.NOPEUSDT` fails its whole request and names one topic (2.1)."""
    _, _, topic = ret_msg.rpartition(",topic:")
    return (topic,) if topic and topic != ret_msg else ()


def _control(head: _Message) -> Control:
    if head.topic:
        return Control("ignored", detail="unwanted_stream")
    if head.ret_msg == "pong" or head.op == "pong":
        return Control("pong")
    if head.success is False:
        return Control("refused", head.req_id, head.ret_msg, _named_topics(head.ret_msg))
    if head.op in ("subscribe", "unsubscribe"):
        return Control("ack", head.req_id)
    return Control("unknown", detail="neither a topic nor an answer")
