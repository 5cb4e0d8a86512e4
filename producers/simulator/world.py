"""The two venues behind their servers: everything that a step moves and that a fault can touch.

Market -> texts -> Binance streams, Bybit topics -> sessions
       -> histories of the true books
       -> REST of each host
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from aiohttp import web

from producers.simulator.binance_rest import BinanceRest
from producers.simulator.binance_sockets import BinanceSockets
from producers.simulator.book import LEVELS
from producers.simulator.bybit_rest import BybitRest
from producers.simulator.bybit_sockets import BybitSockets
from producers.simulator.faults.seams import Faults
from producers.simulator.history import BookEpochs
from producers.simulator.hosts import Host
from producers.simulator.market import Market, SimulatedLeg, StepResult
from producers.simulator.sessions import Session
from producers.simulator.settings import SimulatorSettings
from producers.simulator.text import LevelText
from producers.simulator.universe import BINANCE, BYBIT, PERP, SPOT, BookKey

TextLevels = list[tuple[str, str]]
AddRoutes = Callable[[web.Application], None]


class TrueBook(NamedTuple):
    """A book as its venue had it at a sequence: levels best first, as the venue prints them."""

    bids: TextLevels
    asks: TextLevels


class World:
    """Market, servers and histories of one run."""

    def __init__(self, settings: SimulatorSettings, clock_ns: Callable[[], int], add_control: AddRoutes) -> None:
        self.market = Market(settings)
        self.faults = Faults()
        self._settings, self._clock_ns = settings, clock_ns
        legs = self.market.legs.values()
        self._texts: dict[BookKey, LevelText] = {
            leg.listing.key: LevelText(leg.listing, "0" if leg.listing.venue == BYBIT else None) for leg in legs
        }
        self.binance = {name: self._binance_sockets(name) for name in (SPOT, PERP)}
        self.bybit = {name: self._bybit_sockets(name) for name in (SPOT, PERP)}
        self.histories = self._make_histories()
        self.hosts = self._make_hosts(add_control)

    def venue_clock_ns(self, venue: str) -> int:
        """The time by the venue's own clock."""
        return self._clock_ns() + self.faults.skew_ns(venue)

    def step(self, now_ns: int) -> StepResult:
        """Move the market on by one step and send what that makes due."""
        result = self.market.step()
        for leg, update in result.updates:
            if leg.listing.venue == BINANCE:
                self.histories[leg.listing.key].add(update.last_id, update.changes)
        self._release()
        for binance in self.binance.values():
            binance.publish(result, self.market.index, now_ns + self.faults.skew_ns(BINANCE))
        for bybit in self.bybit.values():
            bybit.publish(self.market.index, now_ns + self.faults.skew_ns(BYBIT))
        return result

    def true_book(self, key: BookKey, sequence: int, epoch: int | None = None) -> TrueBook:
        """The book at a sequence; LookupError if there is none."""
        bids, asks = self.histories[key].at(sequence, epoch)
        text = self._texts[key]
        return TrueBook(
            [(text.price(price), text.size(bids[price])) for price in sorted(bids, reverse=True)],
            [(text.price(price), text.size(asks[price])) for price in sorted(asks)],
        )

    def sockets(self, venue: str, market: str) -> BinanceSockets | BybitSockets:
        """The websockets of a venue's market."""
        return self.binance[market] if venue == BINANCE else self.bybit[market]

    def sessions(self, venue: str | None = None, market: str | None = None) -> list[Session]:
        """The open sessions of a venue and market, None for any."""
        return [
            session
            for own_venue, by_market in ((BINANCE, self.binance), (BYBIT, self.bybit))
            for own_market, sockets in by_market.items()
            if venue in (None, own_venue) and market in (None, own_market)
            for session in sockets.sessions
        ]

    def legs(self, venue: str, market: str | None, symbol: str | None) -> Iterable[SimulatedLeg]:
        """The legs of a venue, market and symbol, None for any."""
        for leg in self.market.legs.values():
            own_venue, own_market, own_symbol = leg.listing.key
            if own_venue == venue and market in (None, own_market) and symbol in (None, own_symbol):
                yield leg

    def hosts_of(self, venue: str, market: str | None) -> list[Host]:
        """The hosts that serve a venue's market; Bybit has one for all."""
        if venue != BINANCE:
            return [self.hosts["bybit"]]
        return [self.hosts[f"binance_{name}"] for name in (SPOT, PERP) if market in (None, name)]

    def _release(self) -> None:
        for (book, stream), frame in self.faults.frames.release():
            self.sockets(book[0], book[1]).deliver(stream, frame)

    def _binance_sockets(self, name: str) -> BinanceSockets:
        return BinanceSockets(name, self.market, self._texts, self._settings, self.faults)

    def _bybit_sockets(self, name: str) -> BybitSockets:
        clock_ns = self._clock_of(BYBIT)
        return BybitSockets(name, self.market, self._texts, self._settings, self.faults, clock_ns)

    def _clock_of(self, venue: str) -> Callable[[], int]:
        return lambda: self.venue_clock_ns(venue)

    def _make_histories(self) -> dict[BookKey, BookEpochs]:
        histories = self.bybit[SPOT].histories | self.bybit[PERP].histories
        for key, leg in self.market.legs.items():
            if leg.listing.venue == BINANCE:
                bids, asks = leg.book.bids.top(LEVELS), leg.book.asks.top(LEVELS)
                histories[key] = BookEpochs(leg.book.last_id, bids, asks, self._settings.history_updates_max)
        return histories

    def _make_hosts(self, add_control: AddRoutes) -> dict[str, Host]:
        clock_ns = self._clock_of(BINANCE)
        spot, perp = (BinanceRest(name, self.market, self._texts, self.faults, clock_ns) for name in (SPOT, PERP))
        bybit = BybitRest(self.market, self._texts, self.bybit, self.faults, self._clock_of(BYBIT))
        routes: dict[str, list[AddRoutes]] = {
            "binance_spot": [spot.add_routes, self.binance[SPOT].add_routes],
            "binance_perp": [perp.add_routes, self.binance[PERP].add_routes],
            "bybit": [bybit.add_routes, self.bybit[SPOT].add_routes, self.bybit[PERP].add_routes],
            "control": [add_control],
        }
        return {name: Host(name, adds) for name, adds in routes.items()}
