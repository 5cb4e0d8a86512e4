"""The market agent: read a batch of the raw log, one engine call per record, send what it led to.

A second ends for all pairs at once. What that leads to is owed and settled pair by pair: before the pair's next record,
one pair after each record, and in slices while no batch is at hand; so no record waits for the windows of all pairs.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

from faust.types import TP

from mts_stream import metrics, transport
from mts_stream.agents.checkpoints import SavedCheckpoints, restore
from mts_stream.agents.lag import EventLag
from mts_stream.agents.outbox import Outbox, Outgoing
from mts_stream.agents.partitions import Partition, Partitions
from mts_stream.agents.rebuilding import Rebuilder
from mts_stream.agents.results import Results, settle
from mts_stream.errors import BadRecordError
from mts_stream.log_limits import Limited
from mts_stream.logs import get_logger
from mts_stream.transport import BatchRecord
from mts_stream.wire import topics
from mts_stream.wire.codec import dead_letter, decode_record
from mts_stream.wire.reading import RecordReader

YIELD_S = 0.02  # heartbeats, checkpoints and the web server get their turn within a batch
SLICE_S = 0.004  # a batch waits so long for what is settled just then
BUSY_S = 0.001  # how soon it is seen that no batch is being handled
OWED_MAX_S = 0.1  # then a batch settles all that its partition owes, and the next one waits for a slice
SEND_AT_ONCE = 200
HOLE_MAX_S = 30.0  # then the missing records are a bug
DEAD_LETTER_LINE_S = 1.0  # a dead letter is said in the log at most so often; the topic has them all

log = get_logger("mts_stream.market")


class Market:
    """Handles batches of the raw log with one engine per partition."""

    def __init__(
        self, app: Any, partitions: Partitions, saved: SavedCheckpoints, outbox: Outbox, lag: EventLag,
        read: RecordReader = decode_record, rebuilder: Rebuilder | None = None,
    ) -> None:  # fmt: skip
        self._app = app
        self._partitions = partitions
        self._saved = saved
        self._outbox = outbox
        self._lag = lag
        self._read = read
        self._rebuilder = rebuilder
        self._dead_letter_lines = Limited(every_s=DEAD_LETTER_LINE_S)
        self._owed = asyncio.Event()
        self._holes: dict[TP, tuple[int, float]] = {}  # offsets that did not arrive, and since when

    async def on_batch(self, tp: TP, records: list[BatchRecord], generation: int) -> None:
        """Handle the records in order; returns when everything they led to has been handed to the outbox."""
        async with self._partitions.working:
            if self._partitions.closed:
                return
            begin = transport.first_offset(self._app, tp)
            partition = await self._partition(tp.partition, generation, begin)
            if not self._follows(tp, partition, begin, records[0][0]):
                return
            newest_ns = await _Batch(partition, self._outbox, self._read, self._dead_letter_lines).run(records)
            self._lag.handled(tp.partition, newest_ns, time.time_ns())
            partition.position = max(partition.position or 0, records[-1][0] + 1)
            now = partition.handled_at = time.monotonic()
            partition.note_owing(now)
            if partition.owes_since is not None:
                self._owed.set()
                while partition.owes_since is not None and now - partition.owes_since > OWED_MAX_S:
                    await self._settle_slice(partition)
                    await asyncio.sleep(0)
        self._app.health.handled(tp, partition.position)

    async def settle(self) -> None:
        """Wait until something is owed; then settle a slice of it, and let others have their turn.

        While a batch is being handled another may follow: neither waits, until something is owed for long.
        """
        await self._owed.wait()
        working, since = self._partitions.working, self._owes_since()
        if since is not None and working.locked() and time.monotonic() - since < OWED_MAX_S:
            await asyncio.sleep(BUSY_S)
            return
        async with working:
            owing = [partition for partition in self._partitions if partition.owes_since is not None]
            if owing and not self._partitions.closed:
                await self._settle_slice(min(owing, key=lambda partition: partition.owes_since or 0.0))
            else:
                self._owed.clear()
        await asyncio.sleep(0)

    def _owes_since(self) -> float | None:
        return min((p.owes_since for p in self._partitions if p.owes_since is not None), default=None)

    async def _settle_slice(self, partition: Partition) -> None:
        await settle(partition, _longest_owing(partition), self._outbox)

    async def _partition(self, number: int, generation: int, begin: int | None) -> Partition:
        """The partition as we left it, or anew from its checkpoints where it is new or was another's meanwhile."""
        partition = self._partitions.get(number)
        if partition is None or (partition.generation != generation and partition.is_behind(begin)):
            partition = await self._open(number, begin)
        partition.generation = generation
        return partition

    async def _open(self, number: int, begin: int | None) -> Partition:
        saved = self._saved.of(number)
        partition = self._partitions.open(number)
        lost = await restore(partition, saved) | self._saved.lost(number)
        if lost and begin and self._rebuilder is not None:
            for key, snapshot in (await self._rebuilder.snapshots(number, lost, begin)).items():
                partition.engine.restore(key, snapshot)
        log.info("partition opened", partition=number, checkpoints=len(saved))
        return partition

    def _follows(self, tp: TP, partition: Partition, begin: int | None, offset: int) -> bool:
        """Whether a batch goes on where we are; if not, the transport goes back, and what comes meanwhile is dropped.

        A batch handed on while a rebalance ends can be lost on its way (faust-streaming 0.15 clears its streams then).
        Records that are missing here would be missing in the books, unless the log itself has the hole.
        """
        expected = begin if partition.position is None else partition.position
        if expected is None or offset <= expected or offset == begin:
            self._holes.pop(tp, None)
            return True
        now = time.monotonic()
        at, since = self._holes.get(tp, (-1, now))
        if at != expected:
            self._holes[tp] = (expected, now)
            metrics.REWINDS.inc()
            log.warning("records did not arrive: going back", partition=tp.partition, expected=expected, came=offset)
            transport.go_back(self._app, tp, expected)
        elif now - since > HOLE_MAX_S:
            raise AssertionError(f"{tp.topic}-{tp.partition}: records {expected} to {offset - 1} are missing")
        return False


