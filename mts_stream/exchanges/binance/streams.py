"""Binance spot and USD-M futures: raw frames to domain events.

Book recipe, spot (web-socket-streams.md, read 2026-07-21): open the diff stream and buffer, take a REST snapshot,
drop events with u <= lastUpdateId, go on while U <= local + 1. USD-M (Diff-Book-Depth, How-to-manage, 2026-03):
drop u < lastUpdateId, the first event has pu <= lastUpdateId <= u, afterwards pu == the previous u.
`T` is the next funding time in markPriceUpdate and the matching engine's time in depthUpdate.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Raw

from mts_stream.domain.market_data import DepthUpdate, FundingUpdate, KnownRange, Origin
from mts_stream.errors import UNREADABLE, BadRecordError
from mts_stream.exchanges.binance.rest import FUNDING_POOL, BinanceRest, PerpRest, SpotRest
from mts_stream.exchanges.venue import (
    BookImage,
    BookSnapshot,
    BookTop,
    Control,
    DepthFrame,
    FundingFrame,
    Id,
    Incoming,
    Millis,
    RequestLimit,
    RestLimits,
    RestRequest,
    SocketLimits,
    SocketRoute,
    Verdict,
)

NS_PER_MS = 1_000_000


class DiffDepth(msgspec.Struct, gc=False):
    """depthUpdate of spot and USD-M; `pu` is USD-M's alone."""

    E: Millis
    U: Id
    u: Id
    b: Raw
    a: Raw
    pu: Id | None = None


class Snapshot(msgspec.Struct):
    """The answer of /api/v3/depth and /fapi/v1/depth, which is also the form of our keyframes."""

    lastUpdateId: Id  # noqa: N815
    bids: list[tuple[str, str]]
    asks: list[tuple[str, str]]


class KeyframeHeader(msgspec.Struct):
    """The same with its levels unread."""

    lastUpdateId: Id  # noqa: N815
    bids: Raw
    asks: Raw


class MarkPrice(msgspec.Struct):
    """markPriceUpdate of USD-M."""

    r: str = ""
    T: Millis = 0


_diff = msgspec.json.Decoder(DiffDepth)
_snapshot = msgspec.json.Decoder(Snapshot)
_keyframe = msgspec.json.Decoder(KeyframeHeader)
_mark_price = msgspec.json.Decoder(MarkPrice)


def decode_depth(frame: Raw, origin: Origin, kind: str, known_range: KnownRange | None) -> DepthUpdate:
    """A diff, or a keyframe, as a change of the book."""
    if kind == "keyframe":
        book = _keyframe.decode(frame)
        return DepthUpdate(
            origin, replaces=True, is_keyframe=True, last_id=book.lastUpdateId,
            bids=bytes(book.bids), asks=bytes(book.asks), known_range=known_range,
        )  # fmt: skip
    diff = _diff.decode(frame)
    is_perp = origin.market == "perp"
    if is_perp and diff.pu is None:
        raise BadRecordError("bad_frame", f"{origin.message_id}: a diff of USD-M has no pu")
    previous = diff.pu if is_perp else None
    # by position, here and for Bybit: by name takes three times as long, for every record that there is
    return DepthUpdate(origin, False, False, diff.u, bytes(diff.b), bytes(diff.a), diff.U, previous, diff.E * NS_PER_MS)


def decode_funding(frame: Raw, origin: Origin) -> FundingUpdate:
    """markPriceUpdate: rate and next settlement; the interval comes from the registry (fundingInfo)."""
    mark = _mark_price.decode(frame)
    return FundingUpdate(origin, mark.r or None, mark.T * NS_PER_MS if mark.T else None, None)


# What the producers need of the venue: streams, control frames, the book recipe's rules. REST: rest.py.


LIST_EVERY_S = 30.0
STREAMS_MAX = 1024  # on one connection (1.1)
TOP_CHANNEL = "top"
_STREAM, _DATA = b'{"stream":"', b'","data":'
_OTHER_MARKET = Control("ignored", detail="other_market")
LIFE_S = 86_400.0  # every connection is closed at this age (1.1)


class _Combined(msgspec.Struct):
    stream: str = ""
    data: Raw = Raw(b"")
    result: Raw = Raw(b"")
    id: int | str | None = None
    code: int | None = None
    msg: str = ""
    error: dict[str, Any] | None = None
    e: str = ""


class _DiffHeader(msgspec.Struct, gc=False):
    s: str
    E: Millis
    U: Id
    u: Id
    b: Raw
    a: Raw
    pu: Id | None = None
    st: int = 1


