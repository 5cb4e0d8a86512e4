"""After the producers: waiting until the worker and the sink have committed everything that stands on their topics."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass

from mts_stream.local.demo.threads import in_thread
from mts_stream.settings import Settings
from mts_stream.wire.kafka import GroupOffsets, Reader
from mts_stream.wire.topics import RAW, RESULT_TOPICS, SINK_GROUP, WORKER_GROUP

POLL_S = 0.1
STALLED_S = 20.0
"""Without any progress for so long, waiting is given up."""

Offsets = dict[tuple[str, int], int]


@dataclass(frozen=True, slots=True)
class Span:
    """What one run has to handle of a topic's partitions: from (inclusive) and to (exclusive) which offsets."""

    begins: Offsets
    ends: Offsets

    @property
    def records(self) -> int:
        """How many records lie between."""
        return sum(max(0, end - self.begins.get(where, 0)) for where, end in self.ends.items())


def end_offsets(settings: Settings, *topics: str) -> Offsets:
    """Where the topics end now. Blocks."""
    with Reader(settings, topics) as reader:
        return reader.end_offsets()


def first_unhandled(settings: Settings, group: str, topic: str) -> Offsets:
    """Where a group goes on in a topic: what it has committed, else the first record there is. Blocks."""
    with Reader(settings, [topic]) as reader:
        begins = reader.begin_offsets()
    with GroupOffsets(settings, group, [topic]) as offsets:
        return begins | offsets.read()


def behind(ends: Mapping[tuple[str, int], int], done: Mapping[tuple[str, int], int]) -> int:
    """How many records before these ends are not done yet."""
    return sum(max(0, end - done.get(where, 0)) for where, end in ends.items())


async def wait_worker(settings: Settings, give_up_s: float) -> int:
    """Wait for the worker to commit the end of the raw topic; gives how far it is behind when that took too long."""
    return await _wait_group(settings, WORKER_GROUP, (RAW,), give_up_s)


async def wait_sink(settings: Settings, give_up_s: float) -> int:
    """Wait for the sink to commit the ends of the result topics; gives the results it is behind, as above."""
    return await _wait_group(settings, SINK_GROUP, RESULT_TOPICS, give_up_s)


async def _wait_group(settings: Settings, group: str, topics: tuple[str, ...], give_up_s: float) -> int:
    ends = await in_thread(end_offsets, settings, *topics)
    offsets = await in_thread(GroupOffsets, settings, group, topics)
    try:
        return await _wait(ends, offsets, give_up_s)
    finally:
        await in_thread(offsets.close)


async def _wait(ends: Offsets, offsets: GroupOffsets, give_up_s: float) -> int:
    started = moved = time.monotonic()
    last: int | None = None
    while True:
        count = behind(ends, await in_thread(offsets.read))
        now = time.monotonic()
        if count != last:
            last, moved = count, now
        if count == 0 or now - moved > STALLED_S or now - started > give_up_s:
            return count
        await asyncio.sleep(POLL_S)
