"""The tables anew out of the result topics: read, stored beside the old ones, compared, and exchanged.

    replayed captures -+
    mts.signals ... ---+-> signals_rebuild --+ what only the old table has (past the topics' retention)
                           signals ----------+
                           EXCHANGE TABLES signals AND signals_rebuild; the old one is dropped

The same messages become the same rows as in the sink. It must not run meanwhile: what it stored between the comparison
and the exchange would be lost with the old table. Where a topic has a result too, its row stays, not a capture's: the
topic has what was sent.
"""

import asyncio
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

from mts_stream.clickhouse.lock import MigrationLock, migration_lock
from mts_stream.clickhouse.runner import apply_migrations
from mts_stream.clickhouse.swap import Digest, Swap
from mts_stream.errors import BadRecordError, StoreError, UsageError
from mts_stream.logs import get_logger
from mts_stream.replay.running import FILE_OF
from mts_stream.settings import Settings
from mts_stream.sinks.batching import Batch, Batcher, Delivery, Limits
from mts_stream.sinks.clickhouse import Store
from mts_stream.sinks.rows import COLUMNS, FEEDS, Row, by_table, rows_of
from mts_stream.wire import topics
from mts_stream.wire.kafka import Reader, group_members

LOCK_WAIT_S = 120.0
CHUNK_RECORDS = 2000
BATCH_NS_MAX = 10**18  # a batch ends by its rows and bytes alone: nobody waits for it

OnProgress = Callable[[int, int], None]
Item = TypeVar("Item")
log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """A table before and after: `read` rows are from topics and captures, the others were carried over."""

    table: str
    before: Digest
    read: int
    after: Digest

    @property
    def equal(self) -> bool:
        """Whether the store held exactly these results already."""
        return self.before == self.after


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a rebuild; `refused` messages fit no table, as in the sink, and stand in mts.dlq since.

    `records` are those of the topics, `replayed` the results of captures.
    """

    tables: list[Rebuilt]
    records: int
    refused: int
    replayed: int = 0


async def rebuild(
    settings: Settings, tables: frozenset[str], *, from_ms: int | None, on_progress: OnProgress,
    replayed: Path | None = None,
) -> Outcome:  # fmt: skip
    """Rebuild tables out of what their topics hold from a time on. Raises UsageError while the sink runs, StoreError.

    `on_progress` hears of the records read, and of how many there are; `replayed` is the folder of a replay.
    """
    await asyncio.to_thread(refuse_while_the_sink_runs, settings)
    store = Store(settings)
    try:
        await apply_migrations(store, wait_s=LOCK_WAIT_S)
        async with migration_lock(store, wait_s=LOCK_WAIT_S) as lock:
            swaps = [Swap(store, table) for table in COLUMNS if table in tables]
            try:
                return await _rebuild(_Filling(store, swaps, lock, on_progress), swaps, from_ms, replayed)
            finally:
                for swap in swaps:
                    with suppress(StoreError):  # the next run drops it; what went wrong before is what matters
                        await swap.drop()
    finally:
        await store.close()


async def _rebuild(filling: "_Filling", swaps: list[Swap], from_ms: int | None, replayed: Path | None) -> Outcome:
    settings = filling.store.settings
    for swap in swaps:
        await swap.make()
    names = {swap.table for swap in swaps}
    wanted = [topic for topic, filled in FEEDS.items() if names & set(filled)]
    if replayed is not None:
        for topic in wanted:
            await filling.take(topic, replayed / FILE_OF[topic])
    with Reader(settings, wanted, from_ms=from_ms) as reader:
        await filling.read(reader)
    rebuilt = []
    for swap in swaps:
        await filling.lock.renew()
        read = (await swap.digest(swap.fresh)).rows
        await swap.carry_over()
        rebuilt.append(Rebuilt(swap.table, await swap.digest(swap.table), read, await swap.digest(swap.fresh)))
    await asyncio.to_thread(refuse_while_the_sink_runs, settings)
    for swap in swaps:
        await swap.exchange()
        log.info("table_rebuilt", table=swap.table)
    return Outcome(rebuilt, filling.records, filling.refused, filling.replayed)


class _Filling:
    """Stores messages in the fresh tables, as the sink does in the standing ones."""

    def __init__(self, store: Store, swaps: list[Swap], lock: MigrationLock, on_progress: OnProgress) -> None:
        self.store = store
        self.lock = lock
        self.records = self.refused = self.replayed = 0
        self._fresh = {swap.table: swap.fresh for swap in swaps}
        self._on_progress = on_progress
        self._run = secrets.token_hex(8)

    async def take(self, topic: str, results: Path) -> None:
        """The results of a topic that a replay wrote, from offset 0: what the topic itself has stays over them."""
        with results.open("rb") as lines:
            while chunk := await asyncio.to_thread(_take, lines):
                deliveries = [Delivery(0, 0, line.rstrip(b"\n")) for line in chunk]
                await self._insert(topic, deliveries, f"rebuild-{self._run}-{results.name}-{self.replayed}")
                self.replayed += len(chunk)

    async def read(self, reader: Reader) -> None:
        """Everything up to the end that stands now."""
        settings = self.store.settings
        limits = Limits(settings.sink_batch_rows, settings.sink_batch_bytes, BATCH_NS_MAX)
        batchers = {topic: Batcher(topic, limits) for topic in reader.topics}
        records = reader.read_to_end()
        self._on_progress(0, reader.ahead)
        while chunk := await asyncio.to_thread(_take, records):
            for record in chunk:
                delivery = Delivery(record.partition, record.offset, record.value)
                await self._store(batchers[record.topic].on_event(delivery, 0))
            self.records += len(chunk)
            self._on_progress(self.records, reader.ahead)
        for batcher in batchers.values():
            await self._store(batcher.flush())

    async def _store(self, batches: list[Batch]) -> None:
        for batch in batches:
            await self._insert(batch.topic, batch.deliveries, f"rebuild-{batch.token(self._run)}")

    async def _insert(self, topic: str, deliveries: Sequence[Delivery], token: str) -> None:
        await self.lock.renew()
        rows: list[Row] = []
        for delivery in deliveries:
            try:
                rows += rows_of(topic, delivery)
            except BadRecordError:
                self.refused += 1
        tables = by_table(rows)
        for table in self._fresh.keys() & tables.keys():
            await self.store.insert(self._fresh[table], COLUMNS[table], tables[table], token)


def _take(items: Iterator[Item]) -> list[Item]:
    return list(islice(items, CHUNK_RECORDS))


def refuse_while_the_sink_runs(settings: Settings) -> None:
    """Raise UsageError where the sink's group has members."""
    members = group_members(settings, topics.SINK_GROUP)
    if members:
        who = f"group {topics.SINK_GROUP} has {members} member(s)"
        raise UsageError(f"the sink runs ({who}): stop it, then rebuild; Kafka keeps the results meanwhile")
