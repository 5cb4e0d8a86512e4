"""librdkafka under the batched topics: in no group, partitions assigned by hand, records in lists, a bounded queue.

One thread of its own waits for records and does what may wait for the broker; the event loop takes what is there.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from typing import Any

import msgspec
from confluent_kafka import OFFSET_INVALID, Consumer, KafkaError, KafkaException, Message, TopicPartition
from faust.types import TP

from mts_stream import metrics
from mts_stream.errors import KafkaUnavailableError
from mts_stream.log_limits import Limited
from mts_stream.logs import get_logger
from mts_stream.settings import Settings
from mts_stream.wire.kafka import client_config

TAKE_EVERY_S = 0.004  # at the most often: what Faust does for a fetch costs as much as the records of a smaller one
WAIT_S = 0.05  # for the first record; a rebalance, a seek and a stop wait as long
FETCH_WAIT_MS = 20  # what a partition that begins waits for, while the broker holds a request for the others
GATHER_BYTES = 262_144  # more than so many need not be waited for
QUEUED_KIB_MAX = 16_384  # of all partitions together
QUEUED_RECORDS_MIN = 10_000  # of one partition: below it more is fetched
FETCH_BYTES_MAX = 8_388_608  # of one request; a record that is larger comes all the same
QUEUE_BACKOFF_MS = 10  # librdkafka's own 1000 makes a full queue run dry
STATISTICS_MS = 5000
ERROR_LINE_S = 10.0

BatchRecord = tuple[int, bytes | None]  # offset, value: nobody asks for more, and each more costs every record
Fetch = dict[TP, list[BatchRecord]]  # a batch of each partition, in the order of its offsets


REFUSALS = frozenset({
    KafkaError._AUTHENTICATION, KafkaError.SASL_AUTHENTICATION_FAILED, KafkaError.UNSUPPORTED_SASL_MECHANISM,
    KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.CLUSTER_AUTHORIZATION_FAILED,
})  # fmt: skip

log = get_logger("mts_stream.transport")


def plane_config(settings: Settings, group: str, gather_ms: int = 0) -> dict[str, Any]:
    """librdkafka's settings; the group is the worker's own, which it never joins, so that one permission does.

    With `gather_ms` the broker answers so much later at most, and with more at once.
    """
    return client_config(
        settings,
        **{
            "client.id": f"{group}-fetch",
            "group.id": group,
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "earliest",
            "isolation.level": "read_uncommitted",
            "check.crcs": True,
            "fetch.wait.max.ms": gather_ms or FETCH_WAIT_MS,
            "fetch.min.bytes": GATHER_BYTES if gather_ms else 1,
            "fetch.max.bytes": FETCH_BYTES_MAX,
            "fetch.queue.backoff.ms": QUEUE_BACKOFF_MS,
            "queued.max.messages.kbytes": QUEUED_KIB_MAX,
            "queued.min.messages": QUEUED_RECORDS_MIN,
            "statistics.interval.ms": STATISTICS_MS,
        },
    )


class FetchPlane:
    """Fetches the partitions it is told to, from the offsets it is told; what nobody takes stays at the broker."""

    def __init__(self, settings: Settings, group: str, gather_ms: int = 0) -> None:
        self._servers = settings.kafka_bootstrap_servers
        self._records_max = settings.fetch_records_max
        self._assigned: dict[TP, TopicPartition] = {}
        self._paused: frozenset[TP] = frozenset()
        self._refusal: KafkaUnavailableError | None = None
        self._error_lines = Limited(every_s=ERROR_LINE_S)
        self._closed = False
        self._taken_at = 0.0
        self._thread = ThreadPoolExecutor(1, "mts-fetch")
        config = plane_config(settings, group, gather_ms)
        self._consumer = Consumer(config | {"error_cb": self._on_error, "stats_cb": _Statistics().show})

    async def assign(self, starts: Mapping[TP, int]) -> None:
        """Fetch these partitions from these offsets on, and no others."""
        paused, self._paused = self._paused, frozenset()
        self._assigned = {tp: TopicPartition(tp.topic, tp.partition) for tp in starts}
        places = [TopicPartition(tp.topic, tp.partition, offset) for tp, offset in starts.items()]
        await self._in_thread(self._assign, _places(paused), places)

    def _assign(self, paused: list[TopicPartition], places: list[TopicPartition]) -> None:
        if paused:
            self._consumer.resume(paused)
        self._consumer.assign(places)

    async def seek(self, tp: TP, offset: int) -> None:
        """Go on with a partition at an offset; what was fetched before is dropped. Raises KafkaException."""
        await self._in_thread(self._consumer.seek, TopicPartition(tp.topic, tp.partition, offset))

    async def pause(self, partitions: frozenset[TP]) -> None:
        """Fetch nothing of these, and of the others again."""
        before, self._paused = self._paused, partitions
        if partitions != before:
            await self._in_thread(self._set_paused, _places(partitions - before), _places(before - partitions))

    def _set_paused(self, paused: list[TopicPartition], resumed: list[TopicPartition]) -> None:
        self._consumer.pause(paused)
        self._consumer.resume(resumed)

    async def take(self) -> Fetch:
        """What has come, by partition and in order; waits WAIT_S for the first, after TAKE_EVERY_S since the last time.

        Raises KafkaUnavailableError.
        """
        await asyncio.sleep(max(0.0, self._taken_at + TAKE_EVERY_S - time.monotonic()))
        if self._closed:
            return {}
        messages = self._consumer.consume(self._records_max, 0) or await self._in_thread(self._wait)
        self._taken_at = time.monotonic()
        if self._refusal is not None:
            raise self._refusal
        return self._by_partition(messages)

    def _wait(self) -> list[Any]:
        """Poll, then drain: `consume` alone would wait for as many as it is asked for."""
        first = self._consumer.poll(WAIT_S)
        return [] if first is None else [first, *self._consumer.consume(self._records_max, 0)]

    def _by_partition(self, messages: list[Any]) -> Fetch:
        """No bytecode for a record: iterators written in C call C; librdkafka gives a partition's records in runs."""
        if any(map(Message.error, messages)):
            messages = self._sound(messages)
        batches: Fetch = {}
        for partition, of_partition in groupby(messages, Message.partition):
            for topic, of_topic in groupby(of_partition, Message.topic):
                run = list(of_topic)
                records = list(zip(map(Message.offset, run), map(Message.value, run), strict=True))
                batches.setdefault(TP(topic, partition), []).extend(records)
        return batches

    def _sound(self, messages: list[Message]) -> list[Message]:
        """The records among them; the rest are errors."""
        for message in messages:
            if (error := message.error()) is not None:
                self._on_error(error)
        return [message for message in messages if message.error() is None]

    def highwater(self, tp: TP) -> int | None:
        """The end of a partition as the last answer of the broker had it; None before the first."""
        place = self._assigned.get(tp)
        if place is None or self._closed:
            return None
        try:
            _, end = self._consumer.get_watermark_offsets(place, cached=True)
        except KafkaException:
            return None
        return None if end == OFFSET_INVALID or end < 0 else int(end)

    async def close(self) -> None:
        """Leave; `take` gives nothing any more."""
        self._closed = True
        await self._in_thread(self._consumer.close)
        self._thread.shutdown(wait=False)

    def _in_thread(self, work: Callable[..., Any], *arguments: Any) -> asyncio.Future[Any]:
        return asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)

    def _on_error(self, error: KafkaError) -> None:
        """Errors that librdkafka overcomes by itself are counted and said now and then; a refusal ends the worker."""
        metrics.FETCH_ERRORS.labels(error.name()).inc()
        if error.code() in REFUSALS or error.fatal():
            self._refusal = KafkaUnavailableError(
                f"Kafka at {self._servers} (KAFKA_BOOTSTRAP_SERVERS) refuses to be read: {error.str()}; "
                "see KAFKA_SECURITY_PROTOCOL, KAFKA_SASL_* and the rights of KAFKA_SASL_USERNAME"
            )
            return
        suppressed = self._error_lines.due()
        if suppressed is not None:
            log.warning("fetching meets an error", error=error.str(), name=error.name(), suppressed=suppressed)


