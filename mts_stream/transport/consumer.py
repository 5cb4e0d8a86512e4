"""Faust's consumer over two clients: aiokafka has the group, the commits and the changelogs, librdkafka the batches."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from typing import Any

from aiokafka.structs import TopicPartition
from confluent_kafka import KafkaException
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage

from mts_stream import metrics
from mts_stream.errors import KafkaUnavailableError
from mts_stream.transport.plane import BatchRecord, Fetch, FetchPlane

CHANGELOG_WAIT_MS = 20  # Faust's own 1500 delays a changelog that is asked for while another one waits for data
OTHERS_WAIT_S = 0.05  # for records beside the batches; as long a recovery that has ended delays the first batch
OTHERS_EVERY_S = 0.02  # while batches are read
FULL_WAIT_S = 0.002  # when every agent's queue is full; Faust's own is 1 s


class RebalanceListener(driver.ConsumerRebalanceListener):  # type: ignore[misc]
    """Keeps aiokafka from fetching what librdkafka fetches."""

    async def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        """Pause before the first request for a record."""
        assigned = set(assigned)
        batched = self._thread.consumer.batched_topics
        self._thread._ensure_consumer().pause(*(TopicPartition(*tp) for tp in assigned if tp.topic in batched))
        await super().on_partitions_assigned(assigned)


class ConsumerThread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]
    """Faust's thread around aiokafka, with a short wait for a fetch."""

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = CHANGELOG_WAIT_MS
        return consumer

    def _stopped_set(self) -> None:
        """As Faust's; a thread that crashed has closed its loop already, and nobody there is left to be told."""
        if self.thread_loop.is_closed():
            self._stopped.set()
        else:
            super()._stopped_set()

    def close(self) -> None:
        """Nothing: at a rebalance while the worker stops, the stop leaves the group, on the loop that owns the client.

        Faust closes the client on the main loop, where uvloop, in the memory of another thread's loop, may crash.
        """

    def touch(self) -> None:
        """Tell aiokafka that records are asked for: it leaves the group of a member that has stopped to ask."""
        with self._ensure_consumer()._subscription.fetch_context():
            pass


