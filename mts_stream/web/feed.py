"""The thread that reads the result topics and hands batches over to the page's event loop."""

import queue
import socket
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from mts_stream.errors import KafkaUnavailableError
from mts_stream.logs import get_logger
from mts_stream.settings import Settings
from mts_stream.web.messages import SHOWN_TOPICS, Told, decode
from mts_stream.wire.kafka import Reader

QUEUE_BATCHES = 16
POLL_S = 0.2
RETRY_S = 1.0
CONNECT_S = 1.0
QUIET_S = 2.0
STUCK_S = 10.0  # what stood at the beginning may be gone by now (retention): then nothing more is to be waited for
JOIN_S = 1.0

log = get_logger(__name__)


class FeedState(NamedTuple):
    """What the reader is doing: `waiting`, `catching_up` or `live`, and a sentence about it."""

    state: str
    detail: str


Batch = list[tuple[str, Told | None]]
Item = FeedState | Batch


class FeedThread:
    """Reads from `web_history_s` back, again and again until it is stopped; `take` never blocks.

    When Kafka goes away or its topics are not there, it says so and begins anew from the same time back:
    what comes twice is dropped by whoever takes it.
    """

    def __init__(self, settings: Settings, now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000) -> None:
        self._settings = settings
        self._now_ms = now_ms
        self._items: queue.Queue[Item] = queue.Queue(QUEUE_BATCHES)
        self._stopping = threading.Event()
        self._told: FeedState | None = None
        # A daemon: a client library that waits for a dead broker must not hold up the end of the process.
        self._thread = threading.Thread(target=self._run, name="web-feed", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def stop(self) -> None:
        """End it; returns after JOIN_S at the latest."""
        self._stopping.set()
        self._thread.join(JOIN_S)

    @property
    def running(self) -> bool:
        """Whether the thread lives; one that ended unasked is a bug."""
        return self._thread.is_alive()

    def take(self) -> Item | None:
        """The next batch or state, None when there is none."""
        try:
            return self._items.get_nowait()
        except queue.Empty:
            return None

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._read()
            except KafkaUnavailableError as error:
                self._tell("waiting", f"Waiting for Kafka at {self._settings.kafka_bootstrap_servers}: {error}")
                self._stopping.wait(RETRY_S)

    def _read(self) -> None:
        """Read until stopped; raises KafkaUnavailableError."""
        self._require_kafka()
        history_s = self._settings.web_history_s
        with Reader(self._settings, SHOWN_TOPICS, from_ms=self._now_ms() - history_s * 1000) as reader:
            self._tell("catching_up", f"reading the last {history_s} s")
            heard = checked = time.monotonic()
            while not self._stopping.is_set():
                records = reader.poll(POLL_S)
                if records:
                    heard = checked = time.monotonic()
                    self._put([(record.topic, decode(record)) for record in records])
                elif time.monotonic() - checked > QUIET_S:
                    # librdkafka says nothing when its broker goes away; quiet topics look the same.
                    self._require_kafka()
                    checked = time.monotonic()
                if reader.caught_up or time.monotonic() - heard > STUCK_S:
                    self._tell("live", "")

    def _require_kafka(self) -> None:
        servers = self._settings.kafka_bootstrap_servers.split(",")
        if not any(_accepts(server.strip()) for server in servers):
            raise KafkaUnavailableError("no broker accepts a connection; start it, or set KAFKA_BOOTSTRAP_SERVERS")

    def _tell(self, state: str, detail: str) -> None:
        told = FeedState(state, detail)
        if told != self._told:
            self._told = told
            log.info("feed", state=state, detail=detail)
            self._put(told)

    def _put(self, item: Item) -> None:
        while not self._stopping.is_set():
            try:
                self._items.put(item, timeout=POLL_S)
                return
            except queue.Full:
                continue


def _accepts(server: str) -> bool:
    host, _, port = server.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), CONNECT_S):
            return True
    except (OSError, ValueError):
        return False
