"""The one way from a producer process into Kafka; the only importer of confluent_kafka here.

Records are handed over from the event loop's thread in order, so every partition gets them in order. Nothing waits:
librdkafka holds PRODUCER_QUEUE_RECORDS, behind it a backlog as large; when both are full a record is refused, and its
sender has to give up its connection. A record that Kafka did not take is told to whoever watches its connection.
"""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import NamedTuple

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from mts_stream.metrics import PUBLISHED, QUEUED_RECORDS, REFUSED, UNDELIVERED
from mts_stream.settings import Settings
from mts_stream.wire.kafka import producer_config
from mts_stream.wire.topics import RAW
from producers.outage import LossLog, OutageWatch

POLL_S = 0.01
QUEUE_KIB_MAX = 262_144
ANY_PARTITION = -1
FRAME = "frame"

LossListener = Callable[[bytes], None]
_Confirmed = Callable[[KafkaError | None, Message], None]


class _Waiting(NamedTuple):
    topic: str
    key: bytes
    value: bytes
    kind: str
    partition: int


class Publisher:
    """Sends records in order; told `send`, asked `stalled_s` and `has_room`.

    Call it from the event loop's thread alone; `run` serves librdkafka's callbacks there.
    """

    def __init__(self, settings: Settings, on_lost: LossListener | None = None) -> None:
        limits = {
            "queue.buffering.max.messages": settings.producer_queue_records,
            "queue.buffering.max.kbytes": QUEUE_KIB_MAX,
            "delivery.report.only.error": True,  # a word for each that arrived costs 0.9 us, for nothing but counting
            "message.timeout.ms": 0,  # the queue is bounded instead: what was taken is kept until Kafka is back
        }
        self._producer = Producer(producer_config(settings, **limits), logger=None)
        self._records_max = settings.producer_queue_records
        self._backlog: deque[_Waiting] = deque()
        self._full_since_s: float | None = None
        self._on_lost = on_lost
        self._listeners: dict[str, _Confirmed] = {}
        self.handed_over: Counter[str] = Counter()
        self._failed: Counter[str] = Counter()
        self.lost = 0
        self._outage = OutageWatch(settings.producer_stalled_s)
        self._losses = LossLog()
        self._counted: Counter[str] = Counter()

    @property
    def confirmed(self) -> Counter[str]:
        """Records that Kafka has taken, by kind: handed over, not failed and not on their way.

        Of those on their way the number alone is known, with librdkafka's own events until they are served; they count
        as frames, as nearly all are.
        """
        confirmed = self.handed_over - self._failed
        on_their_way = len(self._producer)
        for kind in (FRAME, *confirmed):
            some = min(on_their_way, confirmed[kind])
            confirmed[kind] -= some
            on_their_way -= some
        return +confirmed

    @property
    def queued_records(self) -> int:
        """Records that Kafka has not confirmed yet."""
        return len(self._producer) + len(self._backlog)

    @property
    def stalled_s(self) -> float:
        """How long librdkafka's queue has been full; 0 while it is not."""
        return 0.0 if self._full_since_s is None else time.monotonic() - self._full_since_s

    @property
    def has_room(self) -> bool:
        """Whether it is worth connecting: at most half of the queue is taken and nothing waits behind it."""
        return not self._backlog and len(self._producer) <= self._records_max // 2

    def send(
        self, topic: str, key: bytes, value: bytes, kind: str, partition: int = ANY_PARTITION, *, must: bool = False
    ) -> bool:
        """Hand a record over; False where there is no room, unless it `must` go (a `down` status).

        What Kafka refuses later is told to the loss listener.
        """
        if not self._backlog and self._produce(topic, key, value, kind, partition):
            return True
        if len(self._backlog) >= self._records_max and not must:
            REFUSED.labels(topic).inc()
            return False
        self._backlog.append(_Waiting(topic, key, value, kind, partition))
        return True

    def _produce(self, topic: str, key: bytes, value: bytes, kind: str, partition: int) -> bool:
        """False while librdkafka's queue is full."""
        listener = self._listeners.get(kind) or self._listener(kind)
        try:
            self._producer.produce(topic, value, key, partition, listener)
        except BufferError:
            if self._full_since_s is None:
                self._full_since_s = time.monotonic()
            return False
        except KafkaException as error:
            self._lose(error.args[0], topic, value)
            return True
        self._full_since_s = None
        self.handed_over[kind] += 1
        return True

    def _listener(self, kind: str) -> _Confirmed:
        """One callback per kind: tells what did not arrive."""

        def on_delivery(error: KafkaError | None, message: Message) -> None:
            if error is not None:
                self._failed[kind] += 1
                self._lose(error, message.topic() or "", message.value() or b"")

        self._listeners[kind] = on_delivery
        return on_delivery

    def _lose(self, error: KafkaError, topic: str, value: bytes) -> None:
        self.lost += 1
        UNDELIVERED.inc()
        self._losses.add(topic, len(value), error.str())
        if topic == RAW and self._on_lost is not None:
            self._on_lost(value)

    def serve(self) -> None:
        """Run the callbacks that are due and move the backlog on."""
        self._producer.poll(0)
        while self._backlog and self._produce(*self._backlog[0]):
            self._backlog.popleft()

    def count(self) -> None:
        """Bring the metrics up to date, and the log: Kafka away or back, records lost."""
        confirmed = self.confirmed
        self._outage.look(confirmed.total(), self.queued_records)
        self._losses.tell()
        for kind, more in (confirmed - self._counted).items():
            PUBLISHED.labels(kind).inc(more)
        self._counted |= confirmed
        QUEUED_RECORDS.set(self.queued_records)

    async def run(self) -> None:
        """Serve until cancelled."""
        while True:
            self.serve()
            await asyncio.sleep(POLL_S)

    async def flush(self, timeout_s: float) -> int:
        """Wait until everything is confirmed, at most `timeout_s`; returns how many records are not."""
        give_up_s = time.monotonic() + timeout_s
        while self.queued_records and time.monotonic() < give_up_s:
            self.serve()
            await asyncio.sleep(POLL_S)
        self.count()
        self._losses.tell(at_once=True)
        return self.queued_records