class Consumer(driver.Consumer):  # type: ignore[misc]
    """Faust's consumer, which makes one message out of all records of a batched topic that were fetched at once."""

    RebalanceListener = RebalanceListener

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.first_offsets: dict[TP, int] = {}
        self.returns: dict[TP, int] = {}  # where an agent asks to go back to, by partition
        self._plane: FetchPlane | None = None
        self._expected: dict[TP, int] = {}  # the offset that must come next; absent: not ours
        self._sought: dict[TP, int] = {}  # where a hole made us seek back already
        self._full: set[str] = set()  # batched topics whose agent has enough to do
        self._delivered_at: dict[TP, float] = {}
        self._epoch = 0  # of what the plane fetches: older batches are stale
        self._others_at = 0.0

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    def _new_plane(self) -> FetchPlane:
        return FetchPlane(self.app.settings, self.app.conf.id, self.app.gather_ms)

    @property
    def batched_topics(self) -> frozenset[str]:
        """The topics whose records come in batches."""
        return getattr(self.app, "batched_topics", frozenset())

    @property
    def plane(self) -> FetchPlane:
        """What fetches the batches; made when it is first asked for."""
        if self._plane is None:
            self._plane = self._new_plane()
        return self._plane

    async def on_stop(self) -> None:
        """Leave the group, then the broker."""
        await super().on_stop()
        if self._plane is not None:
            await self._plane.close()

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, ConsumerMessage]]:  # noqa: ASYNC109
        """Messages of what was fetched: whole batches where the topic is batched, else as Faust has them."""
        await self._go_back()
        ready = self._ready()
        if not ready or self._others_due():
            async for message in self._others(0.0 if ready else OTHERS_WAIT_S):
                yield message.tp, message
        if ready:
            async for message in self._batches(ready):
                yield message.tp, message

    def _ready(self) -> frozenset[TP]:
        """The batched partitions that Faust wants to have read, and whose agents have room."""
        if not self.flow_active or self.should_stop:
            return frozenset()
        active = self._get_active_partitions()
        return frozenset(tp for tp in self._expected if tp in active and tp.topic not in self._full)

    def _others_due(self) -> bool:
        now = time.monotonic()
        if now < self._others_at or not self._has_others():
            return False
        self._others_at = now + OTHERS_EVERY_S
        return True

    async def _others(self, wait_s: float) -> AsyncIterator[ConsumerMessage]:
        """Changelogs and other topics, through aiokafka and by Faust's rules."""
        records, active = await self._wait_next_records(wait_s)
        # Read after the wait, as in Faust: before it, changelog records that came with the new generation
        # would be dropped, and recovery would hang.
        generation = self.app.consumer_generation_id
        if records is None or self.should_stop:
            return
        if not self.flow_active:
            await self._seek_while_stopped()
            return
        for tp, fetched in records.items():
            if tp.topic in self.batched_topics or (
                active is not None and tp not in active and tp not in self._buffered_partitions
            ):
                continue
            self.app.monitor.track_tp_end_offset(tp, self.highwater(tp))
            for record in fetched:
                if not self.flow_active or self.app.consumer_generation_id != generation:
                    return  # stale; all is read again after the seek
                yield self._to_message(tp, record)

    async def _wait_next_records(self, timeout: float) -> Any:  # noqa: ASYNC109
        if self.flow_active and not self.app.client_only and not self._has_others():
            await self.sleep(FULL_WAIT_S)
            return {}, set()
        return await super()._wait_next_records(timeout)

    def _has_others(self) -> bool:
        return any(tp.topic not in self.batched_topics for tp in self._get_active_partitions())

    async def _batches(self, ready: frozenset[TP]) -> AsyncIterator[ConsumerMessage]:
        epoch = self._epoch
        await self.plane.pause(frozenset(self._expected.keys() - ready))
        self._thread.touch()
        try:
            fetched = await self.plane.take()
        except KafkaUnavailableError as error:
            await self.app.crash_worker(error)
            return
        by_topic: dict[str, Fetch] = {}
        for tp, batch in fetched.items():
            if self._epoch != epoch:
                return  # stale; all is read again from the committed offset
            in_order = await self._in_order(tp, batch)
            if in_order:
                by_topic.setdefault(tp.topic, {})[tp] = in_order
        for fetch in by_topic.values():
            if self._epoch != epoch or not self.flow_active or self.should_stop:
                return
            yield self._to_message_of(fetch)

    def _to_message_of(self, fetch: Fetch) -> ConsumerMessage:
        """One message for all partitions of a topic: what Faust does for each is more than a small batch costs.

        It goes by the name of the first of them; whether it is stale is a matter of its generation.
        """
        now = time.monotonic()
        for tp, batch in fetch.items():
            self._delivered_at[tp] = now
            self.app.monitor.track_tp_end_offset(tp, self.highwater(tp) or batch[-1][0] + 1)
        tp, batch = next(iter(fetch.items()))
        self._read_offset[tp] = None  # Faust's search for gaps must not see the jump from batch to batch
        return ConsumerMessage(
            tp.topic, tp.partition, batch[-1][0], time.time(), 0, [], None, fetch, None, 0, 0, tp,
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
        """Here and not where it was asked for: only here no batch is on its way."""
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
            await self.plane.seek(tp, expected)
        except KafkaException as error:
            self._sought.pop(tp, None)
            self.log.warning("%s-%s: could not seek back (%r); the next batch tries again", *tp, error)

    async def _seek_while_stopped(self) -> None:
        try:
            await super().perform_seek()
        except Exception as error:
            self.log.warning("could not seek while the flow is stopped (%r); recovery seeks again", error)

    async def perform_seek(self) -> None:
        """Go to the committed offsets; Faust calls this after every recovery."""
        epoch = self._begin_epoch()
        await super().perform_seek()
        ours = [tp for tp in self.assignment() if tp.topic in self.batched_topics]
        new = [tp for tp in ours if self._committed_offset[tp] is None]
        earliest = await self.earliest_offsets(*new) if new else {}
        starts = {tp: earliest.get(tp, self._committed_offset[tp]) for tp in ours}
        if epoch != self._epoch:
            return  # revoked meanwhile: what comes next is another generation's
        await self.plane.assign(starts)
        if epoch == self._epoch:
            self.first_offsets, self._expected = starts, dict(starts)
            self._delivered_at = dict.fromkeys(starts, time.monotonic())

    def _begin_epoch(self) -> int:
        """From here on nothing that was fetched is delivered."""
        self._epoch += 1
        self._expected, self._sought, self.returns, self._full = {}, {}, {}, set()
        return self._epoch

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Nothing that was fetched is delivered, nor is any more fetched."""
        self._begin_epoch()
        unassigned = asyncio.ensure_future(self.plane.assign({}))
        await super().on_partitions_revoked(revoked)
        await unassigned

    def on_buffer_full(self, tp: TP) -> None:
        """An agent's queue is nearly full: of a batched topic nothing is fetched until it has room."""
        if tp.topic in self.batched_topics:
            self._full.add(tp.topic)
        else:
            super().on_buffer_full(tp)

    def on_buffer_drop(self, tp: TP) -> None:
        """It has room again."""
        self._full.discard(tp.topic)
        super().on_buffer_drop(tp)

    def highwater(self, tp: TP) -> int | None:
        """The end of a partition, None while it is not known: of a batched one by what librdkafka was told."""
        if tp.topic in self.batched_topics:
            return self.plane.highwater(tp)
        end: int | None = super().highwater(tp)
        return end

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Faust's search for a livelock: a batched partition that has records of which none is handed on."""
        if tp.topic not in self.batched_topics:
            super().verify_event_path(now, tp)
            return
        expected, end = self._expected.get(tp), self.highwater(tp)
        stood_s = now - self._delivered_at.get(tp, now)
        if expected is not None and end is not None and end > expected and stood_s > self._livelock_s:
            self.log.error("%s-%s: no batch for %.0f s, next offset %s, end %s", *tp, stood_s, expected, end)

    @property
    def _livelock_s(self) -> float:
        return float(self.app.conf.stream_processing_timeout)


class Transport(driver.Transport):  # type: ignore[misc]
    """The driver behind `batch://`."""

    Consumer = Consumer
    driver_version = f"{driver.Transport.driver_version}, batches by librdkafka"
