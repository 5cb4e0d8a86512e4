"""The simulator as a whole: a market behind two exchanges' servers, moved on by the wall clock.

wall clock -> FaultDirector.step -> World.step -> truth file
"""

import asyncio
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

from producers.simulator.control import control_routes
from producers.simulator.faults.active import Fault
from producers.simulator.faults.director import FaultDirector
from producers.simulator.history import Sides
from producers.simulator.hosts import stop_all
from producers.simulator.market import Market
from producers.simulator.settings import STEP_MS, SimulatorSettings
from producers.simulator.truth import Truth
from producers.simulator.universe import BookKey
from producers.simulator.world import TrueBook, World

_LAG_S_MAX = 0.5
"""Behind the clock by more than this, the market waits instead of flooding its clients with the past."""

_SKIP_WITHIN_S = 600.0


class Simulator:
    """Two simulated venues on loopback; `async with` starts and ends them."""

    def __init__(
        self,
        settings: SimulatorSettings,
        clock_ns: Callable[[], int] = time.time_ns,
        on_step: Callable[[int], None] = lambda now_ns: None,
    ) -> None:
        """`on_step` is told the time after each step, when everything that it makes due is on its way."""
        self._settings, self._clock_ns, self._on_step = settings, clock_ns, on_step
        self._world = World(settings, clock_ns, control_routes(self))
        self._director = FaultDirector(self._world, settings, clock_ns)
        if "listing" in settings.faults:
            self.hide(self._world.market.pairs[-1].pair)  # the one that the schedule lists
        self._truth: Truth | None = None
        self._driver: asyncio.Task[None] | None = None

    @property
    def market(self) -> Market:
        """The market behind the venues."""
        return self._world.market

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
            self._director.start()
            for offset, host in enumerate(self._world.hosts.values()):
                await host.start(0 if base is None else base + offset)
        except BaseException:
            await self.stop()
            raise
        self._driver = asyncio.create_task(self._drive())

    async def stop(self) -> None:
        """Stop the market, close all connections and ports, and finish the truth files."""
        if self._driver is not None:
            self._driver.cancel()
            await asyncio.wait({self._driver})
        # A client that has gone already cannot be told; its own handler ends the session.
        await asyncio.gather(*(session.close() for session in self._world.sessions()), return_exceptions=True)
        await stop_all(list(self._world.hosts.values()))
        self._director.stop()
        if self._truth is not None:
            self._truth.close(self._clock_ns())
        if self._driver is not None and not self._driver.cancelled():
            self._driver.result()

    @property
    def urls(self) -> dict[str, str]:
        """The addresses by the names of the settings that a producer reads them from."""
        spot, perp, bybit = (self._world.hosts[name] for name in ("binance_spot", "binance_perp", "bybit"))
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
        """The address of `/truth`, `/faults` and `/book`."""
        return self._world.hosts["control"].url("http")

    @property
    def truth(self) -> list[dict[str, Any]]:
        """The episodes so far, the running ones with `end_ns` None."""
        return [] if self._truth is None else [dict(episode) for episode in self._truth.episodes]

    @property
    def fault_truth(self) -> list[dict[str, Any]]:
        """The faults so far, the running ones with `end_ns` None; `hits` says how often a client met it."""
        return self._director.rows

    def true_book(self, venue: str, market: str, symbol: str, sequence: int, epoch: int | None = None) -> TrueBook:
        """The book at a sequence (Binance: all levels at an update id; Bybit: the 50-level window at its `u`).

        Of the newest epoch that holds the sequence, if none is given; LookupError if the symbol is not listed or the
        sequence is too old.
        """
        return self._world.true_book((venue, market, symbol), sequence, epoch)

    def true_books(self, venue: str, market: str, symbol: str, sequence: int) -> list[TrueBook]:
        """The books at a sequence in each epoch that holds it, newest first; LookupError if it is not listed."""
        key = venue, market, symbol
        return [self._world.true_book(key, sequence, epoch) for epoch in self.epochs_of(key, sequence)]

    def true_sides(self, key: BookKey, sequence: int, epoch: int) -> Sides:
        """As `true_book`, in whole ticks and lots: sizes by price, bids then asks."""
        return self._world.histories[key].at(sequence, epoch)

    def epochs_of(self, key: BookKey, sequence: int) -> list[int]:
        """The epochs of a book that hold this sequence, newest first; LookupError if it is not listed."""
        return self._world.histories[key].epochs_of(sequence)

    def position(self, key: BookKey) -> tuple[int, int]:
        """Epoch and sequence of a book as it is now; LookupError if it is not listed."""
        epochs = self._world.histories[key]
        return epochs.epoch, epochs.current.last_sequence

    def multiplier(self, venue: str, market: str, symbol: str) -> int:
        """How many units of the asset one of the symbol's holds; LookupError if it is not listed."""
        return self._world.market.legs[venue, market, symbol].listing.multiplier

    def epoch(self, venue: str, market: str, symbol: str) -> int:
        """How often the book's sequence has begun anew."""
        return self._world.histories[venue, market, symbol].epoch

    def inject(
        self,
        name: str,
        venue: str,
        market: str | None = None,
        symbol: str | None = None,
        *,
        duration_s: float | None = None,
        **params: Any,
    ) -> Fault:
        """Begin a fault of the catalogue now, at one book, a market or (None) all of a venue's.

        `duration_s` and parameters have the catalogue's defaults; ValueError for what the catalogue does not hold.
        """
        return self._director.inject(name, venue, market, symbol, duration_s, params)

    def hide(self, pair: str) -> None:
        """Make a pair one that no venue lists yet, before anybody asked for it; the fault `listing` lists it."""
        for leg in self._world.market.legs_of_pair(pair):
            leg.is_listed = False

    def skip_next_frame(self, venue: str, market: str, symbol: str) -> None:
        """Lose the next depth frame of one book on its way to the clients."""
        self.inject("lost_frames", venue, market, symbol, duration_s=_SKIP_WITHIN_S, frames=1)

    async def drop_connections(self, venue: str, market: str) -> int:
        """Cut all websockets of a venue's market without a closing handshake; how many there were."""
        sessions = self._world.sessions(venue, market)
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
            await self._step(self._clock_ns())

    async def _step(self, now_ns: int) -> None:
        await self._director.step(now_ns)
        result = self._world.step(now_ns)
        if self._truth is not None:
            for plan, judgement in result.began:
                self._truth.begin(plan, judgement, now_ns)
            for plan in result.ended:
                self._truth.end(plan, now_ns)
        self._on_step(now_ns)
