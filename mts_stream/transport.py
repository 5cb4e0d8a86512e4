"""A Faust transport, `batch://`, whose consumer hands an agent whole fetch batches of one partition.

    app = faust.App(..., broker=broker_url(settings), stream_wait_empty=False)
    configure(app, batched={"mts.raw"})                      # which topics come in batches
    raw = batch_topic(app, "mts.raw", settings.partitions)   # acks=False: Faust commits nothing of it

    @app.agent(raw, name="market")
    async def market(stream):
        async for records in stream:                         # list of BatchRecord: (offset, key, value, timestamp_ms)
            message = stream.current_event.message           # .topic, .partition, .tp, .generation_id
            if not is_current(app, message):
                continue                                     # waited through a rebalance: all is read again
            expected = first_offset(app, message.tp)         # where reading began in this generation
            ...
    await commit(app, {TP("mts.raw", 0): next_offset})       # by whoever knows what is durable; never lowers one

What it promises: in one generation the batches of a partition follow each other without a hole from the committed
offset on (from the earliest record where nothing is committed), and no record comes twice; a hole that stays after
seeking back is a hole in the log. After a rebalance every partition begins at its committed offset again.
Everything else of Faust (tables, timers, web, command line) works as with `kafka://`.
"""

from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any

from aiokafka.errors import IllegalStateError
from faust.transport import drivers
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage

from mts_stream import metrics
from mts_stream.settings import Settings

SCHEME = "batch"
FETCH_WAIT_MS = 20  # Faust's own 1500 delays a partition that is asked for while another one waits for data
PAUSED_WAIT_S = 0.01  # when every partition's queue is full; Faust's own is 1 s

BatchRecord = tuple[int, bytes | None, bytes | None, int]  # offset, key, value, timestamp in ms (the broker's)

drivers.TRANSPORTS.aliases[SCHEME] = "mts_stream.transport:Transport"


def broker_url(settings: Settings) -> str:
    """The `broker=` of an app on this transport."""
    hosts = [host.strip() for host in settings.kafka_bootstrap_servers.split(",")]
    return ";".join(f"{SCHEME}://{host}" for host in hosts if host)


def configure(app: Any, *, batched: Iterable[str]) -> None:
    """Name the topics whose records come in batches."""
    app.batched_topics = frozenset(batched)


def batch_topic(app: Any, name: str, partitions: int) -> Any:
    """A topic whose values are lists of BatchRecord, and of which Faust acknowledges and commits nothing."""
    return app.topic(name, partitions=partitions, acks=False, key_serializer="raw", value_serializer="raw")


def is_current(app: Any, message: Any) -> bool:
    """Whether a batch was fetched in the generation of the group that stands now."""
    return bool(message.generation_id == app.consumer_generation_id)


def first_offset(app: Any, tp: TP) -> int | None:
    """Where reading of a partition began in this generation; None for one that is not ours."""
    offset: int | None = app.consumer.first_offsets.get(tp)
    return offset


def go_back(app: Any, tp: TP, offset: int) -> None:
    """Read a partition again from an offset on, soon: what was handed on from there did not arrive."""
    app.consumer.returns[tp] = offset


async def commit(app: Any, offsets: Mapping[TP, int]) -> bool:
    """Commit the offset of the next record to read of each partition that is still ours and where it is a step ahead.

    False where the group has moved on: then nothing is committed, and all is read again by the next owner.
    """
    consumer = app.consumer
    ours = consumer.assignment()
    ahead = {tp: o for tp, o in offsets.items() if tp in ours and o > (consumer._committed_offset[tp] or 0)}
    if not ahead:
        return True
    if not await consumer._commit(ahead):
        return False
    consumer._committed_offset.update(ahead)
    return True


class ConsumerThread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]
    """Faust's thread around aiokafka, with a short wait for a fetch."""

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS
        return consumer


