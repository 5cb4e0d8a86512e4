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
BATCHES_UNDER_WAY_MAX = 4  # of a topic, while the next ones are read
TURN_AGES = 5  # so old, in ages of a batch, what has waited gets a turn in a backlog, before full batches

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
        self._under_way: set[asyncio.Task[None]] = set()  # batches that are being stored
        self._failure: Exception | None = None
        self._last: dict[int, asyncio.Task[None]] = {}  # of each partition, for the next one to wait for

    async def on_records(self, partition: int, records: Records, generation: Any) -> None:
        """Take one fetched batch; what it completes is being stored when this returns. Raises StoreError."""
        async with self._storing:
            if self._is_past(generation):
                return
            yielded_at = time.monotonic()
            for offset, value in records:
                done = self._batcher.on_event(Delivery(partition, offset, value), time.monotonic_ns())
                is_long = time.monotonic() - yielded_at > YIELD_S
                if not done and not is_long:
                    continue
                for batch in done:
                    await self._room()
                    if self._is_past(generation):  # while this waited
                        return
                    self._begin(batch)
                if is_long:
                    await asyncio.sleep(0)
                    yielded_at = time.monotonic()
                    if self._is_past(generation):
                        return
        ROWS_HELD.labels(self.topic).set(len(self._batcher))

    async def on_time(self) -> None:
        """Begin to store what has waited long enough, as far as there is room. Raises StoreError.

        In a backlog there is none: full batches, which cost a row much less, go first, but not for ever.
        """
        async with self._storing:
            self._raise_failure()
            if self._due(TURN_AGES) is not None:
                await self._room()
            self._begin_due()
        ROWS_HELD.labels(self.topic).set(len(self._batcher))

    async def settled(self) -> None:
        """Return when nothing is under way any more. Raises StoreError."""
        if self._under_way:
            await asyncio.wait(self._under_way)
        self._raise_failure()

    async def leave(self, within_s: float) -> None:
        """Store what is held, if that works out in time; forget the rest, and take no more of this generation."""
        try:
            async with asyncio.timeout(within_s), self._storing:
                await self.settled()
                await self._store(self._batcher.flush())
        except TimeoutError:
            log.warning("left_unstored", topic=self.topic, records=len(self._batcher), within_s=within_s)
        finally:
            self._left = self._generation()
            self._batcher.clear()
            for task in self._under_way:
                task.cancel()
            self._under_way.clear()
            self._last.clear()

    def _is_past(self, generation: Any) -> bool:
        return bool(generation == self._left or generation != self._generation())

    async def _room(self) -> None:
        """Return when few enough are under way."""
        self._raise_failure()
        while len(self._under_way) >= BATCHES_UNDER_WAY_MAX:
            await asyncio.wait(self._under_way, return_when=asyncio.FIRST_COMPLETED)
            self._raise_failure()

    def _due(self, ages: int = 1) -> int | None:
        """The partition to go next: what comes of one whose last batch is under way joins what is held of it."""
        return self._batcher.oldest_due(time.monotonic_ns(), ages, self._last)

    def _begin_due(self) -> None:
        """Begin with what has waited long enough, as far as there is room; the rest goes on growing.

        So partitions that came due together take turns, and are apart from then on; and the slower ClickHouse is, the
        fewer and larger are the inserts.
        """
        while len(self._under_way) < BATCHES_UNDER_WAY_MAX and (partition := self._due()) is not None:
            self._begin(self._batcher.close(partition))

    def _begin(self, batch: Batch) -> None:
        """Begin to store a batch; those of a partition one after the other."""
        task = asyncio.create_task(self._store_after(self._last.get(batch.partition), batch))
        self._last[batch.partition] = task
        self._under_way.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Let the next one begin; what could not be stored stays, to be raised."""
        if task.cancelled() or task.exception() is not None:
            return
        self._let_go({task})
        if self._failure is None and not self._storing.locked():  # whoever has it sees to that
            self._begin_due()

    async def _store_after(self, before: asyncio.Task[None] | None, batch: Batch) -> None:
        if before is not None:
            await before
        await self._store([batch])

    def _raise_failure(self) -> None:
        """Let go of what is stored; what could not be stored ends this."""
        done = {task for task in self._under_way if task.done()}
        self._let_go(done)
        for task in done:
            task.result()

    def _let_go(self, done: set[asyncio.Task[None]]) -> None:
        self._under_way -= done
        self._last = {partition: task for partition, task in self._last.items() if task not in done}

    async def _store(self, batches: list[Batch]) -> None:
        """Partitions side by side, the batches of one in their order; then one commit of all that is stored."""
        if self._failure is not None:
            raise self._failure  # nothing after it may be committed
        if not batches:
            return
        cluster_id = await self._cluster_id.get()
        stored: dict[int, int] = {}
        try:
            async with asyncio.TaskGroup() as tasks:
                for group in by_partition(batches):
                    tasks.create_task(self._store_in_order(group, cluster_id, stored))
        except ExceptionGroup as failed:
            self._failure = failed.exceptions[0]
            raise self._failure from failed
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
