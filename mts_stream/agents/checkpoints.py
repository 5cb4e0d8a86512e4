"""Checkpoints: results confirmed, then snapshots confirmed in the changelog, then the low-water offset committed.

Each step waits for the one before: a checkpoint that were durable before its results would lose them, since the
replay after a crash skips what a checkpoint holds. Keys: the pair, and `@<partition>` for its status clock.

A pair with four books, 4,200 levels in all, and a quarter of an hour of windows is 46 kB, compressed 18 kB, for 0.7 ms:
of 800 pairs a restart reads 15 MB, for each time that the changelog holds them.
"""

import asyncio
import sys
import time
from collections import deque
from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec
from faust.types import TP

from mts_stream import metrics, transport
from mts_stream.agents.outbox import Outbox
from mts_stream.agents.partitions import CLOCK, Partition, Partitions
from mts_stream.agents.results import settle
from mts_stream.logs import get_logger
from mts_stream.wire import topics

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

VERSION = 2
VERSION_JSON = 1  # its values were JSON, and begin as such
COMPRESSION = 1
IDLE_S = 1.5  # status records come every second: a longer silence means that the producers are gone
WRITES_MAX = 64  # in flight at once; Faust's conductor stops at 100
YIELD_S = 0.02
SLICE_S = 0.004  # a batch waits so long for snapshots that are taken just then

log = get_logger("mts_stream.checkpoints")


class Checkpoint(msgspec.Struct):
    """The value in the changelog, in msgpack: the raw offset that the snapshot includes, and the snapshot in zstd."""

    v: int
    offset: int
    snapshot: bytes

    @classmethod
    def of(cls, offset: int, data: bytes) -> "Checkpoint":
        """The checkpoint of an engine's snapshot."""
        return cls(VERSION, offset, zstd.compress(data, COMPRESSION))

    def data(self) -> bytes:
        """The engine's snapshot; raises ValueError where it is damaged."""
        try:
            return bytes(zstd.decompress(self.snapshot))
        except zstd.ZstdError as error:
            raise ValueError(f"broken: {error}") from error


class Taken(NamedTuple):
    """One snapshot on its way to the changelog."""

    partition: Partition
    key: str
    checkpoint: Checkpoint


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Checkpoint)


def table_key(partition: int, key: str) -> bytes:
    """The key in the table: a pair's own name; the clock's carries its partition."""
    return f"{CLOCK}{partition}".encode() if key == CLOCK else key.encode()


def engine_key(key: bytes) -> str:
    """The engine's name of a key in the table."""
    return CLOCK if key.startswith(CLOCK.encode()) else key.decode()


class SavedCheckpoints:
    """What the changelog holds of our partitions: per key the checkpoint with the highest offset, whatever the order.

    A worker that was stopped and goes on can write an old one after its successor's newer one. They are kept, since
    the same worker may find that a successor has moved its partition on, and must then begin from these.
    """

    def __init__(self) -> None:
        self._saved: dict[int, dict[bytes, Checkpoint | None]] = {}  # None: the newest one cannot be read

    async def on_changelog_event(self, event: Any) -> None:
        """Faust calls this for each record of the changelog while it recovers; what cannot be read is left out.

        So is what stands before it: the log may be committed beyond that one, and an engine that took it would lack
        the records between the two. Its pair is rebuilt from the log instead (rebuilding.py).
        """
        message = event.message
        checkpoint = self._decode(message)
        if checkpoint is not None:
            self.note(message.partition, message.key, checkpoint)
        elif message.value is not None:
            self._saved.setdefault(message.partition, {})[message.key] = None

    def note(self, partition: int, key: bytes, checkpoint: Checkpoint) -> None:
        """This one stands in the changelog."""
        keys = self._saved.setdefault(partition, {})
        old = keys.get(key)
        if old is None or checkpoint.offset >= old.offset:
            keys[key] = checkpoint

    def lost(self, partition: int) -> set[str]:
        """The engine's keys of a partition whose newest checkpoint cannot be read."""
        return {engine_key(key) for key, saved in self._saved.get(partition, {}).items() if saved is None}

    def of(self, partition: int) -> dict[bytes, Checkpoint]:
        """The checkpoints of a partition."""
        return {key: saved for key, saved in self._saved.get(partition, {}).items() if saved is not None}

    def keep_only(self, partitions: Iterable[int]) -> None:
        """Drop those of lost partitions; Faust reads them anew when such a partition comes back."""
        for partition in set(self._saved) - set(partitions):
            del self._saved[partition]

    def _decode(self, message: Any) -> Checkpoint | None:
        if message.value is None:
            return None
        if message.value.startswith(b"{"):
            ignore_checkpoint(message.partition, message.key, f"unknown version {VERSION_JSON}")
            return None
        try:
            checkpoint = _decoder.decode(message.value)
        except msgspec.DecodeError as error:
            ignore_checkpoint(message.partition, message.key, f"broken: {error}")
            return None
        if checkpoint.v != VERSION:
            ignore_checkpoint(message.partition, message.key, f"unknown version {checkpoint.v}")
            return None
        return checkpoint


