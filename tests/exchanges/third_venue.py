"""A venue that does not exist, complete: what a third exchange has to bring, and nothing more (docs/adding-a-venue.md).

| channel | message | role |
|---|---|---|
| `book` | `{"ch":"book","sym":"BTC_USDT","n":7,"at":1700000000000,"full":true,"bid":[["99","1"]],"ask":[]}` | depth |
| `ok`, `no` | `{"ch":"ok","id":"1"}`, `{"ch":"no","id":"1","why":"unknown book"}` | ack, refusal |
| `tock` | `{"ch":"tock"}` | pong |

`n` rises by one with each book message; a full one replaces the book. It has a spot market alone.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Raw

from mts_stream.domain.market_data import DepthUpdate, FundingUpdate, KnownRange, Origin
from mts_stream.errors import UNREADABLE, BadRecordError
from mts_stream.exchanges.venue import (
    BookImage,
    BookSnapshot,
    Control,
    DepthFrame,
    FundingSettlement,
    Id,
    Incoming,
    InstrumentFigures,
    InstrumentPage,
    ListedInstrument,
    Millis,
    Refusal,
    RequestLimit,
    RestLimits,
    RestRequest,
    SocketLimits,
    SocketRoute,
    Venue,
    Verdict,
)

NS_PER_MS = 1_000_000


class _Message(msgspec.Struct):
    ch: str
    sym: str = ""
    n: Id = 0
    at: Millis = 0
    full: bool = False
    bid: Raw = Raw(b"[]")
    ask: Raw = Raw(b"[]")
    id: str = ""
    why: str = ""


class _Book(msgspec.Struct):
    n: Id
    at: Millis
    full: bool
    bid: list[tuple[str, str]]
    ask: list[tuple[str, str]]


class _BookHeader(msgspec.Struct):
    n: Id
    at: Millis
    full: bool
    bid: Raw
    ask: Raw


class _Listed(msgspec.Struct):
    sym: str
    base: str
    quote: str
    tick: str
    lot: str
    least: str
    last: str
    volume: str


_message = msgspec.json.Decoder(_Message)
_book = msgspec.json.Decoder(_Book)
_book_header = msgspec.json.Decoder(_BookHeader)
_list = msgspec.json.Decoder(list[_Listed])
_time = msgspec.json.Decoder(dict[str, Millis])
_error = msgspec.json.Decoder(dict[str, str])


def decode_depth(frame: Raw, origin: Origin, kind: str, known_range: KnownRange | None) -> DepthUpdate:
    """A book message as a change of the book, or as the whole of it."""
    book = _book_header.decode(frame)
    return DepthUpdate(
        origin, book.full, kind == "keyframe", book.n, bytes(book.bid), bytes(book.ask),
        exchange_ns=book.at * NS_PER_MS,
    )  # fmt: skip


def decode_funding(frame: Raw, origin: Origin) -> FundingUpdate:
    """Spot pays none."""
    raise BadRecordError("bad_frame", f"{origin.message_id}: this venue has no funding")


class ThirdSpot:
    """Its one market."""

    venue, market, host = "third", "spot", "third"
    routes: tuple[SocketRoute, ...] = (SocketRoute("public", "/stream", ("depth",)),)
    socket_limits = SocketLimits(10, 50, 100, 300, heartbeat_s=20)
    rest_limits = RestLimits(RequestLimit(600))
    snapshots_by_rest = False
    lists_subscriptions = False
    snapshot_depths: tuple[int, ...] = (100,)
    funding_in_parts = False
    funding_page_rows = 0

    def topics(self, route: SocketRoute, symbol: str) -> list[str]:
        """`book:BTC_USDT`."""
        return [f"book:{symbol}" for channel in route.channels if channel == "depth"]

    def topic_symbol(self, topic: str) -> str:
        """What stands after the colon."""
        return topic.partition(":")[2]

    def subscribe(self, topics: Sequence[str], request_id: int) -> bytes:
        """Open books."""
        return msgspec.json.encode({"do": "open", "books": list(topics), "id": str(request_id)})

    def unsubscribe(self, topics: Sequence[str], request_id: int) -> bytes:
        """Close books."""
        return msgspec.json.encode({"do": "shut", "books": list(topics), "id": str(request_id)})

    def heartbeat(self, request_id: int) -> bytes:
        """A tick, answered by a tock."""
        return b'{"do":"tick"}'

    def classify(self, message: bytes) -> Incoming:
        """A message by its channel."""
        try:
            head = _message.decode(message)
        except UNREADABLE as error:
            return Control("unknown", detail=str(error))
        match head.ch:
            case "book":
                return DepthFrame(head.sym, Raw(message), head.full, head.n, head.bid, head.ask, head.at)
            case "ok":
                return Control("ack", head.id)
            case "no":
                return Control("refused", head.id, head.why)
            case "tock":
                return Control("pong")
        return Control("unknown", detail=f"channel {head.ch[:40]!r}")

    def follows(self, frame: DepthFrame, local_id: int, is_first: bool) -> Verdict:
        """`n` rises by one."""
        if frame.last_id <= local_id:
            return "stale"
        return "applies" if frame.last_id == local_id + 1 else "gap"

    def keyframe(self, image: BookImage) -> bytes:
        """A full book message."""
        head = {"ch": "book", "sym": image.symbol, "n": image.last_id, "at": image.exchange_ms, "full": True}
        return msgspec.json.encode(head | {"bid": image.bids, "ask": image.asks})

    def funding_keyframe(self, symbol: str, data: dict[str, Any], exchange_ms: int, cross_sequence: int) -> bytes:
        """Never needed."""
        raise TypeError(f"{symbol} pays no funding")

    def snapshot_request(self, symbol: str, depth: int = 0) -> RestRequest:
        """One book."""
        return RestRequest("/book", (("sym", symbol),))

    def parse_snapshot(self, body: bytes) -> BookSnapshot:
        """A full book message."""
        book = _book.decode(body)
        return BookSnapshot(book.n, book.bid, book.ask)

    def instruments_request(self, cursor: str) -> RestRequest:
        """All of them."""
        return RestRequest("/list")

    def parse_instruments(self, body: bytes) -> InstrumentPage:
        """All on one page."""
        return InstrumentPage(
            [
                ListedInstrument(self.venue, self.market, r.sym, r.base, r.quote, r.tick, r.lot, r.least, "trading")
                for r in _list.decode(body)
            ]
        )

    def figures_requests(self) -> tuple[RestRequest, ...]:
        """The list has them too."""
        return (RestRequest("/list"),)

    def parse_figures(self, bodies: Sequence[bytes]) -> dict[str, InstrumentFigures]:
        """Last price and turnover."""
        return {row.sym: InstrumentFigures(row.last, row.volume) for row in _list.decode(bodies[0])}

    def funding_history_request(self, symbol: str, start_ms: int, end_ms: int) -> RestRequest:
        """Never asked: `funding_page_rows` is 0."""
        raise TypeError(f"{symbol} pays no funding")

    def parse_funding_history(self, body: bytes) -> list[FundingSettlement]:
        """Never asked."""
        return []

    def time_request(self) -> RestRequest:
        """The clock."""
        return RestRequest("/time")

    def parse_time_ms(self, body: bytes) -> float:
        """`{"at": ms}`."""
        return float(_time.decode(body)["at"])

    def refusal(self, body: bytes) -> Refusal | None:
        """`{"why": "..."}`."""
        try:
            return Refusal(1, _error.decode(body)["why"])
        except (*UNREADABLE, KeyError):
            return None


VENUE = Venue("third", (ThirdSpot(),), decode_depth, decode_funding)
