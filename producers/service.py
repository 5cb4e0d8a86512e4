"""A producer process put together: topics, publisher, registry, and the roster of its connections."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

import aiohttp

from mts_stream.domain.instrument import PairListing
from mts_stream.errors import BadRecordError, KafkaUnavailableError
from mts_stream.logs import get_logger
from mts_stream.settings import Settings
from mts_stream.wire.envelope import decode_envelope
from mts_stream.wire.kafka import create_topics
from producers.backoff import Backoff
from producers.clock import SlewedClock
from producers.connection import Connection
from producers.feeds import Feed
from producers.publisher import Publisher
from producers.records import RecordSink
from producers.registry import Registry
from producers.registry_reader import PublishedListings
from producers.rest import rest_clients
from producers.roster import Roster
from producers.shard import Shard
from producers.threads import in_thread

WATCH_S = 0.2
FLUSH_S = 2.5
CLOSE_S = 1.0
FOLLOW_S = 2.0
RAW_KINDS = ("frame", "keyframe", "snapshot", "status", "registry")

log = get_logger(__name__)


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
        self.listings: list[PairListing] = []
        self._published = PublishedListings(settings)
        self._roster = Roster(settings, self.publisher, self.clock)
        self.unconfirmed = 0

    @property
    def shards(self) -> list[Shard]:
        """The shards, each with its connection, and its successor while there is one."""
        return self._roster.shards

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
        clients = rest_clients(self.settings, session)
        registry = Registry(clients, self.publisher, self.clock)
        self.listings = await self._listings(registry)
        self._roster.build(clients, self.listings)
        self.ready.set()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._roster.run())
            tasks.create_task(self._keep_up(registry))

    async def _keep_up(self, registry: Registry) -> None:
        """Hear what the registry says while this process runs: our own, or its owner's."""
        if self.owns_registry:
            await registry.run(self.settings.registry_interval_s, self._on_listings)
        else:
            await self._follow_registry()

    async def _ensure_topics(self) -> None:
        backoff = Backoff(base_s=1.0, cap_s=10.0)
        while True:
            try:
                created = await in_thread(lambda: create_topics(self.settings))
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
                return await in_thread(self._published.read)
            except KafkaUnavailableError as error:
                log.warning("waiting for Kafka", error=str(error))
            await asyncio.sleep(backoff.next_s())

    async def _follow_registry(self) -> None:
        """Take up what the registry's owner publishes; while Kafka is away everything stays as it is."""
        while True:
            await asyncio.sleep(FOLLOW_S)
            try:
                self._on_listings(await in_thread(self._published.read))
            except KafkaUnavailableError as error:
                log.warning("the registry cannot be read", error=str(error))

    def _on_listings(self, listings: list[PairListing]) -> None:
        self.listings = listings
        self._roster.on_listings(listings)

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