class _Top(msgspec.Struct, gc=False):
    s: str
    E: Millis
    u: Id
    b: list[tuple[str, str]]
    a: list[tuple[str, str]]
    st: int = 1


class _MarkHeader(msgspec.Struct, gc=False):
    s: str
    E: Millis
    st: int = 1


_combined = msgspec.json.Decoder(_Combined)
_streams = msgspec.json.Decoder(tuple[str, ...])
_diff_header = msgspec.json.Decoder(_DiffHeader)
_top = msgspec.json.Decoder(_Top)
_mark_header = msgspec.json.Decoder(_MarkHeader)


class _Binance(BinanceRest):
    """What spot and USD-M share."""

    venue = "binance"
    market: str
    routes: tuple[SocketRoute, ...]
    socket_limits: SocketLimits
    rest_limits: RestLimits
    snapshots_by_rest = True
    lists_subscriptions = True
    funding_in_parts = False
    snapshot_depths: tuple[int, ...] = (1000, 500, 100)
    _depth_stream: str
    _top_stream = ""
    _is_linked = False
    _depth_weights: dict[int, int]

    def __init__(self) -> None:
        stream = f"@{self._depth_stream}".encode()
        self._diff_end, self._diff_name_bytes = stream + _DATA, len(stream)

    def topics(self, route: SocketRoute, symbol: str) -> list[str]:
        """`btcusdt@depth@100ms`: stream names are lower case."""
        names = {"depth": self._depth_stream, "funding": "markPrice@1s", TOP_CHANNEL: self._top_stream}
        return [f"{symbol.lower()}@{names[channel]}" for channel in route.channels]

    def topic_symbol(self, topic: str) -> str:
        """The symbol before the `@`."""
        return topic.partition("@")[0].upper()

    def subscribe(self, topics: Sequence[str], request_id: int) -> bytes:
        """SUBSCRIBE; its ack proves nothing, unknown streams get the same one (1.1)."""
        return msgspec.json.encode({"method": "SUBSCRIBE", "params": list(topics), "id": request_id})

    def unsubscribe(self, topics: Sequence[str], request_id: int) -> bytes:
        """UNSUBSCRIBE."""
        return msgspec.json.encode({"method": "UNSUBSCRIBE", "params": list(topics), "id": request_id})

    def heartbeat(self, request_id: int) -> bytes:
        """LIST_SUBSCRIPTIONS is always answered, with the streams that the venue knows of (1.1)."""
        return msgspec.json.encode({"method": "LIST_SUBSCRIPTIONS", "id": request_id})

    def classify(self, message: bytes) -> Incoming:
        """A combined frame by its stream's name, which alone tells a diff from a partial book (1.2)."""
        name_end = message.find(b'"', len(_STREAM))
        is_diff = message.startswith(self._diff_end, name_end - self._diff_name_bytes)
        if not (is_diff and message.startswith(_STREAM) and message.endswith(b"}")):
            return self._classify(message)
        data = message[name_end + len(_DATA) : -1]
        try:
            return self._diff(_diff_header.decode(data), Raw(data))
        except UNREADABLE:  # more than a diff, or less
            return self._classify(message)

    def _classify(self, message: bytes) -> Incoming:
        """The same in any order of keys; a diff is read twice here, which costs as much again."""
        try:
            combined = _combined.decode(message)
            if not combined.stream:
                return _control(combined)
            return self._stream_frame(combined)
        except UNREADABLE as error:
            return Control("unknown", detail=str(error))

    def _stream_frame(self, combined: _Combined) -> Incoming:
        _, _, kind = combined.stream.partition("@")
        if kind.startswith("depth@"):
            return self._diff(_diff_header.decode(combined.data), combined.data)
        if kind.startswith("markPrice"):
            mark = _mark_header.decode(combined.data)
            return FundingFrame(mark.s, combined.data, mark.E) if mark.st == 1 else _OTHER_MARKET
        if self._top_stream and kind == self._top_stream:
            top = _top.decode(combined.data)
            if top.st != 1:
                return _OTHER_MARKET
            return BookTop(top.s, combined.data, BookSnapshot(top.u, top.b, top.a), top.E)
        if combined.stream == "!serverShutdown":
            return Control("shutdown", detail="serverShutdown")
        return Control("ignored", detail="unwanted_stream")

    def _diff(self, head: _DiffHeader, data: Raw) -> Incoming:
        """A diff of USD-M without `pu` is none: nothing could say what it follows."""
        if head.st != 1:
            return _OTHER_MARKET
        if self._is_linked and head.pu is None:
            return Control("unknown", detail="a diff of USD-M has no pu")
        return DepthFrame(head.s, data, False, head.u, head.b, head.a, head.E, head.U, head.pu)

    def keyframe(self, image: BookImage) -> bytes:
        """The form of a REST snapshot."""
        return msgspec.json.encode({"lastUpdateId": image.last_id, "bids": image.bids, "asks": image.asks})

    def funding_keyframe(self, symbol: str, data: dict[str, Any], exchange_ms: int, cross_sequence: int) -> bytes:
        """Never needed: every markPriceUpdate is whole."""
        raise TypeError(f"markPriceUpdate of {symbol} is whole and has no keyframe")

    def snapshot_request(self, symbol: str, depth: int = 0) -> RestRequest:
        """The fewer levels, the less weight (1.4)."""
        limit = depth or self.snapshot_depths[0]
        params = ("symbol", symbol), ("limit", str(limit))
        return RestRequest(f"{self._api}/depth", params, self._depth_weights[limit])

    def parse_snapshot(self, body: bytes) -> BookSnapshot:
        """`lastUpdateId`, `bids`, `asks`."""
        book = _snapshot.decode(body)
        return BookSnapshot(book.lastUpdateId, book.bids, book.asks)


