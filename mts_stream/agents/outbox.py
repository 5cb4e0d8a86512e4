"""What the worker sends: handed to Kafka in order, bounded, and known to be confirmed."""

import asyncio
from collections import deque
from typing import Any, NamedTuple

from mts_stream.errors import DeliveryError


class Outgoing(NamedTuple):
    """One record to send; its partition is that of the raw record it came from."""

    topic: str
    key: bytes | None
    value: bytes
    headers: list[tuple[str, bytes]]


class Outbox:
    """Records handed to the producer and not confirmed yet, at most `limit`: at the limit, sending waits."""

    def __init__(self, app: Any, limit: int) -> None:
        self._app = app
        self._limit = limit
        self._unconfirmed: deque[asyncio.Future[Any]] = deque()

    def __len__(self) -> int:
        return len(self._unconfirmed)

    async def send(self, partition: int, records: list[Outgoing]) -> None:
        """Hand the records over in their order; waits for room. Raises DeliveryError."""
        send = self._app.producer.send
        for record in records:
            if len(self._unconfirmed) >= self._limit:
                await self._make_room()
            future = await send(record.topic, record.key, record.value, partition, None, record.headers or None)
            self._unconfirmed.append(future)

    async def confirmed(self) -> None:
        """Return when Kafka has confirmed all that was handed over before; raises DeliveryError where it refused."""
        for _ in range(len(self._unconfirmed)):
            if not self._unconfirmed:  # another waiter was quicker
                return
            await self._oldest_confirmed()

    async def _make_room(self) -> None:
        await self._oldest_confirmed()
        while self._unconfirmed and self._unconfirmed[0].done():
            await self._oldest_confirmed()

    async def _oldest_confirmed(self) -> None:
        oldest = self._unconfirmed[0]
        if not oldest.done():
            await asyncio.wait([oldest])  # a bare await would cancel the delivery with the waiter
        if oldest.cancelled() or oldest.exception() is not None:
            raise DeliveryError(f"Kafka did not confirm a result: {oldest!r}")
        if self._unconfirmed and self._unconfirmed[0] is oldest:
            self._unconfirmed.popleft()
