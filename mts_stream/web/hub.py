"""Hands the page's changes to every browser that listens; one that cannot keep up is let go.

Whoever is let go comes back by itself (EventSource does) and begins with a fresh snapshot.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec

CLIENTS_MAX = 64
CLIENT_EVENTS_MAX = 20


class HubFullError(Exception):
    """As many clients listen as may."""


class Client:
    """One that listens; `drop` ends its connection at once, whatever is still to be written."""

    def __init__(self, first: bytes, drop: Callable[[], None]) -> None:
        self.drop = drop
        self._events: asyncio.Queue[bytes | None] = asyncio.Queue(CLIENT_EVENTS_MAX)
        self._events.put_nowait(first)

    def put(self, event: bytes) -> bool:
        """Queue an event; False when the queue is full."""
        try:
            self._events.put_nowait(event)
        except asyncio.QueueFull:
            return False
        return True

    def end(self) -> None:
        """Let it go: nothing that is queued counts any more."""
        while not self._events.empty():
            self._events.get_nowait()
        self._events.put_nowait(None)

    async def events(self) -> AsyncIterator[bytes]:
        """Its events in order, until it is let go."""
        while (event := await self._events.get()) is not None:
            yield event


class Hub:
    """The listening clients, each with a queue of its own of CLIENT_EVENTS_MAX."""

    def __init__(self, clients_max: int = CLIENTS_MAX) -> None:
        self._clients: set[Client] = set()
        self._clients_max = clients_max
        self._closed = False

    @property
    def clients(self) -> int:
        """How many listen."""
        return len(self._clients)

    def join(self, first: bytes, drop: Callable[[], None]) -> Client:
        """A new client, whose first event this is; raises HubFullError."""
        if self._closed or len(self._clients) >= self._clients_max:
            raise HubFullError
        client = Client(first, drop)
        self._clients.add(client)
        return client

    def leave(self, client: Client) -> None:
        """The client listens no more."""
        self._clients.discard(client)

    def publish(self, event: bytes) -> None:
        """Queue an event for every client; whose queue is full is dropped."""
        for client in [client for client in self._clients if not client.put(event)]:
            self.leave(client)
            client.end()
            client.drop()

    def close(self) -> None:
        """Let everybody go."""
        self._closed = True
        for client in self._clients:
            client.end()
        self._clients.clear()


def event(name: str, data: dict[str, Any]) -> bytes:
    """A server-sent event; JSON holds no line break, so one data line is enough."""
    return b"event: %s\ndata: %s\n\n" % (name.encode(), msgspec.json.encode(data))
