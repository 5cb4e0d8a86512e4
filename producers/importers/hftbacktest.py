"""hftbacktest's collector format: `<local receive time, ns> <raw JSON>` a line, plain or gzip.

The JSON is a frame of Binance's combined stream, or a bare REST answer to depth (a line without `stream`), asked for
after the stream was open. github nkaz001/hftbacktest, collector/src/binance*, examples/{spot,usdm} at 5f3ec40.
"""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import msgspec

from mts_stream.errors import UNREADABLE, CaptureError
from mts_stream.exchanges.binance import BinancePerp, BinanceSpot
from mts_stream.exchanges.venue import BookTop, Control, DepthFrame, FundingFrame, VenueMarket
from producers.importers.source import (
    PROBE_LINES_MAX,
    BrokenSourceError,
    Contents,
    Dropped,
    OnBytes,
    RestBody,
    SourceLine,
    raw_lines,
)

TIME_DIGITS = 19  # Unix ns until the year 2286

_MARKETS: dict[str, VenueMarket] = {"spot": BinanceSpot(), "perp": BinancePerp()}


class _Head(msgspec.Struct):
    stream: str = ""
    lastUpdateId: int = 0  # noqa: N815


class _Chained(msgspec.Struct):
    pu: int | None = None


class _ChainedFrame(msgspec.Struct):
    data: _Chained


_head = msgspec.json.Decoder(_Head)
_chained = msgspec.json.Decoder(_ChainedFrame)


class HftBacktest:
    """Binance spot or USD-M; a USD-M diff has `pu`."""

    name = "hftbacktest"

    def contents(self, path: Path, market: str | None) -> Contents:
        """The symbol of the first diff and the book of the first snapshot."""
        symbol = ""
        venue_market = _MARKETS[market] if market else None
        try:
            for line in islice(raw_lines(path, _ignore), PROBE_LINES_MAX):
                parts = _split(line)
                if parts is None:
                    continue
                head, body = parts[1], parts[2]
                if not symbol and "@depth" in head.stream:
                    venue_market = venue_market or _MARKETS["perp" if _is_chained(body) else "spot"]
                    symbol = venue_market.topic_symbol(head.stream)
                if head.lastUpdateId and symbol and venue_market is not None:
                    book = venue_market.parse_snapshot(body)
                    return Contents(venue_market, symbol, book.bids, book.asks)
        except (BrokenSourceError, *UNREADABLE) as error:
            raise CaptureError(f"{path}: {error}") from error
        missing = "REST snapshot of a book after it" if symbol else "depth stream"
        raise CaptureError(f"{path}: no {missing} in it; is it a file of format {self.name}?")

    def lines(self, path: Path, contents: Contents, on_bytes: OnBytes) -> Iterator[SourceLine]:
        """Diffs, funding and snapshots of the file's symbol."""
        for line in raw_lines(path, on_bytes):
            if line:
                yield _source_line(line, contents)


def _ignore(_: int) -> None:
    return


def _split(line: bytes) -> tuple[int, _Head, bytes] | None:
    """Time, head and JSON of a line; None for what is no line of this format."""
    time, _, body = line.partition(b" ")
    if not time.isdigit() or len(time) != TIME_DIGITS:
        return None
    try:
        return int(time), _head.decode(body), body
    except UNREADABLE:
        return None


def _is_chained(body: bytes) -> bool:
    return _chained.decode(body).data.pu is not None


def _source_line(line: bytes, contents: Contents) -> SourceLine:
    parts = _split(line)
    if parts is None:
        return SourceLine(0, Dropped("no_line_of_this_format", is_traffic=False))
    received_ns, head, body = parts
    if head.stream:
        return SourceLine(received_ns, _frame(head.stream, body, contents))
    return SourceLine(received_ns, _snapshot(body, contents))


def _frame(stream: str, body: bytes, contents: Contents) -> DepthFrame | FundingFrame | Dropped:
    incoming = contents.market.classify(body)
    kind = stream.partition("@")[2].partition("@")[0] or stream
    if isinstance(incoming, Control):
        return Dropped(kind if incoming.kind == "ignored" else "unreadable_frame")
    if isinstance(incoming, BookTop):
        return Dropped(kind)
    if incoming.symbol != contents.symbol:
        return Dropped("other_symbol")
    return incoming


def _snapshot(body: bytes, contents: Contents) -> RestBody | Dropped:
    try:
        return RestBody(body, contents.market.parse_snapshot(body))
    except UNREADABLE:
        return Dropped("unreadable_snapshot", is_traffic=False)
