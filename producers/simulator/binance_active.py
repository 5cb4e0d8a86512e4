"""Who is subscribed to which of Binance's streams; a stream exists while somebody is subscribed to it."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from producers.simulator.binance_streams import (
    PUBLIC,
    MarkPriceArrayStream,
    MarkPriceStream,
    Stream,
    StreamName,
    make_stream,
)
from producers.simulator.market import Market, SimulatedLeg
from producers.simulator.sessions import Session
from producers.simulator.text import LevelText
from producers.simulator.universe import BINANCE, PERP, BookKey


class BinanceSession(Session):
    """A session with its envelope and, on USD-M, its route; `unlisted` are subscriptions that it is not told of."""

    combined = False
    route = PUBLIC

    def __init__(self, conn_id: str, queue_frames_max: int, messages_per_s_max: int, life_s: float | None) -> None:
        super().__init__(conn_id, queue_frames_max, messages_per_s_max, life_s)
        self.unlisted: set[str] = set()


@dataclass(slots=True)
class ActiveStream:
    """A stream that somebody subscribed to, and who did."""

    name: str
    stream: Stream
    leg: SimulatedLeg | None
    sessions: set[BinanceSession] = field(default_factory=set)

    @property
    def is_halted(self) -> bool:
        """Whether the instrument is not traded any more."""
        return self.leg is not None and self.leg.is_halted


class ActiveStreams:
    """The streams of one market that somebody is subscribed to, by name and by book."""

    def __init__(self, market_name: str, market: Market, texts: dict[BookKey, LevelText]) -> None:
        self._market_name, self._market, self._texts = market_name, market, texts
        self._by_name: dict[str, ActiveStream] = {}
        self._by_book: dict[BookKey, list[ActiveStream]] = {}

    def get(self, name: str) -> ActiveStream | None:
        """The stream of this name, if it is active."""
        return self._by_name.get(name)

    def all(self) -> Iterable[ActiveStream]:
        """Every active stream."""
        return self._by_name.values()

    def of_book(self, key: BookKey) -> Iterable[ActiveStream]:
        """The streams of one instrument."""
        return self._by_book.get(key, ())

    def subscribe(self, session: BinanceSession, name: str, parsed: StreamName) -> None:
        """Add a subscriber; nothing happens for a symbol that is not listed."""
        active = self._by_name.get(name) or self._activate(name, parsed)
        if active is not None:
            active.sessions.add(session)

    def unsubscribe(self, session: BinanceSession, name: str) -> None:
        """Remove a subscriber, and the stream with its last one."""
        active = self._by_name.get(name)
        if active is not None:
            active.sessions.discard(session)
            if not active.sessions:
                self._deactivate(active)

    def _activate(self, name: str, parsed: StreamName) -> ActiveStream | None:
        if parsed.kind == "markPriceArray":
            active = ActiveStream(name, self._mark_price_array(parsed), None)
        else:
            leg = self._market.leg(BINANCE, self._market_name, parsed.symbol)
            if leg is None:
                return None
            key = leg.listing.key
            active = ActiveStream(name, make_stream(parsed, leg, self._texts[key]), leg)
            self._by_book.setdefault(key, []).append(active)
        self._by_name[name] = active
        return active

    def _deactivate(self, active: ActiveStream) -> None:
        del self._by_name[active.name]
        for streams in self._by_book.values():
            if active in streams:
                streams.remove(active)

    def _mark_price_array(self, parsed: StreamName) -> MarkPriceArrayStream:
        legs = [leg for leg in self._market.legs.values() if leg.listing.leg == (BINANCE, PERP) and leg.is_listed]
        streams = [MarkPriceStream(leg, self._texts[leg.listing.key], parsed.every_ms) for leg in legs]
        return MarkPriceArrayStream(streams, parsed.every_ms)
