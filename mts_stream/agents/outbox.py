"""What the worker sends: handed to Kafka in order, bounded, and known to be confirmed.

Results go by librdkafka, which takes one in a fifth of the time that Faust's own producer does and sends from a thread
of its own (docs/performance.md); checkpoints go Faust's way, into the table's changelog.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

import msgspec

from mts_stream.errors import DeliveryError

POLL_S = 0.001
"""How soon a confirmation is seen by whoever waits for it."""


class Outgoing(msgspec.Struct):
    """One record to send; its partition is that of the raw record it came from."""

    topic: str
    key: bytes | None
    value: bytes
    headers: list[tuple[str, bytes]]


class Producer(Protocol):
    """What of confluent_kafka's producer is used; callbacks come while it is polled."""

    def produce(
        self, topic: str, *, value: bytes, key: bytes | None, partition: int, on_delivery: Callable[[Any, Any], None],
        headers: list[tuple[str, bytes]],
    ) -> None:  # fmt: skip
        """Queue a record; raises BufferError where its queue is full, by records or by bytes."""

    def poll(self, timeout: float) -> int:
        """Serve what has come."""


class Outbox:
    """Records handed to the producer and not confirmed yet, at most `limit`: at the limit, sending waits.

    So it does where the producer's own queue is full, which large records may fill sooner. The producer is made when
    the first record is sent.
    """

    def __init__(self, make_producer: Callable[[], Producer], limit: int) -> None:
        self._make_producer = make_producer
        self._producer: Producer | None = None
        self._limit = limit
        self._unconfirmed = 0
        self._parcels: deque[_Parcel] = deque()
        self._refusal: DeliveryError | None = None

    def __len__(self) -> int:
        return self._unconfirmed

    async def send(self, partition: int, records: list[Outgoing]) -> None:
        """Hand the records over in their order; waits for room. Raises DeliveryError."""
        if not records:
            return
        if self._producer is None:
            self._producer = self._make_producer()
        parcel = _Parcel(self)
        self._parcels.append(parcel)
        try:
            for record in records:
                if not self._takes(parcel, partition, record):
                    await self._until(partial(self._takes, parcel, partition, record))
        finally:
            parcel.left -= 1
        self._serve()

    def _takes(self, parcel: "_Parcel", partition: int, record: Outgoing) -> bool:
        """Hand a record over; False while there is no room for it, which every confirmation makes."""
        assert self._producer is not None, "made by send"
        if self._unconfirmed >= self._limit:
            return False
        try:
            self._producer.produce(
                record.topic, value=record.value, key=record.key, partition=partition,
                on_delivery=parcel.on_delivery, headers=record.headers,
            )  # fmt: skip
        except Exception as error:
            if isinstance(error, BufferError) and self._unconfirmed:  # else there is nothing to wait for
                return False
            raise DeliveryError(f"Kafka did not take a result for {record.topic}-{partition}: {error}") from error
        parcel.left += 1
        self._unconfirmed += 1
        return True

    async def confirmed(self) -> None:
        """Return when Kafka has confirmed all that was handed over before; raises DeliveryError where it refused."""
        if self._parcels:
            newest = self._parcels[-1]
            await self._until(lambda: newest not in self._parcels)  # they leave in their order
        self._serve()

    async def _until(self, is_true: Callable[[], bool]) -> None:
        self._serve()
        while not is_true():
            await asyncio.sleep(POLL_S)
            self._serve()

    def _serve(self) -> None:
        """Take what was confirmed; raises DeliveryError as soon as anything was refused."""
        if self._producer is not None:
            self._producer.poll(0)
        if self._refusal is not None:
            raise self._refusal
        while self._parcels and not self._parcels[0].left:
            self._parcels.popleft()

    def on_delivery(self, error: Any) -> None:
        """One record was confirmed, or refused."""
        self._unconfirmed -= 1
        if error is not None and self._refusal is None:
            self._refusal = DeliveryError(f"Kafka did not confirm a result: {error}")


class _Parcel:
    """The records of one call of `send`: how many are not confirmed yet, and one more while they are handed over."""

    __slots__ = ("_outbox", "left")

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self.left = 1

    def on_delivery(self, error: Any, _: Any) -> None:
        self.left -= 1
        self._outbox.on_delivery(error)
