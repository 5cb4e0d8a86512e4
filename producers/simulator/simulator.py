"""The simulator as a whole: a market behind two exchanges' servers, moved on by the wall clock.

wall clock -> Market.step -> Binance streams -> websockets
                         \\-> Bybit topics   -> websockets
                         \\-> truth file, histories of the true books
"""

import asyncio
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, NamedTuple

import orjson
from aiohttp import web

from producers.simulator.binance_rest import BinanceRest
from producers.simulator.binance_sockets import BinanceSockets
from producers.simulator.book import LEVELS
from producers.simulator.bybit_rest import BybitRest
from producers.simulator.bybit_sockets import BybitSockets
from producers.simulator.faults import BookKey, Faults
from producers.simulator.history import BookHistory
from producers.simulator.hosts import Host, stop_all
from producers.simulator.market import Market
from producers.simulator.sessions import Session
from producers.simulator.settings import STEP_MS, SimulatorSettings
from producers.simulator.text import LevelText
from producers.simulator.truth import Truth
from producers.simulator.universe import BINANCE, BYBIT, PERP, SPOT

_LAG_S_MAX = 0.5
"""Behind the clock by more than this, the market waits instead of flooding its clients with the past."""

TextLevels = list[tuple[str, str]]


class TrueBook(NamedTuple):
    """A book as its venue had it at a sequence: levels best first, as the venue prints them."""

    bids: TextLevels
    asks: TextLevels


