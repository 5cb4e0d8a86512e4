"""One process migrates at a time: ClickHouse has no locks, so each says so in a table and looks whether it is alone.

    A: writes its row, sees nobody else -> migrates, renews its row before each statement, releases it
    B:      writes its row, sees A      -> withdraws, tries again after a random pause

Of two that write at once at least one sees the other. A row that was not renewed for `EXPIRES_S` is of a process that
died. Times are the server's.
"""

import asyncio
import random
import secrets
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from mts_stream.clickhouse.cluster import for_cluster
from mts_stream.errors import StoreError
from mts_stream.logs import get_logger
from mts_stream.sinks.clickhouse import Store, StoreUnavailableError

EXPIRES_S = 90  # longer than a statement may take: CLICKHOUSE_TIMEOUT_S
WAIT_S = 5.0
PAUSE_S = 0.5
TABLE = """
CREATE TABLE IF NOT EXISTS schema_migrations_lock
(
    holder String,
    released UInt8,
    renewed_at DateTime64(3)
)
ENGINE = ReplacingMergeTree(renewed_at) ORDER BY holder
TTL toDateTime(renewed_at) + INTERVAL 1 DAY
"""
OTHERS = """
SELECT holder, dateDiff('second', renewed_at, now64(3)) FROM schema_migrations_lock FINAL
WHERE released = 0 AND holder != {holder:String} AND renewed_at > now64(3) - {expires_s:UInt32}
ORDER BY renewed_at
"""
log = get_logger(__name__)


class MigrationLock:
    """The right to change the schema, held by this process."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.holder = f"{socket.gethostname()[:64]}/{secrets.token_hex(8)}"

    async def renew(self) -> None:
        """Say that the holder lives."""
        await self._write(released=0)

    async def release(self) -> None:
        """Let others have it."""
        await self._write(released=1)

    async def other(self) -> str | None:
        """Who else has, or wants, the lock now: in words, or None."""
        parameters = {"holder": self.holder, "expires_s": EXPIRES_S}
        for holder, age_s in await self._store.query(OTHERS, parameters):
            return f"{holder}, last heard of {age_s} s ago"
        return None

    async def _write(self, *, released: int) -> None:
        values = f"'{self.holder}', {released}, now64(3)"
        await self._store.command(f"INSERT INTO schema_migrations_lock SELECT {values}")


@asynccontextmanager
async def migration_lock(store: Store, *, wait_s: float = WAIT_S) -> AsyncIterator[MigrationLock]:
    """Hold the lock; raises StoreUnavailableError when somebody else holds it for longer than `wait_s`."""
    lock = MigrationLock(store)
    await store.command(for_cluster(TABLE, store.settings.clickhouse_cluster))
    await _acquire(lock, time.monotonic() + wait_s)
    try:
        yield lock
    finally:
        with suppress(StoreError):  # it expires; what went wrong before is what matters
            await lock.release()


async def _acquire(lock: MigrationLock, deadline: float) -> None:
    told = False
    while True:
        await lock.renew()
        other = await lock.other()
        if other is None:
            return
        await lock.release()
        if time.monotonic() > deadline:
            raise StoreUnavailableError(f"somebody else migrates this database: {other}; try again when it is done")
        if not told:
            log.info("migrations_wait", other=other)
            told = True
        await asyncio.sleep(random.uniform(PAUSE_S / 5, PAUSE_S))  # noqa: S311
