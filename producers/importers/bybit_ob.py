"""Bybit's public order-book history: one v5 `orderbook.N` message a line, a `.data` file, mostly in a zip.

There is no receive time: the message's own `ts` (ms) stands for it. ob500 was published for linear contracts alone;
of other depths the file does not say whether it is spot or linear, so `--market` has to.
"""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import msgspec

from mts_stream.domain.quoted import Level
from mts_stream.errors import UNREADABLE, CaptureError
from mts_stream.exchanges.bybit import BybitPerp, BybitSpot
from mts_stream.exchanges.venue import DepthFrame, VenueMarket
from producers.importers.source import (
    PROBE_LINES_MAX,
    BrokenSourceError,
    Contents,
    Dropped,
    OnBytes,
    SourceLine,
    raw_lines,
)

NS_PER_MS = 1_000_000
DEPTH_OF_PERP = "500"

_MARKETS: dict[str, VenueMarket] = {"spot": BybitSpot(), "perp": BybitPerp()}


class _Topic(msgspec.Struct):
    topic: str


_levels = msgspec.json.Decoder(list[tuple[str, str]])
_topic = msgspec.json.Decoder(_Topic)


class BybitOrderBook:
    """A snapshot, then deltas."""

    name = "bybit-ob"

    def contents(self, path: Path, market: str | None) -> Contents:
        """The symbol and the book of the first snapshot."""
        try:
            for line in islice(raw_lines(path, lambda _: None), PROBE_LINES_MAX):
                frame = _MARKETS["perp"].classify(line)
                if isinstance(frame, DepthFrame) and frame.replaces:
                    return Contents(_market(path, line, market), frame.symbol, *_sides(frame))
        except (BrokenSourceError, *UNREADABLE) as error:
            raise CaptureError(f"{path}: {error}") from error
        raise CaptureError(f"{path}: no snapshot of a book in it; is it a file of format {self.name}?")

    def lines(self, path: Path, contents: Contents, on_bytes: OnBytes) -> Iterator[SourceLine]:
        """Snapshots and deltas of the file's symbol."""
        for line in raw_lines(path, on_bytes):
            if line:
                yield _source_line(line, contents)


def _market(path: Path, line: bytes, market: str | None) -> VenueMarket:
    depth = _topic.decode(line).topic.split(".")[1]
    if market is None and depth != DEPTH_OF_PERP:
        raise CaptureError(f"{path}: a file of orderbook.{depth} does not say its market; add --market spot or perp")
    return _MARKETS[market or "perp"]


def _sides(frame: DepthFrame) -> tuple[list[Level], list[Level]]:
    return _levels.decode(frame.bids), _levels.decode(frame.asks)


def _source_line(line: bytes, contents: Contents) -> SourceLine:
    frame = contents.market.classify(line)
    if not isinstance(frame, DepthFrame):
        return SourceLine(0, Dropped("no_order_book", is_traffic=False))
    if frame.symbol != contents.symbol:
        return SourceLine(frame.exchange_ms * NS_PER_MS, Dropped("other_symbol"))
    return SourceLine(frame.exchange_ms * NS_PER_MS, frame)
