"""Files in Kafka's place: what a producer process publishes, as captures on disk."""

import asyncio
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from mts_stream.metrics import PUBLISHED, QUEUED_RECORDS
from mts_stream.settings import Settings
from mts_stream.wire.topics import DEAD_LETTERS, RAW
from producers.captures import CaptureDirectory

WRITE_BATCH_RECORDS = 1000
DRAIN_S = 0.02
END_S = 30.0
FILE_OF_TOPIC = {RAW: "capture-0", DEAD_LETTERS: "dlq"}


class _Taken(NamedTuple):
    name: str
    value: bytes
    kind: str


class FilePublisher:
    """Takes a producer process's records in Kafka's place; a thread of its own writes them, so the feeds never wait.

    Raw records go to `capture-0-*`, dead letters to `dlq-*`; quality and the list of instruments are no part of a
    capture and are left out. When the queue is full records are refused, as the Kafka publisher does.
    """

    def __init__(self, settings: Settings, files: CaptureDirectory, on_failed: Callable[[], None]) -> None:
        self.files = files
        self.confirmed: Counter[str] = Counter()
        self.left_out: Counter[str] = Counter()
        self.lost = 0
        self.failure: OSError | None = None
        self._records_max = settings.producer_queue_records
        self._queue: queue.SimpleQueue[_Taken] = queue.SimpleQueue()
        self._full_since_s: float | None = None
        self._on_failed = on_failed
        self._counted: Counter[str] = Counter()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._work, name="capture", daemon=True)
        self._thread.start()

    @property
    def queued_records(self) -> int:
        """Records that are in no file yet."""
        return self._queue.qsize()

    @property
    def stalled_s(self) -> float:
        """How long the queue has been full; 0 while it is not."""
        return 0.0 if self._full_since_s is None else time.monotonic() - self._full_since_s

    @property
    def has_room(self) -> bool:
        """Whether it is worth connecting."""
        return self.failure is None and self.queued_records <= self._records_max // 2

    def send(self, topic: str, key: bytes, value: bytes, kind: str, partition: int = -1, *, must: bool = False) -> bool:
        """Take a record; False where there is no room."""
        name = FILE_OF_TOPIC.get(topic)
        if name is None:
            self.left_out[kind] += 1
            return True
        if self.failure is not None or (self.queued_records >= self._records_max and not must):
            if self._full_since_s is None:
                self._full_since_s = time.monotonic()
            return False
        self._full_since_s = None
        self._queue.put(_Taken(name, value, kind))
        return True

    def _work(self) -> None:
        try:
            try:
                while not (self._ending.is_set() and self._queue.empty()):
                    self._write_batch()
            finally:
                self.files.close()
        except OSError as error:
            self.failure = error
            self._on_failed()

    def _write_batch(self) -> None:
        kinds: Counter[str] = Counter()
        with suppress(queue.Empty):
            taken = self._queue.get(timeout=DRAIN_S)
            for left in range(WRITE_BATCH_RECORDS, 0, -1):
                self.files.add(taken.name, taken.value)
                kinds[taken.kind] += 1
                if left > 1:
                    taken = self._queue.get_nowait()
        self.files.tick()
        self.confirmed.update(kinds)

    def count(self) -> None:
        """Bring the metrics up to date."""
        confirmed = Counter(self.confirmed)
        for kind, number in confirmed.items():
            PUBLISHED.labels(kind).inc(number - self._counted[kind])
        self._counted = confirmed
        QUEUED_RECORDS.set(self.queued_records)

    async def run(self) -> None:
        """Nothing has to be served."""
        await asyncio.Event().wait()

    async def flush(self, timeout_s: float) -> int:
        """Have everything written and all files closed; a disk gets END_S for it. Returns what is in no file."""
        self._ending.set()
        give_up_s = time.monotonic() + max(timeout_s, END_S)
        while self._thread.is_alive() and time.monotonic() < give_up_s:  # noqa: ASYNC110  a thread's end is no event
            await asyncio.sleep(DRAIN_S)
        self.count()
        return self.queued_records + self.files.counts.unwritten
