"""Binance's streams as pure objects: what a stream name means, what it collects and what it then says.

Facts: exchange notes 1.2. A depth event holds the absolute sizes of all levels changed since the last event of the
same stream; spot ids are contiguous from event to event, perp ids are not, and `pu` links them instead.
"""

import re
from dataclasses import dataclass
from typing import Protocol

from producers.simulator.book import ASK, BID, BookUpdate
from producers.simulator.funding import next_funding_ms
from producers.simulator.market import SimulatedLeg
from producers.simulator.settings import STEP_MS
from producers.simulator.text import LevelText
from producers.simulator.universe import PERP, SPOT

PUBLIC, MARKET = "public", "market"

_SPEEDS_MS: dict[str, dict[str | None, int]] = {
    SPOT: {None: 1000, "1000ms": 1000, "100ms": 100},
    PERP: {None: 250, "500ms": 500, "250ms": 250, "100ms": 100, "0ms": 0},
}
MARK_PRICE_ARRAYS_MS = {"!markPrice@arr": 3000, "!markPrice@arr@1s": 1000}
_NAME = re.compile(r"([a-z0-9]+)@(depth(5|10|20)?|bookTicker|markPrice)(?:@([0-9]+m?s))?")


@dataclass(frozen=True, slots=True)
class StreamName:
    """A stream name taken apart: the symbol, the kind, how often it speaks and on which USD-M route."""

    symbol: str
    kind: str
    levels: int | None
    every_ms: int
    route: str


def parse_stream_name(name: str, market: str) -> StreamName | None:
    """What the market serves under this name, None if nothing: the venue acknowledges it all the same."""
    if name in MARK_PRICE_ARRAYS_MS and market == PERP:
        return StreamName("", "markPriceArray", None, MARK_PRICE_ARRAYS_MS[name], MARKET)
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    symbol, kind, levels, speed = match.groups()
    if kind == "markPrice":
        every_ms = {None: 3000, "1s": 1000}.get(speed) if market == PERP else None
        return StreamName(symbol.upper(), kind, None, every_ms, MARKET) if every_ms else None
    if kind == "bookTicker":
        return StreamName(symbol.upper(), kind, None, 0, PUBLIC) if speed is None else None
    every = _SPEEDS_MS[market].get(speed)
    if every is None or (levels and every == 0):
        return None
    return StreamName(symbol.upper(), "partial" if levels else "depth", int(levels) if levels else None, every, PUBLIC)


class Stream(Protocol):
    """What every stream can do; `every_ms` 0 means with each update of the book, `is_depth` that it sends diffs."""

    every_ms: int
    phase: int
    is_depth: bool

    def on_update(self, update: BookUpdate) -> None:
        """Take in one update of the leg's book."""

    def flush(self, now_ns: int) -> str | None:
        """The event that is due now as JSON text; None if there is nothing to say."""