def _control(message: _Combined) -> Control:
    request_id = "" if message.id is None else str(message.id)
    if message.error is not None or message.code is not None:
        return Control("refused", request_id, message.msg or str(message.error))
    if message.e == "serverShutdown":
        return Control("shutdown", detail=message.e)
    if bytes(message.result).startswith(b"["):
        return Control("listed", request_id, topics=_streams.decode(message.result))
    if bytes(message.result):
        return Control("ack", request_id)
    return Control("unknown", detail="neither a stream nor an answer")


class BinanceSpot(SpotRest, _Binance):
    """Spot: wss://data-stream.binance.vision/stream, https://data-api.binance.vision/api/v3."""

    market = "spot"
    host = "binance_spot"
    routes: tuple[SocketRoute, ...] = (SocketRoute("public", "/stream", ("depth",)),)
    socket_limits = SocketLimits(5, 200, 300, 300, LIST_EVERY_S, STREAMS_MAX, life_s=LIFE_S)
    rest_limits = RestLimits(RequestLimit(6000), "X-MBX-USED-WEIGHT-1M")
    _depth_stream = "depth@100ms"
    _depth_weights = {1000: 50, 500: 25, 100: 5}  # noqa: RUF012

    def follows(self, frame: DepthFrame, local_id: int, is_first: bool) -> Verdict:
        """1.3: u <= local is old; U <= local + 1 follows, first or not."""
        if frame.last_id <= local_id:
            return "stale"
        return "applies" if frame.first_id <= local_id + 1 else "gap"


class BinancePerp(PerpRest, _Binance):
    """USD-M: wss://fstream.binance.com, books on /public, funding on /market since 2026-04-23 (0.1)."""

    market = "perp"
    host = "binance_perp"
    routes: tuple[SocketRoute, ...] = (
        SocketRoute("public", "/public/stream", ("depth",), TOP_CHANNEL),
        SocketRoute("market", "/market/stream", ("funding",)),
    )
    # the limit of attempts is not published (1.1): a third of spot's
    socket_limits = SocketLimits(10, 200, 100, 300, LIST_EVERY_S, STREAMS_MAX, life_s=LIFE_S)
    rest_limits = RestLimits(RequestLimit(2400), "X-MBX-USED-WEIGHT-1M", {FUNDING_POOL: RequestLimit(500, 300)})
    snapshot_depths: tuple[int, ...] = (1000, 500, 100, 50)
    _depth_stream = "depth@0ms"
    _top_stream = "depth20@100ms"
    _is_linked = True
    _depth_weights = {1000: 20, 500: 10, 100: 5, 50: 2}  # noqa: RUF012

    def follows(self, frame: DepthFrame, local_id: int, is_first: bool) -> Verdict:
        """1.3: ids are not contiguous; pu links the frames, and the first one may begin before the snapshot."""
        if frame.last_id <= local_id:
            return "stale"
        previous = -1 if frame.previous_id is None else frame.previous_id
        return "applies" if previous == local_id or (is_first and 0 <= previous <= local_id) else "gap"
