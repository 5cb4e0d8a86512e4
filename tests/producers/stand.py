"""A feed with fakes around it, for tests of what one connection writes."""

from typing import Any

from mts_stream.exchanges.binance import BinancePerp, BinanceSpot
from mts_stream.exchanges.bybit import BybitPerp
from mts_stream.exchanges.venue import VenueMarket
from producers.connection import WATCHES_A_TICK
from producers.feeds import Feed
from producers.quality import Shared
from producers.records import RecordWriter
from tests.producers.fakes import FakeDesk, FakeLink, FakeOutlet, S, TrueBook, in_stream

SPOT, PERP, BYBIT = BinanceSpot(), BinancePerp(), BybitPerp()
PARTITIONS = 3
START = 1_700_000_000 * S
BTC = {"BTCUSDT": "BTC-USDT"}


class Stand:
    """A feed with everything around it in hand."""

    def __init__(
        self, market: VenueMarket, route: int = 0, pairs: dict[str, str] | None = None, keyframe_s: float = 60
    ) -> None:
        self.outlet, self.desk = FakeOutlet(), FakeDesk()
        self.writer = RecordWriter(self.outlet, "c-0", market.venue, market.market, "depth", PARTITIONS)
        self.shared = Shared()
        self.feed = Feed(
            market,
            market.routes[route],
            self.writer,
            self.outlet,
            pairs or BTC,
            self.desk,
            keyframe_s,
            lambda _: self.shared,
        )
        self.link = FakeLink(self.feed)
        self.now_ns = START

    def open(self, gen: int = 1) -> "Stand":
        """A connection stands."""
        self.feed.on_open(self.link, gen, self.now_ns)
        return self

    def tell(self, message: bytes) -> None:
        """A message comes."""
        self.feed.on_message(message, self.now_ns)

    def seconds(self, count: int, heard: bool = True) -> None:
        """Seconds pass, with pongs or without."""
        for _ in range(count):
            if heard:
                self.feed.on_pong(self.now_ns, self.now_ns)
            for _ in range(WATCHES_A_TICK):
                self.now_ns += S // WATCHES_A_TICK
                self.link.now_ns = self.now_ns
                self.feed.on_watch(self.now_ns)
            if heard:
                self.feed.on_pong(self.now_ns, self.now_ns)
            self.feed.on_second(self.now_ns)

    def kinds(self) -> list[str]:
        """The kinds of raw records written, statuses left out."""
        return [e.kind for e in self.outlet.envelopes() if e.kind != "status"]


def bybit_stand(keyframe_s: float = 60) -> tuple[Stand, TrueBook]:
    """A Bybit feed whose book stands."""
    stand, true = Stand(BYBIT, keyframe_s=keyframe_s).open(), TrueBook(BYBIT)
    stand.tell(bytes(true.snapshot_frame().frame))
    return stand, true


def binance_message(frame: Any) -> bytes:
    """The socket's message around a frame of spot."""
    return in_stream("spot", bytes(frame.frame))
