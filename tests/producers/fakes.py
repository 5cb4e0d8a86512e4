"""Frames in the venues' formats, a model of a true book, and hand-written stand-ins for the log and the link."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from mts_stream.exchanges.venue import BookSnapshot, DepthFrame, VenueMarket
from mts_stream.wire.envelope import Envelope, decode_envelope

S = 1_000_000_000
Sides = tuple[dict[str, str], dict[str, str]]


def binance_frame(first: int, last: int, previous: int | None, bids: Sequence[Any], asks: Sequence[Any]) -> bytes:
    """A depthUpdate of spot, or of USD-M where `previous` is given."""
    head = {"e": "depthUpdate", "E": 1000, "s": "BTCUSDT", "U": first, "u": last}
    return msgspec.json.encode(head | ({} if previous is None else {"pu": previous, "st": 1}) | {"b": bids, "a": asks})


def in_stream(market: str, frame: bytes) -> bytes:
    """The combined message around it."""
    stream = "btcusdt@depth@100ms" if market == "spot" else "btcusdt@depth@0ms"
    return b'{"stream":"%b","data":%b}' % (stream.encode(), frame)


def bybit_frame(kind: str, last: int, bids: Sequence[Any], asks: Sequence[Any], symbol: str = "BTCUSDT") -> bytes:
    """An orderbook.50 message."""
    data = {"s": symbol, "b": bids, "a": asks, "u": last, "seq": last * 7}
    return msgspec.json.encode({"topic": f"orderbook.50.{symbol}", "type": kind, "ts": 1000, "data": data, "cts": 999})


def depth_frame(market: VenueMarket, message: bytes) -> DepthFrame:
    """The depth frame in a message."""
    frame = market.classify(message)
    assert isinstance(frame, DepthFrame), frame
    return frame


@dataclass
class TrueBook:
    """The venue's own book: every update it made, and the book at each id."""

    market: VenueMarket
    sides: Sides = field(default_factory=lambda: ({"99": "1", "98": "2", "90": "9"}, {"101": "1", "102": "2"}))
    last_id: int = 100
    history: dict[int, Sides] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._remember()

    def _remember(self) -> None:
        self.history[self.last_id] = (dict(self.sides[0]), dict(self.sides[1]))

    def update(self, bids: Sequence[tuple[str, str]], asks: Sequence[tuple[str, str]], step: int = 1) -> DepthFrame:
        """Change levels and give the frame that says so; `step` ids are used for it."""
        previous = self.last_id
        for side, levels in zip(self.sides, (bids, asks), strict=True):
            for price, size in levels:
                if size == "0":
                    side.pop(price, None)
                else:
                    side[price] = size
        self.last_id += step
        self._remember()
        return depth_frame(self.market, self._message(previous, bids, asks))

    def _message(self, previous: int, bids: Any, asks: Any) -> bytes:
        if self.market.venue == "bybit":
            return bybit_frame("delta", self.last_id, bids, asks)
        if self.market.market == "spot":
            return in_stream("spot", binance_frame(previous + 1, self.last_id, None, bids, asks))
        return in_stream("perp", binance_frame(previous + 2, self.last_id, previous, bids, asks))

    def snapshot(self, at: int | None = None, levels: int = 1000) -> BookSnapshot:
        """A REST answer as of an id."""
        last_id = self.last_id if at is None else at
        bids, asks = self.history[last_id]
        best_bids = sorted(bids.items(), key=lambda level: -float(level[0]))[:levels]
        return BookSnapshot(last_id, best_bids, sorted(asks.items(), key=lambda level: float(level[0]))[:levels])

    def top(self, at: int | None = None, levels: int = 20) -> bytes:
        """A message of USD-M's depth20 as of an id."""
        book = self.snapshot(at, levels)
        frame = binance_frame(book.last_id, book.last_id, book.last_id - 1, book.bids, book.asks)
        return b'{"stream":"btcusdt@depth20@100ms","data":%b}' % frame

    def snapshot_frame(self) -> DepthFrame:
        """A snapshot on the socket, as Bybit sends it."""
        bids, asks = ([list(level) for level in side.items()] for side in self.sides)
        return depth_frame(self.market, bybit_frame("snapshot", self.last_id, bids, asks))


@dataclass
class FakeOutlet:
    """Keeps what is sent; `room` False refuses it."""

    room: bool = True
    sent: list[tuple[str, bytes, bytes, str, int]] = field(default_factory=list)

    def send(self, topic: str, key: bytes, value: bytes, kind: str, partition: int = -1, *, must: bool = False) -> bool:
        """Keep a record."""
        if not self.room and not must:
            return False
        self.sent.append((topic, key, value, kind, partition))
        return True

    def envelopes(self, *kinds: str) -> list[Envelope]:
        """The raw records of these kinds, in order; a status once, not per partition."""
        raw = [(value, kind, part) for topic, _, value, kind, part in self.sent if topic == "mts.raw"]
        return [decode_envelope(value) for value, kind, part in raw if (not kinds or kind in kinds) and part <= 0]

    def states(self) -> list[tuple[str, str]]:
        """The statuses said, with their reasons."""
        frames = [msgspec.json.decode(envelope.frame) for envelope in self.envelopes("status")]
        return [(frame["state"], frame["reason"]) for frame in frames]


class MemorySink(FakeOutlet):
    """A producer process's records in a list, all confirmed at once."""

    lost, queued_records, stalled_s, has_room = 0, 0, 0.0, True

    @property
    def confirmed(self) -> Counter[str]:
        """What was sent, by kind."""
        return Counter(kind for _, _, _, kind, _ in self.sent)

    def count(self) -> None:
        """Nothing to count."""

    async def run(self) -> None:
        """Serve until cancelled."""
        await asyncio.Event().wait()

    async def flush(self, timeout_s: float) -> int:
        """All is confirmed."""
        return 0


@dataclass
class FakeLink:
    """Keeps what a feed asks of its connection; a drop is told to the feed as the real one does."""

    feed: Any = None
    now_ns: int = 0
    messages: list[Any] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)

    def send(self, message: bytes) -> None:
        """Keep a message."""
        self.messages.append(msgspec.json.decode(message))

    def drop(self, reason: str) -> None:
        """End the connection."""
        self.dropped.append(reason)
        if self.feed is not None:
            self.feed.on_close(reason, self.now_ns)


@dataclass
class FakeDesk:
    """Keeps which books want a snapshot; `is_asking` False while an earlier request for the same is on its way.

    `is_short` as if the weight of the minute were spent.
    """

    wanted: list[Any] = field(default_factory=list)
    is_asking: bool = True
    is_short: bool = False

    def request(self, book: Any) -> None:
        """Keep a wish, as if the request went out at once."""
        if self.is_asking:
            book.keep_frames(True)
        self.wanted.append(book)
