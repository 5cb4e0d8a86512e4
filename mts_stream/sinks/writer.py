"""Stores batches: retries until ClickHouse has confirmed, and finds the message that cannot be stored."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence

from mts_stream.errors import BadRecordError, StoreError
from mts_stream.logs import get_logger
from mts_stream.metrics import DEAD_LETTERS, INSERT_RETRIES, INSERTS, ROWS_REFUSED, ROWS_STORED, STORE_UP
from mts_stream.sinks.batching import Batch, Delivery
from mts_stream.sinks.clickhouse import RowsRefusedError, Store, StoreUnavailableError
from mts_stream.sinks.rows import COLUMNS, PRIMARY, Row, by_table, rows_of
from mts_stream.wire.codec import dead_letter

RETRY_FIRST_S = 0.1
INSERTS_AT_ONCE = 4

SendDeadLetter = Callable[[bytes], Awaitable[None]]
Prepare = Callable[[Store], Awaitable[object]]
log = get_logger(__name__)


class Writer:
    """Stores batches through one store; `problem` says why it waits, or is None.

    `prepare` brings the database up to date before the first insert; it is waited for as an insert is.
    """

    def __init__(self, store: Store, *, prepare: Prepare, send_dead_letter: SendDeadLetter, retry_max_s: float) -> None:
        self._store = store
        self._prepare = prepare
        self._send_dead_letter = send_dead_letter
        self._retry_max_s = retry_max_s
        self._prepared = False
        self._preparing = asyncio.Lock()
        self._slots = asyncio.Semaphore(INSERTS_AT_ONCE)
        self._waiting = False
        self.problem: str | None = "ClickHouse has not answered yet"

    async def prepare(self) -> None:
        """Wait for ClickHouse and bring the database up to date; raises StoreError for what no waiting cures."""
        async with self._preparing:
            if not self._prepared:
                await self._until_done("schema", lambda: self._prepare(self._store))
                self._prepared = True

    async def store(self, batch: Batch, cluster_id: str) -> None:
        """Return when every message of the batch is a confirmed row or a confirmed dead letter."""
        await self.prepare()
        good: list[Delivery] = []
        rows: list[Row] = []
        for delivery in batch.deliveries:
            try:
                rows += rows_of(batch.topic, delivery)
                good.append(delivery)
            except BadRecordError as error:
                await self._refuse(batch.topic, delivery, error)
        if rows:
            await self._store_rows(Batch(batch.topic, tuple(good)), rows, batch.token(cluster_id))

    async def _store_rows(self, batch: Batch, rows: Sequence[Row], token: str) -> None:
        """Store all rows of a batch, or halve it until the message that ClickHouse refuses stands alone.

        The primary table, which refuses nothing that the others take, comes last: a refused message has no row at all.
        """
        tables = by_table(rows)
        primary = PRIMARY[batch.topic]
        try:
            await _all_of(self._insert(table, values, token) for table, values in tables.items() if table != primary)
            await self._insert(primary, tables[primary], token)
        except RowsRefusedError as error:
            if len(batch.deliveries) == 1:
                await self._refuse(batch.topic, batch.deliveries[0], BadRecordError("store_refused", str(error)))
                return
            for half in batch.halves():
                await self._store_rows(half, _rows(half), f"{token}/{half.first}-{half.last}")

    async def _insert(self, table: str, values: Sequence[tuple[object, ...]], token: str) -> None:
        async with self._slots:
            await self._until_done(table, lambda: self._timed(table, values, token))
        ROWS_STORED.labels(table).inc(len(values))

    async def _timed(self, table: str, values: Sequence[tuple[object, ...]], token: str) -> None:
        started = time.monotonic()
        await self._store.insert(table, COLUMNS[table], values, token)
        INSERTS.labels(table).observe(time.monotonic() - started)

    async def _until_done(self, what: str, attempt: Callable[[], Awaitable[object]]) -> None:
        """Try, with growing scattered pauses, until it is done; says once that it waits and once that it goes on."""
        pause_s = RETRY_FIRST_S
        while True:
            try:
                await attempt()
            except StoreUnavailableError as error:
                self._went_down(what, error)
            else:
                self._came_back()
                return
            INSERT_RETRIES.labels(what).inc()
            await asyncio.sleep(random.uniform(pause_s / 2, pause_s))  # noqa: S311
            pause_s = min(2 * pause_s, self._retry_max_s)

    def _went_down(self, what: str, error: StoreError) -> None:
        if not self._waiting:
            log.warning("store_unavailable", waiting_for=what, error=str(error), retry_max_s=self._retry_max_s)
        self._waiting = True
        self.problem = str(error)
        STORE_UP.set(0)

    def _came_back(self) -> None:
        if self._waiting:
            log.info("store_available_again")
        self._waiting = False
        self.problem = None
        STORE_UP.set(1)

    async def _refuse(self, topic: str, delivery: Delivery, error: BadRecordError) -> None:
        """One message into the dead letters, confirmed, so that the rest can go on."""
        await self._send_dead_letter(
            dead_letter(
                origin="sink", reason=error.reason, detail=error.detail, topic=topic, partition=delivery.partition,
                offset=delivery.offset, venue=None, stream=None, payload=delivery.value,
            )
        )  # fmt: skip
        ROWS_REFUSED.labels(PRIMARY[topic]).inc()
        DEAD_LETTERS.labels("sink", error.reason).inc()
        where = {"topic": topic, "partition": delivery.partition, "offset": delivery.offset}
        log.warning("message_refused", reason=error.reason, detail=error.detail, **where)


async def _all_of(inserts: Iterable[Awaitable[None]]) -> None:
    """Side by side, and none is cut off by another one's error, which is raised at the end."""
    answers = await asyncio.gather(*inserts, return_exceptions=True)
    for error in filter(None, answers):
        raise error


def _rows(batch: Batch) -> list[Row]:
    return [row for delivery in batch.deliveries for row in rows_of(batch.topic, delivery)]