def _places(partitions: Iterable[TP]) -> list[TopicPartition]:
    return [TopicPartition(tp.topic, tp.partition) for tp in partitions]


class _PartitionStatistics(msgspec.Struct):
    fetch_state: str
    fetchq_cnt: int
    fetchq_size: int
    consumer_lag: int  # -1: not known yet


class _TopicStatistics(msgspec.Struct):
    partitions: dict[str, _PartitionStatistics]


class _RoundTrips(msgspec.Struct):
    avg: int
    cnt: int


class _BrokerStatistics(msgspec.Struct):
    rtt: _RoundTrips


class _ClientStatistics(msgspec.Struct):
    """What we read of https://github.com/confluentinc/librdkafka/blob/master/STATISTICS.md; times in us."""

    brokers: dict[str, _BrokerStatistics]
    topics: dict[str, _TopicStatistics]


class _Statistics:
    """librdkafka's statistics as gauges; the lag has one for each partition that is fetched now."""

    def __init__(self) -> None:
        self._shown: set[tuple[str, str]] = set()

    def show(self, text: str) -> None:
        """Set the gauges from one report."""
        report = msgspec.json.decode(text, type=_ClientStatistics)
        fetched = {
            (topic, number): partition
            for topic, found in report.topics.items()
            for number, partition in found.partitions.items()
            if partition.fetch_state == "active"
        }
        # Each partition reports the queue that they share.
        metrics.FETCH_QUEUED.set(max((partition.fetchq_cnt for partition in fetched.values()), default=0))
        metrics.FETCH_QUEUED_BYTES.set(max((partition.fetchq_size for partition in fetched.values()), default=0))
        trips = [broker.rtt for broker in report.brokers.values() if broker.rtt.cnt]
        if trips:
            metrics.FETCH_RTT.set(max(trip.avg for trip in trips) / 1e6)
        for key, partition in fetched.items():
            metrics.FETCH_LAG.labels(*key).set(max(0, partition.consumer_lag))
        for key in self._shown - fetched.keys():
            metrics.FETCH_LAG.remove(*key)
        self._shown = set(fetched)
