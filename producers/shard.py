"""One shard of a route's symbols: its connection, and while that is changed as planned a second one beside it.

    a: up ....................... shutdown announced, or its age is near the venue's limit ... closed
    b:                                 up ... takes book after book ... all taken ............ goes on alone

A book is spoken for by one connection at a time. If b is lost meanwhile, a goes on and b is opened again; if a is lost
first, its books are down with it and b takes them as after a reconnect (DESIGN section 3).
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from zlib import crc32

from mts_stream.logs import get_logger
from mts_stream.metrics import CONNECTIONS_CHANGED, CONNECTIONS_UP
from producers.connection import Connection
from producers.feeds import Feed

NS_PER_S = 1_000_000_000
LOOK_S = 0.1
CHANGE_AT = 23 / 24  # of the venue's limit of age
SPREAD = 0.02  # of the age: so that the connections of a process, opened together, are not changed together

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Line:
    """A connection with its feed."""

    connection: Connection
    feed: Feed


MakeLine = Callable[[str, Feed | None], Line]


class Shard:
    """Keeps one shard connected; `make` builds a line by its name, as the heir of a feed or as the first.

    `change_after_s` is the age at which a connection is changed, None if the venue sets no limit.
    """

    def __init__(self, name: str, make: MakeLine, change_after_s: float | None) -> None:
        self.name = name
        self._make = make
        self._change_after_ns = None if change_after_s is None else _spread_ns(name, change_after_s)
        self.leading = make(f"{name}-a", None)
        self.heir: Line | None = None
        self._tasks: asyncio.TaskGroup | None = None

    @property
    def lines(self) -> tuple[Line, ...]:
        """The connection, and its successor while there is one."""
        return (self.leading,) if self.heir is None else (self.leading, self.heir)

    async def run(self) -> None:
        """Keep connected until cancelled, or until all is closed."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            tasks.create_task(self.leading.connection.run())
            try:
                while True:
                    await asyncio.sleep(LOOK_S)
                    self.look(self.leading.connection.now_ns())
            finally:
                self.leading.feed.on_lost = None  # all are stopped, nothing is handed over any more

    def look(self, now_ns: int) -> None:
        """Begin a change that is due, end one that is done."""
        if self.heir is None:
            if self._is_due(now_ns):
                self._begin()
        elif self.heir.feed.is_up and not self.heir.feed.is_following:
            self._finish("changed")

    def drop(self, reason: str) -> None:
        """End what is connected; it is opened anew."""
        for line in self.lines:
            line.connection.drop(reason)

    def close(self, reason: str) -> None:
        """End for good."""
        self.leading.feed.on_lost = None
        for line in self.lines:
            line.connection.close(reason)

    def _is_due(self, now_ns: int) -> bool:
        feed = self.leading.feed
        if not feed.is_up:
            return False
        is_old = self._change_after_ns is not None and now_ns - feed.opened_ns >= self._change_after_ns
        return is_old or feed.is_leaving

    def _begin(self) -> None:
        old = self.leading
        self.heir = self._make(f"{self.name}-{'a' if old.connection.name.endswith('-b') else 'b'}", old.feed)
        old.feed.on_lost = self._on_lost
        log.info("changing the connection", conn=old.connection.name, to=self.heir.connection.name)
        if self._tasks is not None:
            self._tasks.create_task(self.heir.connection.run())

    def _on_lost(self, now_ns: int) -> None:
        """The old connection ended by itself before it was left by all."""
        assert self.heir is not None, "heard only while it is changed"
        self.heir.feed.take_rest(now_ns)
        self._finish("lost")

    def _finish(self, outcome: str) -> None:
        old, heir = self.leading, self.heir
        assert heir is not None, "ends what was begun"
        old.feed.on_lost = None
        self.leading, self.heir = heir, None
        old.connection.close("changed")
        CONNECTIONS_UP.remove(old.connection.name)  # it is not down: there is no such connection any more
        CONNECTIONS_CHANGED.labels(outcome).inc()
        log.info("connection changed", conn=old.connection.name, to=heir.connection.name, outcome=outcome)


def _spread_ns(name: str, seconds: float) -> int:
    return int(seconds * (1 + SPREAD * (crc32(name.encode()) % 1000) / 1000) * NS_PER_S)
