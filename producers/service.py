"""A producer process put together: topics, publisher, registry, one feed and connection per venue, market and shard."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any, TypeVar
from urllib.parse import urlsplit

import aiohttp

from mts_stream.domain.instrument import PairListing
from mts_stream.errors import BadRecordError, KafkaUnavailableError
from mts_stream.exchanges import MARKETS
from mts_stream.exchanges.venue import SocketRoute, VenueMarket
from mts_stream.logs import get_logger
from mts_stream.settings import Settings
from mts_stream.wire.envelope import decode_envelope
from mts_stream.wire.kafka import create_topics
from producers.backoff import Backoff
from producers.clock import SlewedClock
from producers.clock_watch import ClockWatch, clock_watches
from producers.connection import Connection
from producers.feeds import Feed
from producers.pacing import AttemptPace
from producers.publisher import Publisher
from producers.records import RecordSink, RecordWriter
from producers.registry import Registry, symbols_of, traded_symbols
from producers.registry_reader import PublishedListings
from producers.rest import RestClient, rest_clients
from producers.resync import SnapshotScheduler
from producers.shard import CHANGE_AT, Line, Shard
from producers.sharding import shards
from producers.shared import SharedParts

WATCH_S = 0.2
FLUSH_S = 2.5
CLOSE_S = 1.0
FOLLOW_S = 2.0
RAW_KINDS = ("frame", "keyframe", "snapshot", "status", "registry")

log = get_logger(__name__)

T = TypeVar("T")


class ProducerService:
    """Runs until `stop` is set; `ready` is set when the connections are being kept."""

    def __init__(
        self, settings: Settings, *, owns_registry: bool = True, publisher: RecordSink | None = None
    ) -> None:  # fmt: skip
        """`publisher` takes the records instead of Kafka, which is then not asked for anything."""
        self.settings, self.owns_registry = settings, owns_registry
        self.ready = asyncio.Event()
        self.clock = SlewedClock()
        self._has_topics = publisher is None
        self.publisher: RecordSink = publisher or Publisher(settings, self._on_lost)
        self.shards: list[Shard] = []
        self.listings: list[PairListing] = []
        self._published = PublishedListings(settings)
        self._schedulers: dict[VenueMarket, SnapshotScheduler] = {}
        self._ranks: dict[VenueMarket, dict[str, int]] = {market: {} for market in MARKETS}
        self._tasks: asyncio.TaskGroup | None = None
        self._shared: dict[VenueMarket, SharedParts] = {}
        self._clocks: dict[str, ClockWatch] = {}
        self._attempts: dict[str, AttemptPace] = {}
        self.unconfirmed = 0

    @property
    def connections(self) -> dict[str, Connection]:
        """The connections by their names."""
        return {line.connection.name: line.connection for shard in self.shards for line in shard.lines}

    @property
    def feeds(self) -> dict[str, Feed]:
        """The feeds by the names of their connections."""
        return {line.connection.name: line.feed for shard in self.shards for line in shard.lines}

    async def run(self, stop: asyncio.Event) -> None:
        """Produce until told to stop, then say `down`, flush and close; raises what a task raises."""
        serving = asyncio.create_task(self.publisher.run())
        try:
            async with aiohttp.ClientSession() as session:
                await _until(stop, [self._produce(session), self._watch()])
        finally:
            await self._close(serving)

    async def _produce(self, session: aiohttp.ClientSession) -> None:
        if self._has_topics:
            await self._ensure_topics()
        clients = self._clients(session)
        registry = Registry(list(clients.values()), self.publisher, self.clock)
        self.listings = await self._listings(registry)
        self._build(clients)
        work = [scheduler.run() for scheduler in self._schedulers.values()]
        work += [clock.run() for clock in self._clocks.values()]
        work += [shard.run() for shard in self.shards]
        if self.owns_registry:
            work.append(registry.run(self.settings.registry_interval_s, self._on_listings))
        else:
            work.append(self._follow_registry())
        self.ready.set()
        async with asyncio.TaskGroup() as group:
            self._tasks = group
            for job in work:
                group.create_task(job)

    async def _ensure_topics(self) -> None:
        backoff = Backoff(base_s=1.0, cap_s=10.0)
        while True:
            try:
                created = await _in_thread(lambda: create_topics(self.settings))
            except KafkaUnavailableError as error:
                log.warning("waiting for Kafka", error=str(error))
                await asyncio.sleep(backoff.next_s())
                continue
            if created:
                log.info("topics created", topics=created)
            return

    async def _listings(self, registry: Registry) -> list[PairListing]:
        if not self.owns_registry:
            return await self._published_listings()
        await registry.start(self.settings.pairs, self.settings.pairs_top)
        if self._has_topics:
            registry.withdraw(await self._read_published())
            self._published.close()
        registry.publish()
        return registry.listings

    async def _published_listings(self) -> list[PairListing]:
        """Another process owns the registry: publish only what it lists."""
        backoff = Backoff(base_s=1.0, cap_s=10.0)
        while True:
            listings = await self._read_published()
            if any(listing.legs for listing in listings):
                return listings
            log.warning("waiting for the registry's first records in mts.instruments")
            await asyncio.sleep(backoff.next_s())

    async def _read_published(self) -> list[PairListing]:
        """What `mts.instruments` holds, as soon as Kafka answers."""
        backoff = Backoff(base_s=1.0, cap_s=10.0)
        while True:
            try:
                return await _in_thread(self._published.read)
            except KafkaUnavailableError as error:
                log.warning("waiting for Kafka", error=str(error))
            await asyncio.sleep(backoff.next_s())

    async def _follow_registry(self) -> None:
        """Take up what the registry's owner publishes; while Kafka is away everything stays as it is."""
        while True:
            await asyncio.sleep(FOLLOW_S)
            try:
                self._on_listings(await _in_thread(self._published.read))
            except KafkaUnavailableError as error:
                log.warning("the registry cannot be read", error=str(error))

    def _clients(self, session: aiohttp.ClientSession) -> dict[VenueMarket, RestClient]:
        return {client.market: client for client in rest_clients(self.settings, session)}

    def _build(self, clients: dict[VenueMarket, RestClient]) -> None:
        self._clocks = clock_watches(clients.values(), self.clock.now_ns)
        for market in MARKETS:
            symbols = symbols_of(self.listings, market.venue, market.market)
            self._rank(market, symbols)
            scheduler = SnapshotScheduler(clients[market], self._ranks[market], self.clock.now_ns)
            self._schedulers[market] = scheduler
            clock = self._clocks[clients[market].base_url]
            self._shared[market] = SharedParts(self.publisher, scheduler, clients[market].budget, clock)
            for route in market.routes:
                parts = shards(market, route, symbols, self.settings.symbols_per_connection)
                self.shards += [self._shard(market, route, number, pairs) for number, pairs in enumerate(parts)]

    def _rank(self, market: VenueMarket, symbols: Iterable[str]) -> None:
        self._ranks[market].update({symbol: rank for rank, symbol in enumerate(symbols)})

    def _shard(self, market: VenueMarket, route: SocketRoute, number: int, pairs: dict[str, str]) -> Shard:
        url = getattr(self.settings, f"{market.host}_ws_url") + route.path
        limits, attempts = market.socket_limits, self._attempts_of(market, url)
        scheduler, shared = self._schedulers[market], self._shared[market]

        def make(conn: str, old: Feed | None) -> Line:
            writer = RecordWriter(
                self.publisher, conn, market.venue, market.market, route.channels[0], self.settings.partitions
            )
            feed = old.heir(writer) if old else Feed(
                market, route, writer, self.publisher, pairs, scheduler, self.settings.keyframe_interval_s, shared.look
            )  # fmt: skip
            connection = Connection(
                conn, url, feed, self.clock, limits.messages_per_s, attempts, lambda: self.publisher.has_room
            )
            return Line(connection, feed)

        change_after_s = self.settings.connection_life_s or (limits.life_s and limits.life_s * CHANGE_AT)
        return Shard(f"{market.venue}-{market.market}-{route.name}-{number}", make, change_after_s)

    def _attempts_of(self, market: VenueMarket, url: str) -> AttemptPace:
        """One pace per host, whatever markets it serves."""
        host, limits = urlsplit(url).netloc, market.socket_limits
        return self._attempts.setdefault(host, AttemptPace(host, limits.attempts, limits.attempts_window_s))

    def _on_listings(self, listings: list[PairListing]) -> None:
        """The registry has spoken, and its records are on their way: take up what joins, leave what ended."""
        self.listings = listings
        for market in MARKETS:
            traded = traded_symbols(listings, market.venue, market.market)
            self._rank(market, traded)
            for route in market.routes:
                self._take_up(market, route, traded)
            for shard in self._shards_of(market):
                if shard.heir is None:  # one that is being changed hears the next word of the registry
                    shard.leading.feed.follow(traded.keys())

    def _shards_of(self, market: VenueMarket, route: SocketRoute | None = None) -> list[Shard]:
        feeds = [(shard, shard.leading.feed) for shard in self.shards]
        return [shard for shard, feed in feeds if feed.market is market and route in (None, feed.route)]

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
            parts = shards(market, route, {**feed.pairs, symbol: pair}, self.settings.symbols_per_connection)
            if shard.heir is None and len([*parts]) == 1:
                feed.take_up({symbol: pair})
                return True
        return False

    def _on_lost(self, value: bytes) -> None:
        """A record did not reach Kafka: nothing of its connection's generation may follow it."""
        try:
            envelope = decode_envelope(value)
        except BadRecordError as error:  # we wrote it: a bug, and no reason to stop the others
            log.error("lost a record that cannot be read", error=str(error))
            return
        if (feed := self.feeds.get(envelope.conn)) is not None:
            feed.on_undelivered(envelope.gen)

    async def _watch(self) -> None:
        """Give connections up when Kafka has taken nothing for too long; keep the metrics up to date."""
        while True:
            await asyncio.sleep(WATCH_S)
            self.publisher.count()
            if self.publisher.stalled_s > self.settings.producer_stalled_s:
                for shard in self.shards:
                    shard.drop("backpressure")

    async def _close(self, serving: "asyncio.Task[None]") -> None:
        for shard in self.shards:
            shard.close("stopped")
        self.unconfirmed = await self.publisher.flush(FLUSH_S)
        serving.cancel()
        if self.unconfirmed:
            log.error("records not confirmed at the end", count=self.unconfirmed)

    def summary(self) -> dict[str, Any]:
        """What was published, confirmed by Kafka; `published` counts records of the raw log."""
        confirmed = self.publisher.confirmed
        return {
            "published": sum(confirmed[kind] for kind in RAW_KINDS),
            "by_kind": dict(sorted(confirmed.items())),
            "pairs": len(self.listings),
            "lost": self.publisher.lost,
            "unconfirmed": self.unconfirmed,
        }


async def _until(stop: asyncio.Event, jobs: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Run the jobs until told to stop or until one fails; all are cancelled and awaited at the end."""
    tasks = [asyncio.create_task(job) for job in (*jobs, _wait_for(stop))]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=CLOSE_S)


async def _wait_for(stop: asyncio.Event) -> None:
    await stop.wait()


async def _in_thread(work: Callable[[], T]) -> T:
    """The result of blocking work, from a thread that does not hold up the end of the process."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]

    def job() -> None:
        try:
            outcome: tuple[T | None, BaseException | None] = (work(), None)
        except Exception as error:
            outcome = (None, error)
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, *outcome)

    threading.Thread(target=job, daemon=True).start()
    return await future
