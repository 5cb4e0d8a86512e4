"""What the benchmark's sockets play: recorded depth frames of both venues, each book once per symbol.

Binance: the recorded frames of tests/data/recorded, from the REST snapshot in the file on. Bybit: the first run without
a fault of tests/data/conformance, played again from its snapshot until it has as many frames. Only the symbol changes.
"""

import gzip
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import cycle, islice
from pathlib import Path

from mts_stream.errors import BadRecordError
from mts_stream.exchanges import MARKETS
from mts_stream.exchanges.venue import DepthFrame, SocketRoute, VenueMarket
from mts_stream.wire.envelope import decode_envelope

DATA = Path(__file__).parents[1] / "data"
RECORDED = {"spot": "spot_btcusdt_20240808.head.gz", "perp": "usdm_btcusdt_20240808.head.gz"}
FRAMES_PER_BOOK = 800


@dataclass(frozen=True)
class Book:
    """One market's recorded book: the REST answer that it begins with (b"" for Bybit) and its messages."""

    market: VenueMarket
    snapshot: bytes
    messages: list[bytes]

    @property
    def route(self) -> SocketRoute:
        """Where its depth is, and nothing else."""
        route = next(route for route in self.market.routes if "depth" in route.channels)
        return replace(route, channels=("depth",))

    @property
    def conn(self) -> str:
        """The connection's name."""
        return f"{self.market.venue}-{self.market.market}"

    def of(self, symbol: str, frames: int) -> list[bytes]:
        """Its first messages with another symbol in place of BTCUSDT."""
        upper, lower = symbol.encode(), symbol.lower().encode()
        return [m.replace(b"BTCUSDT", upper).replace(b"btcusdt", lower) for m in self.messages[:frames]]


def symbols(count: int) -> dict[str, str]:
    """Symbols and their pairs."""
    return {f"B{number:03d}USDT": f"B{number:03d}-USDT" for number in range(count)}


def books() -> list[Book]:
    """One per market."""
    return [_binance(market) if market.venue == "binance" else _bybit(market) for market in MARKETS]


def stream(book: Book, names: dict[str, str], frames: int = FRAMES_PER_BOOK) -> list[bytes]:
    """The messages of one connection: every symbol's first, every symbol's second, and so on."""
    return [message for turn in zip(*(book.of(name, frames) for name in names), strict=True) for message in turn]


def _binance(market: VenueMarket) -> Book:
    with gzip.open(DATA / "recorded" / RECORDED[market.market]) as file:
        lines = [line.partition(b" ")[2].rstrip() for line in file]
    snapshot = next(line for line in lines if not line.startswith(b'{"stream"'))
    last_id = market.parse_snapshot(snapshot).last_id
    frames = [(line, market.classify(line)) for line in lines if b"@depth@" in line[:40]]
    messages = [line for line, frame in frames if isinstance(frame, DepthFrame) and frame.last_id > last_id]
    return Book(market, snapshot, messages[:FRAMES_PER_BOOK])


def _bybit(market: VenueMarket) -> Book:
    return Book(market, b"", list(islice(cycle(_first_run(market)), FRAMES_PER_BOOK)))


def _first_run(market: VenueMarket) -> Iterator[bytes]:
    """A snapshot and the deltas up to the next one."""
    with gzip.open(DATA / "conformance" / "btc.jsonl.gz") as file:
        started = False
        for line in file:
            try:
                envelope = decode_envelope(line.rstrip())
            except BadRecordError:
                continue
            where = envelope.venue, envelope.market, envelope.channel, envelope.kind, envelope.pair
            if where != (market.venue, market.market, "depth", "frame", "BTC-USDT"):
                continue
            frame = market.classify(bytes(envelope.frame))
            if isinstance(frame, DepthFrame) and frame.replaces:
                if started:
                    return
                started = True
            yield bytes(envelope.frame)
