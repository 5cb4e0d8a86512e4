"""Which connection has which symbols: shards made of the registry's first word, and kept in step with what it says."""

import asyncio
from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

from mts_stream.domain.instrument import PairListing
from mts_stream.exchanges import MARKETS
from mts_stream.exchanges.venue import SocketRoute, VenueMarket
from mts_stream.settings import Settings
from producers.clock import SlewedClock
from producers.clock_watch import ClockWatch, clock_watches
from producers.connection import Connection
from producers.feeds import Feed
from producers.pacing import AttemptPace
from producers.records import RecordSink, RecordWriter
from producers.registry import symbols_of, traded_symbols
from producers.rest import RestClient
from producers.resync import SnapshotScheduler
from producers.shard import CHANGE_AT, Line, Shard
from producers.sharding import shards
from producers.shared import SharedParts


class Roster:
    """All connections of a process, with what those of a market share; told listings, runs until cancelled."""

    def __init__(self, settings: Settings, sink: RecordSink, clock: SlewedClock) -> None:
        self.shards: list[Shard] = []
        self._settings, self._sink, self._clock = settings, sink, clock
        self._schedulers: dict[VenueMarket, SnapshotScheduler] = {}
        self._ranks: dict[VenueMarket, dict[str, int]] = {market: {} for market in MARKETS}
        self._shared: dict[VenueMarket, SharedParts] = {}
        self._clocks: dict[str, ClockWatch] = {}
        self._attempts: dict[str, AttemptPace] = {}
        self._tasks: asyncio.TaskGroup | None = None

    def build(self, clients: Sequence[RestClient], listings: Sequence[PairListing]) -> None:
        """Make the connections for what the registry lists at the start."""
        self._clocks = clock_watches(clients, self._clock.now_ns)
        for client in clients:
            market = client.market
            symbols = symbols_of(listings, market.venue, market.market)
            self._rank(market, symbols)
            scheduler = SnapshotScheduler(client, self._ranks[market], self._clock.now_ns)
            self._schedulers[market] = scheduler
            self._shared[market] = SharedParts(self._sink, scheduler, client.budget, self._clocks[client.base_url])
            for route in market.routes:
                parts = shards(market, route, symbols, self._settings.symbols_per_connection)
                self.shards += [self._shard(market, route, number, pairs) for number, pairs in enumerate(parts)]

    async def run(self) -> None:
        """Keep everything connected, what joins later too; raises what a task raises."""
        work = [scheduler.run() for scheduler in self._schedulers.values()]
        work += [clock.run() for clock in self._clocks.values()]
        work += [shard.run() for shard in self.shards]
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            for job in work:
                tasks.create_task(job)

    def on_listings(self, listings: Sequence[PairListing]) -> None:
        """The registry has spoken, and its records are on their way: take up what joins, leave what ended."""
        for market in MARKETS:
            traded = traded_symbols(listings, market.venue, market.market)
            self._rank(market, traded)
            for route in market.routes:
                self._take_up(market, route, traded)
            for shard in self._shards_of(market):
                if shard.heir is None:  # one that is being changed hears the next word of the registry
                    shard.leading.feed.follow(traded.keys())

    def _take_up(self, market: VenueMarket, route: SocketRoute, traded: dict[str, str]) -> None:
        """Give each new symbol to the connection that has room for it, or to a new one."""
        known = {symbol for shard in self._shards_of(market, route) for symbol in shard.leading.feed.pairs}
        for symbol, pair in traded.items():
            if symbol not in known and not self._give(market, route, symbol, pair):
                shard = self._shard(market, route, len(self._shards_of(market, route)), {symbol: pair})
                self.shards.append(shard)
                if self._tasks is not None:
                    self._tasks.create_task(shard.run())

    def _give(self, market: VenueMarket, route: SocketRoute, symbol: str, pair: str) -> bool:
        for shard in self._shards_of(market, route):
            feed = shard.leading.feed
            parts = shards(market, route, {**feed.pairs, symbol: pair}, self._settings.symbols_per_connection)
            if shard.heir is None and len([*parts]) == 1:
                feed.take_up({symbol: pair})
                return True
        return False

    def _shards_of(self, market: VenueMarket, route: SocketRoute | None = None) -> list[Shard]:
        feeds = [(shard, shard.leading.feed) for shard in self.shards]
        return [shard for shard, feed in feeds if feed.market is market and route in (None, feed.route)]

    def _rank(self, market: VenueMarket, symbols: Iterable[str]) -> None:
        self._ranks[market].update({symbol: rank for rank, symbol in enumerate(symbols)})

    def _shard(self, market: VenueMarket, route: SocketRoute, number: int, pairs: dict[str, str]) -> Shard:
        settings, sink = self._settings, self._sink
        url = getattr(settings, f"{market.host}_ws_url") + route.path
        limits, attempts = market.socket_limits, self._attempts_of(market, url)
        scheduler, shared = self._schedulers[market], self._shared[market]

        def make(conn: str, old: Feed | None) -> Line:
            writer = RecordWriter(sink, conn, market.venue, market.market, route.channels[0], settings.partitions)
            feed = old.heir(writer) if old else Feed(
                market, route, writer, sink, pairs, scheduler, settings.keyframe_interval_s, shared.look
            )  # fmt: skip
            connection = Connection(
                conn, url, feed, self._clock, limits.messages_per_s, attempts, lambda: sink.has_room
            )  # fmt: skip
            return Line(connection, feed)

        change_after_s = settings.connection_life_s or (limits.life_s and limits.life_s * CHANGE_AT)
        return Shard(f"{market.venue}-{market.market}-{route.name}-{number}", make, change_after_s)

    def _attempts_of(self, market: VenueMarket, url: str) -> AttemptPace:
        """One pace per host, whatever markets it serves."""
        host, limits = urlsplit(url).netloc, market.socket_limits
        return self._attempts.setdefault(host, AttemptPace(host, limits.attempts, limits.attempts_window_s))
