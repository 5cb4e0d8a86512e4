"""What a pair without a usable checkpoint is rebuilt from: the raw log, from the last keyframes before us on.

Listings, books and funding are repeated in the log at least every minute. A scratch engine reads that much of the log
before the offset where we begin, of these pairs alone; its results were sent long ago, and are dropped. What it then
holds is taken over: the books at once, and not with the next keyframe; windows and opportunities as of that minute.
"""

import asyncio
from collections.abc import Collection

from mts_stream.agents.partitions import CLOCK, EngineFactory
from mts_stream.errors import BadRecordError, KafkaUnavailableError
from mts_stream.logs import get_logger
from mts_stream.settings import Settings
from mts_stream.wire import topics
from mts_stream.wire.codec import decode_record
from mts_stream.wire.looking_back import records_before

BACK_S = 70.0  # listings and keyframes come at least every 60 s

log = get_logger("mts_stream.rebuilding")


class Rebuilder:
    """Rebuilds pairs, or the status clock, of one partition of the raw log."""

    def __init__(self, settings: Settings, new_engine: EngineFactory) -> None:
        self._settings, self._new_engine = settings, new_engine

    async def snapshots(self, partition: int, keys: Collection[str], begin: int) -> dict[str, bytes]:
        """Snapshots as of the offset `begin`, by key; a pair that the log does not list in that time has none."""
        try:
            found = await asyncio.to_thread(self._snapshots, partition, frozenset(keys), begin)
        except KafkaUnavailableError as error:
            log.warning("not rebuilt: the log could not be read", partition=partition, error=str(error))
            return {}
        log.warning("rebuilt from the log", partition=partition, rebuilt=sorted(found), asked=sorted(keys))
        return found

    def _snapshots(self, partition: int, keys: frozenset[str], begin: int) -> dict[str, bytes]:
        engine, wanted = self._new_engine(), {None, *(key.encode() for key in keys)}
        for record in records_before(self._settings, topics.RAW, partition, begin, BACK_S):
            if record.key in wanted:  # status records have none
                try:
                    engine.on_event(decode_record(record.value), record.offset)
                except BadRecordError:
                    continue  # a dead letter of then
        return {key: engine.snapshot(key) for key in keys if key == CLOCK or key in engine.pairs}