class Simulator:
    """Two simulated venues on loopback; `async with` starts and ends them."""

    def __init__(self, settings: SimulatorSettings, clock_ns: Callable[[], int] = time.time_ns) -> None:
        self.market = Market(settings)
        self.faults = Faults()
        self._settings, self._clock_ns = settings, clock_ns
        self._truth: Truth | None = None
        self._driver: asyncio.Task[None] | None = None
        legs = self.market.legs.values()
        self._texts: dict[BookKey, LevelText] = {
            leg.listing.key: LevelText(leg.listing, "0" if leg.listing.venue == BYBIT else None) for leg in legs
        }
        self._binance = {name: self._binance_sockets(name) for name in (SPOT, PERP)}
        self._bybit = {name: self._bybit_sockets(name) for name in (SPOT, PERP)}
        self._histories = self._make_histories()
        self._hosts = self._make_hosts()

    async def __aenter__(self) -> "Simulator":
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Open the ports and start the market."""
        self._truth = Truth(self._settings.truth_file)
        base = self._settings.port_base
        try:
            for offset, host in enumerate(self._hosts.values()):
                await host.start(0 if base is None else base + offset)
        except BaseException:
            await self.stop()
            raise
        self._driver = asyncio.create_task(self._drive())

    async def stop(self) -> None:
        """Stop the market, close all connections and ports, and finish the truth file."""
        if self._driver is not None:
            self._driver.cancel()
            await asyncio.wait({self._driver})
        # A client that has gone already cannot be told; its own handler ends the session.
        await asyncio.gather(*(session.close() for session in self._sessions()), return_exceptions=True)
        await stop_all(list(self._hosts.values()))
        if self._truth is not None:
            self._truth.close(self._clock_ns())
        if self._driver is not None and not self._driver.cancelled():
            self._driver.result()

    @property
    def urls(self) -> dict[str, str]:
        """The addresses by the names of the settings that a producer reads them from."""
        spot, perp, bybit = (self._hosts[name] for name in ("binance_spot", "binance_perp", "bybit"))
        return {
            "BINANCE_SPOT_WS_URL": spot.url("ws"),
            "BINANCE_SPOT_REST_URL": spot.url("http"),
            "BINANCE_PERP_WS_URL": perp.url("ws"),
            "BINANCE_PERP_REST_URL": perp.url("http"),
            "BYBIT_WS_URL": bybit.url("ws"),
            "BYBIT_REST_URL": bybit.url("http"),
        }

    @property
    def control_url(self) -> str:
        """The address of `/truth`."""
        return self._hosts["control"].url("http")

    @property
    def truth(self) -> list[dict[str, Any]]:
        """The episodes so far, the running ones with `end_ns` None."""
        return [] if self._truth is None else [dict(episode) for episode in self._truth.episodes]

    def true_book(self, venue: str, market: str, symbol: str, sequence: int) -> TrueBook:
        """The book at a sequence (Binance: all levels at an update id; Bybit: the 50-level window at its `u`).

        LookupError if the symbol is not listed or the sequence is too old.
        """
        key = venue, market, symbol
        bids, asks = self._histories[key].at(sequence)
        text = self._texts[key]
        return TrueBook(
            [(text.price(price), text.size(bids[price])) for price in sorted(bids, reverse=True)],
            [(text.price(price), text.size(asks[price])) for price in sorted(asks)],
        )

    def skip_next_frame(self, venue: str, market: str, symbol: str) -> None:
        """Lose the next depth frame of one book on its way to the clients."""
        self.faults.skip_next_frame((venue, market, symbol))

    async def drop_connections(self, venue: str, market: str) -> int:
        """Cut all websockets of a venue's market without a closing handshake; how many there were."""
        sessions = list(self._sockets(venue, market).sessions)
        for session in sessions:
            session.abort()
        return len(sessions)

    async def wait(self, asked: asyncio.Event) -> None:
        """Run until asked to end; a market that fails ends it with its error."""
        assert self._driver is not None, "start it first"
        waiting = asyncio.create_task(asked.wait())
        try:
            await asyncio.wait({waiting, self._driver}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
        if self._driver.done():
            self._driver.result()

    async def _drive(self) -> None:
        """Step the market along the wall clock; the path depends on the number of steps alone."""
        loop = asyncio.get_running_loop()
        due_s = loop.time()
        while True:
            due_s = max(due_s + STEP_MS / 1000, loop.time() - _LAG_S_MAX)
            await asyncio.sleep(max(0.0, due_s - loop.time()))
            self._step(self._clock_ns())

    def _step(self, now_ns: int) -> None:
        result = self.market.step()
        for leg, update in result.updates:
            if leg.listing.venue == BINANCE:
                self._histories[leg.listing.key].add(update.last_id, update.changes)
        for binance in self._binance.values():
            binance.publish(result, self.market.index, now_ns)
        for bybit in self._bybit.values():
            bybit.publish(self.market.index, now_ns)
        self._note_episodes(result.began, result.ended, now_ns)

    def _note_episodes(self, began: list[Any], ended: list[Any], now_ns: int) -> None:
        if self._truth is not None:
            for plan, judgement in began:
                self._truth.begin(plan, judgement, now_ns)
            for plan in ended:
                self._truth.end(plan, now_ns)

    def _sockets(self, venue: str, market: str) -> BinanceSockets | BybitSockets:
        return (self._binance if venue == BINANCE else self._bybit)[market]

    def _sessions(self) -> list[Session]:
        binance = [session for sockets in self._binance.values() for session in sockets.sessions]
        return [*binance, *(session for sockets in self._bybit.values() for session in sockets.sessions)]

    def _binance_sockets(self, name: str) -> BinanceSockets:
        return BinanceSockets(name, self.market, self._texts, self._settings, self.faults)

    def _bybit_sockets(self, name: str) -> BybitSockets:
        return BybitSockets(name, self.market, self._texts, self._settings, self.faults, self._clock_ns)

    def _make_histories(self) -> dict[BookKey, BookHistory]:
        histories = self._bybit[SPOT].histories | self._bybit[PERP].histories
        for key, leg in self.market.legs.items():
            if leg.listing.venue == BINANCE:
                bids, asks = leg.book.bids.top(LEVELS), leg.book.asks.top(LEVELS)
                histories[key] = BookHistory(leg.book.last_id, bids, asks, self._settings.history_updates_max)
        return histories

    def _make_hosts(self) -> dict[str, Host]:
        spot = BinanceRest(SPOT, self.market, self._texts, self._clock_ns)
        perp = BinanceRest(PERP, self.market, self._texts, self._clock_ns)
        bybit = BybitRest(self.market, self._texts, self._bybit, self._clock_ns)
        routes: dict[str, list[Callable[[web.Application], None]]] = {
            "binance_spot": [spot.add_routes, self._binance[SPOT].add_routes],
            "binance_perp": [perp.add_routes, self._binance[PERP].add_routes],
            "bybit": [bybit.add_routes, self._bybit[SPOT].add_routes, self._bybit[PERP].add_routes],
            "control": [self._add_control_routes],
        }
        return {name: Host(name, adds) for name, adds in routes.items()}

    def _add_control_routes(self, app: web.Application) -> None:
        app.router.add_get("/truth", self._serve_truth)

    async def _serve_truth(self, request: web.Request) -> web.Response:
        return web.Response(body=orjson.dumps({"episodes": self.truth}), content_type="application/json")
