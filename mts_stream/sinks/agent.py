"""One stored topic on its way into ClickHouse: records to batches, batches to the writer, then their offsets committed.

Nothing is committed that is not stored. Around a rebalance, what is held is stored or forgotten, and records fetched
before it are not taken any more: the next owner reads them again from the committed offset.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from mts_stream.errors import KafkaUnavailableError
from mts_stream.health import WorkerHealth
from mts_stream.logs import get_logger
from mts_stream.metrics import ROWS_HELD
from mts_stream.settings import Settings
from mts_stream.sinks.batching import Batch, Batcher, Delivery, Limits, by_partition
from mts_stream.sinks.writer import Writer

CLUSTER_RETRY_S = 1.0
YIELD_S = 0.02

Records = Iterable[tuple[int, bytes | None]]  # transport.BatchRecord
Commit = Callable[[str, Mapping[int, int]], Awaitable[None]]
log = get_logger(__name__)


def limits_of(settings: Settings) -> Limits:
    """The bounds of batches, from SINK_BATCH_ROWS, SINK_BATCH_BYTES and SINK_BATCH_AGE_MS."""
    return Limits(settings.sink_batch_rows, settings.sink_batch_bytes, settings.sink_batch_age_ms * 1_000_000)


class ClusterId:
    """The Kafka cluster's id, asked for once; a new cluster begins its offsets anew, so tokens carry it."""

    def __init__(self, ask: Callable[[], str]) -> None:
        self._ask = ask
        self._known: str | None = None

    async def get(self) -> str:
        """The id; waits while no broker answers."""
        while self._known is None:
            try:
                self._known = await asyncio.to_thread(self._ask)
            except KafkaUnavailableError as error:
                log.warning("cluster_id_unknown", error=str(error))
                await asyncio.sleep(CLUSTER_RETRY_S)
        return self._known


class TopicSink:
    """Stores one topic. `generation` says which generation of the group stands now."""

    def __init__(
        self, topic: str, limits: Limits, writer: Writer, *, cluster_id: ClusterId, commit: Commit,
        generation: Callable[[], Any],
    ) -> None:  # fmt: skip
        self.topic = topic
        self._batcher = Batcher(topic, limits)
        self._writer = writer
        self._cluster_id = cluster_id
        self._commit = commit
        self._generation = generation
        self._left: Any = None  # the generation whose partitions were given back
        self._storing = asyncio.Lock()  # the agent and the clock take turns, so that offsets stay in order

    async def on_records(self, partition: int, records: Records, generation: Any) -> None:
        """Take one fetched batch; returns when what it completed is stored. Raises StoreError."""
        async with self._storing:
            yielded_at = time.monotonic()
            for offset, value in records:
                if generation == self._left or generation != self._generation():
                    return
                await self._store(self._batcher.on_event(Delivery(partition, offset, value), time.monotonic_ns()))
                if time.monotonic() - yielded_at > YIELD_S:
                    await asyncio.sleep(0)
                    yielded_at = time.monotonic()
        ROWS_HELD.labels(self.topic).set(len(self._batcher))

    async def on_time(self) -> None:
        """Store what has waited long enough. Raises StoreError."""
        async with self._storing:
            await self._store(self._batcher.on_time(time.monotonic_ns()))
        ROWS_HELD.labels(self.topic).set(len(self._batcher))

    async def leave(self, within_s: float) -> None:
        """Store what is held, if that works out in time; forget the rest, and take no more of this generation."""
        try:
            async with asyncio.timeout(within_s), self._storing:
                await self._store(self._batcher.flush())
        except TimeoutError:
            log.warning("left_unstored", topic=self.topic, records=len(self._batcher), within_s=within_s)
        finally:
            self._left = self._generation()
            self._batcher.clear()

    async def _store(self, batches: list[Batch]) -> None:
        """Partitions side by side, the batches of one in their order; then one commit of all that is stored."""
        if not batches:
            return
        cluster_id = await self._cluster_id.get()
        stored: dict[int, int] = {}
        try:
            async with asyncio.TaskGroup() as tasks:
                for group in by_partition(batches):
                    tasks.create_task(self._store_in_order(group, cluster_id, stored))
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from failed
        await self._commit(self.topic, stored)

    async def _store_in_order(self, batches: list[Batch], cluster_id: str, stored: dict[int, int]) -> None:
        for batch in batches:
            await self._writer.store(batch, cluster_id)
            stored[batch.partition] = batch.last + 1


class SinkHealth(WorkerHealth):
    """Healthy is a sink that moves and whose ClickHouse confirms."""

    def __init__(self, app: Any, writer: Writer) -> None:
        super().__init__(app)
        self._writer = writer

    def problem(self) -> str | None:
        """Why the sink is not healthy now, or None."""
        if self._writer.problem is not None:
            return f"waiting for ClickHouse: {self._writer.problem}"
        return super().problem()

    def lag(self, topic: str) -> int:
        """How many records of the topic's assigned partitions are not stored yet."""
        return sum(self._lag(tp) for tp in self._partitions() if tp.topic == topic)

    def _lag(self, tp: Any) -> int:
        end = self._app.consumer.highwater(tp)
        return max(0, end - self._next.get(tp, self._app.consumer.first_offsets.get(tp, end))) if end else 0