class Consumer(driver.Consumer):  # type: ignore[misc]
    """Faust's consumer, which makes one message out of all records fetched of a batched partition."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.first_offsets: dict[TP, int] = {}
        self._expected: dict[TP, int] = {}  # the offset that must come next; absent: not ours
        self._sought: dict[TP, int] = {}  # where a hole made us seek back already
        self.returns: dict[TP, int] = {}  # where an agent asks to go back to, by partition

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    @property
    def _batched(self) -> frozenset[str]:
        return getattr(self.app, "batched_topics", frozenset())

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, ConsumerMessage]]:  # noqa: ASYNC109
        """Messages of what was fetched; Faust's rules, and whole batches where the topic is batched."""
        await self._go_back()
        records, active = await self._wait_next_records(timeout)
        # Read after the wait, as in Faust: before it, changelog records that came with the new generation
        # would be dropped, and recovery would hang.
        generation = self.app.consumer_generation_id
        if records is None or self.should_stop:
            return
        if not self.flow_active:
            await self._seek_while_stopped()
            return
        for tp, fetched in records.items():
            if active is not None and tp not in active and tp not in self._buffered_partitions:
                continue
            async for message in self._messages(TP(tp.topic, tp.partition), fetched):
                if not self.flow_active or self.app.consumer_generation_id != generation:
                    return  # stale; all is read again after the seek
                yield message.tp, message

    async def _messages(self, tp: TP, fetched: list[Any]) -> AsyncIterator[ConsumerMessage]:
        self.app.monitor.track_tp_end_offset(tp, self.highwater(tp))
        if tp.topic not in self._batched:
            for record in fetched:
                yield self._to_message(tp, record)
        elif batch := await self._in_order(tp, [(r.offset, r.key, r.value, r.timestamp) for r in fetched]):
            yield self._to_batch(tp, batch)

    def _to_batch(self, tp: TP, batch: list[BatchRecord]) -> ConsumerMessage:
        offset, timestamp_ms = batch[-1][0], batch[-1][3]
        self._read_offset[tp] = None  # Faust's search for gaps must not see the jump from batch to batch
        return ConsumerMessage(
            tp.topic, tp.partition, offset, timestamp_ms / 1000, 0, [], None, batch, None, 0, 0, tp,
            generation_id=self.app.consumer_generation_id,
        )  # fmt: skip

    async def _in_order(self, tp: TP, batch: list[BatchRecord]) -> list[BatchRecord]:
        """What of a batch comes next; nothing where it follows a hole that we go back to.

        A batch fetched before a seek, or after one that was dropped, would make an engine skip records.
        """
        expected = self._expected.get(tp)
        if expected is None or not batch or batch[-1][0] < expected:
            return []
        if batch[0][0] < expected:
            batch = [record for record in batch if record[0] >= expected]
        if batch[0][0] > expected:
            if self._sought.get(tp) != expected:
                await self._seek_back(tp, expected, batch[0][0])
                return []
            self.log.error("%s-%s: records %s to %s are gone from the log", *tp, expected, batch[0][0] - 1)
            self.first_offsets[tp] = batch[0][0]
        self._expected[tp] = batch[-1][0] + 1
        return batch

    async def _go_back(self) -> None:
        """Here and not where it was asked for: a seek waits for the thread that a rebalance may hold."""
        while self.returns and self.flow_active:
            tp, offset = self.returns.popitem()
            expected = self._expected.get(tp)
            if expected is not None and expected > offset:
                self._expected[tp] = offset
                await self._seek_back(tp, offset, expected)
                self._sought.pop(tp, None)

    async def _seek_back(self, tp: TP, expected: int, came: int) -> None:
        self._sought[tp] = expected
        metrics.REWINDS.inc()
        self.log.warning("%s-%s: records from %s on came, not from %s: seeking back", *tp, came, expected)
        try:
            await self.seek_wait({tp: expected})
        except (IllegalStateError, TimeoutError) as error:
            self._sought.pop(tp, None)
            self.log.warning("%s-%s: could not seek back (%r); the next batch tries again", *tp, error)

    async def _seek_while_stopped(self) -> None:
        try:
            await self.perform_seek()
        except Exception as error:
            self.log.warning("could not seek while the flow is stopped (%r); recovery seeks again", error)

    async def perform_seek(self) -> None:
        """Go to the committed offsets; Faust calls this after every recovery."""
        await super().perform_seek()
        ours = [tp for tp in self.assignment() if tp.topic in self._batched]
        new = [tp for tp in ours if self._committed_offset[tp] is None]
        earliest = await self.earliest_offsets(*new) if new else {}
        if earliest:  # Faust seeks nowhere then, and what was fetched and dropped meanwhile would be lost
            await self.seek_wait(earliest)
        self.first_offsets = {tp: earliest.get(tp, self._committed_offset[tp]) for tp in ours}
        self._expected = dict(self.first_offsets)
        self._sought, self.returns = {}, {}

    async def _wait_next_records(self, timeout: float) -> Any:  # noqa: ASYNC109
        if self.flow_active and not self.app.client_only and not self._get_active_partitions():
            await self.sleep(PAUSED_WAIT_S)
            return {}, set()
        return await super()._wait_next_records(timeout)

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """From here on nothing that was fetched is delivered."""
        self._expected = {}
        await super().on_partitions_revoked(revoked)


class Transport(driver.Transport):  # type: ignore[misc]
    """The driver behind `batch://`."""

    Consumer = Consumer
    driver_version = f"{driver.Transport.driver_version}, batches"


__all__ = [
    "BatchRecord", "Transport", "batch_topic", "broker_url", "commit", "configure", "first_offset", "go_back",
    "is_current"
]  # fmt: skip