def _longest_owing(partition: Partition) -> Iterator[str]:
    """The pair that owes for longest, again and again, each settled by then, for a slice of time."""
    began = time.monotonic()
    while partition.engine.owing and time.monotonic() - began < SLICE_S:
        yield next(iter(partition.engine.owing))


class _Batch:
    """One pass over a batch; counts what became of its records."""

    def __init__(self, partition: Partition, outbox: Outbox, read: RecordReader, dead_letter_lines: Limited) -> None:
        self._partition = partition
        self._engine = partition.engine
        self._read = read
        self._dead_letter_lines = dead_letter_lines
        self._results = Results(partition.number, outbox)
        self._handled: Counter[str] = Counter()
        self._newest_ns = 0

    async def run(self, records: list[BatchRecord]) -> int:
        """Handle the records; gives the newest event time among them, 0 where none has one."""
        owing, results, yielded_at = self._engine.owing, self._results, time.monotonic()
        for offset, value in records:
            self._on_record(offset, value)
            if owing:
                self._settle(next(iter(owing)))
            if len(results.waiting) >= SEND_AT_ONCE or time.monotonic() - yielded_at > YIELD_S:
                await results.send()
                await asyncio.sleep(0)
                yielded_at = time.monotonic()
        await results.send()
        self._count()
        return self._newest_ns

    def _on_record(self, offset: int, value: bytes | None) -> None:
        try:
            event = self._read(value)
            origin = event.origin
            if origin.received_ns > self._newest_ns:
                self._newest_ns = origin.received_ns
            if origin.pair in self._engine.owing:
                self._settle(origin.pair)
            handled = self._engine.on_event(event, offset, owe=True)
        except BadRecordError as error:
            self._dead(error, offset, value)
            return
        self._handled["skipped" if handled.skipped else "evaluated" if handled.evaluated else "not_evaluated"] += 1
        self._results.add(handled.messages)

    def _settle(self, pair: str) -> None:
        self._results.add(self._engine.settle(pair).messages)

    def _dead(self, error: BadRecordError, offset: int, value: bytes | None) -> None:
        self._handled["dead"] += 1
        metrics.DEAD_LETTERS.labels("worker", error.reason).inc()
        self._say_dead(error, offset)
        letter = dead_letter(
            origin="worker", reason=error.reason, detail=error.detail, topic=topics.RAW,
            partition=self._partition.number, offset=offset, venue=None, stream=None, payload=value,
        )  # fmt: skip
        self._results.put(Outgoing(topics.DEAD_LETTERS, None, letter, []))

    def _say_dead(self, error: BadRecordError, offset: int) -> None:
        suppressed = self._dead_letter_lines.due()
        if suppressed is not None:
            where = {"topic": topics.RAW, "partition": self._partition.number, "offset": offset}
            log.warning("dead letter", reason=error.reason, detail=error.detail, suppressed=suppressed, **where)

    def _count(self) -> None:
        for handled, count in self._handled.items():
            metrics.RECORDS.labels(handled).inc(count)
        self._results.count()