def ignore_checkpoint(partition: int, key: bytes, reason: str) -> None:
    """Name a checkpoint that cannot be used, and count it; its pair is rebuilt from the log."""
    metrics.CHECKPOINTS_IGNORED.inc()
    log.error("checkpoint ignored", partition=partition, key=key.decode(errors="replace"), reason=reason)


async def restore(partition: Partition, saved: dict[bytes, Checkpoint]) -> set[str]:
    """Give an engine its checkpoints, the clock's first, and return the keys of which it is damaged."""
    started, lost = time.monotonic(), set()
    for key in sorted(saved, key=lambda k: (engine_key(k) != CLOCK, k)):
        try:
            partition.engine.restore(engine_key(key), saved[key].data())
        except ValueError as error:
            ignore_checkpoint(partition.number, key, str(error))
            lost.add(engine_key(key))
        if time.monotonic() - started > YIELD_S:
            await asyncio.sleep(0)
            started = time.monotonic()
    return lost


class Checkpointer:
    """The only one that writes the table and commits the raw topic."""

    def __init__(
        self, app: Any, table: Any, partitions: Partitions, saved: SavedCheckpoints, outbox: Outbox, interval_s: float
    ) -> None:
        self._app = app
        self._table = table
        self._partitions = partitions
        self._saved = saved
        self._outbox = outbox
        self._interval_s = interval_s
        self._writing = asyncio.Lock()

    async def run(self, *, everything: bool = False) -> None:
        """One round: what is due, or everything, made durable; then the low-water offsets committed."""
        async with self._writing:
            async with self._partitions.working:
                ends = {p.number: p.position for p in self._partitions if p.position is not None}
                due = self._due(everything)
            taken = await self._take(due)
            await self._outbox.confirmed()
            await self._write(taken)
            for one in taken:
                one.partition.held.pop(one.key, None)
            await self._commit(ends)

    def _due(self, everything: bool) -> deque[tuple[Partition, str]]:
        now = time.monotonic()
        return deque(
            (partition, key)
            for partition in self._partitions
            for key in partition.due_keys(
                now, self._interval_s, everything=everything or now - partition.handled_at > IDLE_S
            )
        )

    async def _take(self, due: deque[tuple[Partition, str]]) -> list[Taken]:
        """Slice by slice: between two, batches are handled, and a snapshot may hold more than those before it."""
        taken: list[Taken] = []
        while due:
            async with self._partitions.working:
                until = time.monotonic() + SLICE_S
                while due and time.monotonic() < until:
                    taken.append(await self._take_one(*due.popleft()))
            await asyncio.sleep(0)
        return taken

    async def _take_one(self, partition: Partition, key: str) -> Taken:
        if key in partition.engine.owing:
            await settle(partition, [key], self._outbox)
        offset, data = partition.take(key)
        return Taken(partition, key, Checkpoint.of(offset, data))

    async def _write(self, taken: list[Taken]) -> None:
        for start in range(0, len(taken), WRITES_MAX):
            part = taken[start : start + WRITES_MAX]
            await asyncio.gather(*map(self._send, part))  # acks=all from the broker, not merely queued
            for partition, key, checkpoint in part:
                self._saved.note(partition.number, table_key(partition.number, key), checkpoint)
            metrics.CHECKPOINTS.inc(len(part))

    def _send(self, one: Taken) -> Any:
        number = one.partition.number
        return self._table.send_changelog(number, table_key(number, one.key), _encoder.encode(one.checkpoint))

    async def _commit(self, ends: dict[int, int]) -> None:
        low = {TP(topics.RAW, p.number): p.low_water(ends[p.number]) for p in self._partitions if p.number in ends}
        if not low or not await transport.commit(self._app, low):
            return
        for tp, offset in low.items():
            metrics.COMMITTED_OFFSET.labels(tp.partition).set(offset)
            partition = self._partitions.get(tp.partition)
            if partition is not None:
                partition.engine.clock.forget_before(offset)