def is_due(stream: Stream, index: int) -> bool:
    """Whether a stream speaks at this step; streams of one speed are spread over the steps by their phase."""
    steps = max(1, stream.every_ms // STEP_MS)
    return (index + stream.phase) % steps == 0


class DepthStream:
    """`<symbol>@depth@<speed>`: collects changes and sends them as one diff event."""

    is_depth = True

    def __init__(self, leg: SimulatedLeg, text: LevelText, every_ms: int) -> None:
        self.leg, self.every_ms, self.phase = leg, every_ms, _phase(leg)
        self._text = text
        self._changed: tuple[dict[int, int], dict[int, int]] = {}, {}
        self._first_id: int | None = None
        self._previous_id = leg.book.last_id

    def on_update(self, update: BookUpdate) -> None:
        """Later sizes of a level replace earlier ones."""
        for side, price, size in update.changes:
            self._changed[side][price] = size
        if self._first_id is None:
            self._first_id = update.first_id

    def restart(self) -> None:
        """Forget what was collected: the book's ids have moved to another place."""
        self._changed, self._first_id, self._previous_id = ({}, {}), None, self.leg.book.last_id

    def flush(self, now_ns: int) -> str | None:
        """One depthUpdate event, spot or USD-M shape."""
        if self._first_id is None:
            return None
        first, previous, last = self._first_id, self._previous_id, self.leg.book.last_id
        bids = self._text.levels(sorted(self._changed[BID].items(), reverse=True))
        asks = self._text.levels(sorted(self._changed[ASK].items()))
        self._changed, self._first_id, self._previous_id = ({}, {}), None, last
        return _depth_event(self.leg, now_ns, first, last, previous, bids, asks)


class PartialDepthStream:
    """`<symbol>@depth<levels>@<speed>`: the best levels as they are; USD-M gives it the keys of a diff.

    It says nothing of a book that does not change, not even to a new subscriber.
    """

    is_depth = False

    def __init__(self, leg: SimulatedLeg, text: LevelText, every_ms: int, levels: int) -> None:
        self.leg, self.every_ms, self.phase = leg, every_ms, _phase(leg)
        self._text, self._levels = text, levels
        self._first_id, self._sent_id = 0, leg.book.last_id

    def on_update(self, update: BookUpdate) -> None:
        """The book itself holds what is sent, but for the first id since."""
        self._first_id = self._first_id or update.first_id

    def restart(self) -> None:
        """The book's ids have moved to another place."""
        self._first_id, self._sent_id = 0, self.leg.book.last_id

    def flush(self, now_ns: int) -> str | None:
        """The top of the book, if it was updated since the last time."""
        book, first, previous = self.leg.book, self._first_id, self._sent_id
        if book.last_id == previous:
            return None
        self._first_id, self._sent_id = 0, book.last_id
        bids = self._text.levels(book.bids.top(self._levels))
        asks = self._text.levels(book.asks.top(self._levels))
        if self.leg.listing.market == SPOT:
            return f'{{"lastUpdateId":{book.last_id},"bids":{bids},"asks":{asks}}}'
        return _depth_event(self.leg, now_ns, first, book.last_id, previous, bids, asks)


class BookTickerStream:
    """`<symbol>@bookTicker`: best bid and ask whenever they change."""

    is_depth = False
    every_ms = 0
    phase = 0

    def __init__(self, leg: SimulatedLeg, text: LevelText) -> None:
        self.leg, self._text = leg, text
        self._sent = ""

    def on_update(self, update: BookUpdate) -> None:
        """The book itself holds what is sent."""

    def flush(self, now_ns: int) -> str | None:
        """The touch with its sizes, if it changed."""
        book, text = self.leg.book, self._text
        (bid, bid_size), (ask, ask_size) = next(book.bids.top(1)), next(book.asks.top(1))
        touch = f'"b":"{text.price(bid)}","B":"{text.size(bid_size)}"'
        touch += f',"a":"{text.price(ask)}","A":"{text.size(ask_size)}"'
        if touch == self._sent:
            return None
        self._sent = touch
        symbol, now_ms = self.leg.listing.symbol, now_ns // 1_000_000
        if self.leg.listing.market == SPOT:
            return f'{{"u":{book.last_id},"s":"{symbol}",{touch}}}'
        head = f'"e":"bookTicker","u":{book.last_id},"s":"{symbol}","ps":"{symbol}"'
        return f'{{{head},{touch},"T":{now_ms - 1},"E":{now_ms},"st":1}}'


class MarkPriceStream:
    """`<symbol>@markPrice[@1s]`: mark and index price, funding rate `r` and the next funding time `T`."""

    is_depth = False

    def __init__(self, leg: SimulatedLeg, text: LevelText, every_ms: int) -> None:
        self.leg, self._text, self.every_ms, self.phase = leg, text, every_ms, 0

    def on_update(self, update: BookUpdate) -> None:
        """Mark and index do not come from the book."""

    def flush(self, now_ns: int) -> str:
        """One markPriceUpdate event."""
        leg, now_ms = self.leg, now_ns // 1_000_000
        mark, index = self._text.number(leg.mark_price), self._text.number(leg.index_price)
        prices = f'"p":"{mark}","ap":"{mark}","i":"{index}","P":"{index}"'
        funding = f'"r":"{leg.funding_rate:.8f}","T":{next_funding_ms(leg.listing, now_ms)}'
        return f'{{"e":"markPriceUpdate","E":{now_ms},"s":"{leg.listing.symbol}",{prices},{funding},"st":1}}'


class MarkPriceArrayStream:
    """`!markPrice@arr[@1s]`: all traded symbols' markPriceUpdate in one array."""

    is_depth = False
    phase = 0

    def __init__(self, streams: list[MarkPriceStream], every_ms: int) -> None:
        self.every_ms, self._streams = every_ms, streams

    def on_update(self, update: BookUpdate) -> None:
        """Mark and index do not come from the book."""

    def flush(self, now_ns: int) -> str:
        """One array of events."""
        return "[" + ",".join(stream.flush(now_ns) for stream in self._streams if not stream.leg.is_halted) + "]"


def make_stream(name: StreamName, leg: SimulatedLeg, text: LevelText) -> Stream:
    """The object behind a stream name."""
    if name.kind == "depth":
        return DepthStream(leg, text, name.every_ms)
    if name.kind == "partial":
        return PartialDepthStream(leg, text, name.every_ms, name.levels or 0)
    return MarkPriceStream(leg, text, name.every_ms) if name.kind == "markPrice" else BookTickerStream(leg, text)


def _depth_event(leg: SimulatedLeg, now_ns: int, first: int, last: int, previous: int, bids: str, asks: str) -> str:
    symbol, now_ms = leg.listing.symbol, now_ns // 1_000_000
    if leg.listing.market == SPOT:
        return f'{{"e":"depthUpdate","E":{now_ms},"s":"{symbol}","U":{first},"u":{last},"b":{bids},"a":{asks}}}'
    head = f'"e":"depthUpdate","E":{now_ms},"T":{now_ms - 1},"s":"{symbol}","ps":"{symbol}","st":1'
    return f'{{{head},"U":{first},"u":{last},"pu":{previous},"b":{bids},"a":{asks}}}'


def _phase(leg: SimulatedLeg) -> int:
    return sum(leg.listing.symbol.encode())
