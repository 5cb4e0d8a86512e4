"""What the worker's tests share: clean topics, records in, workers as processes, and what must come out."""

import gzip
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from mts_stream.domain.engine import PartitionEngine
from mts_stream.errors import BadRecordError, KafkaUnavailableError
from mts_stream.local.ports import free_ports
from mts_stream.settings import Settings
from mts_stream.wire import topics
from mts_stream.wire.codec import decode_record, encode_message, topic_of
from mts_stream.wire.kafka import Reader, Record, client_config, committed_offsets, create_topics, producer_config
from tests.integration.pages import get_page


def free_port() -> int:
    """A port that nobody has."""
    return free_ports(1)[0]


CAPTURES = Path(__file__).parents[1] / "data" / "conformance"
DEADLINE_S, POLL_S = 60.0, 0.05
Results = dict[tuple[str, str], list[str]]  # by topic and pair, in their order
GROUPS = (topics.WORKER_GROUP, topics.SINK_GROUP)


def until(what: str, check: Callable[[], Any], deadline_s: float = DEADLINE_S, every_s: float = POLL_S) -> Any:
    """Poll until `check` gives something true; fails with `what` after the deadline."""
    ends = time.monotonic() + deadline_s
    while not (result := check()):
        assert time.monotonic() < ends, f"{what}: not within {deadline_s:.0f} s"
        time.sleep(every_s)
    return result


def capture(name: str, lines_max: int | None = None) -> list[bytes]:
    """The first lines of a conformance capture."""
    with gzip.open(CAPTURES / f"{name}.jsonl.gz") as file:
        return [line.rstrip(b"\n") for line in islice(file, lines_max) if line.strip()]


def clean(settings: Settings) -> None:
    """New, empty topics of this many partitions, and no committed offsets."""
    admin = admin_client(settings.kafka_bootstrap_servers)
    ours = {topic.name for topic in topics.TOPICS}
    until("groups are gone", lambda: all(group_gone(admin, group) for group in GROUPS))
    standing = [name for name in admin.list_topics(timeout=10).topics if name in ours]
    for future in (admin.delete_topics(standing) if standing else {}).values():
        future.result(20)
    until("old topics are gone", lambda: not ours & set(admin.list_topics(timeout=10).topics))
    create_topics(settings)


def group_gone(admin: AdminClient, group: str) -> bool:
    """Delete a group; False while the broker or a member of it is not done yet."""
    try:
        admin.delete_consumer_groups([group])[group].result(20)
    except TimeoutError:  # a broker that has only just begun has no coordinator yet
        return False
    except KafkaException as error:
        return error.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND
    return True


def feed(settings: Settings, lines: list[bytes]) -> int:
    """Send captured lines to the raw log, a pair to its partition and a status to all; gives the log's length."""
    with Feed(settings, lines, 0.0):
        pass
    return sum(end_offsets(settings, topics.RAW).values())


def partitions_of(line: bytes, count: int) -> list[int]:
    """The partitions that a line goes to: AAA, BBB, CCC to one after the other."""
    try:
        envelope = json.loads(line)
        if envelope.get("kind") == "status":
            return list(range(count))
        return [sum(str(envelope.get("pair")).encode()[:1]) % count]
    except (ValueError, AttributeError):
        return [0]


def end_offsets(settings: Settings, topic: str) -> dict[int, int]:
    """The end of each partition of a topic."""
    ends: dict[int, int] = until("offsets are told", lambda: _ends(settings, topic))
    return ends


def _ends(settings: Settings, topic: str) -> dict[int, int]:
    """Nothing while the client has yet to hear of a new topic, or of a broker that came back."""
    asked = {TopicPartition(topic, p): OffsetSpec.latest() for p in range(settings.partitions)}
    futures = admin_client(settings.kafka_bootstrap_servers).list_offsets(asked)
    try:
        return {tp.partition: future.result(20).offset for tp, future in futures.items()}
    except KafkaException:
        admin_client.cache_clear()
        return {}


@lru_cache
def admin_client(servers: str) -> AdminClient:
    """One client for all questions."""
    return AdminClient(client_config(Settings(kafka_bootstrap_servers=servers)))


def read(settings: Settings, *names: str) -> list[Record]:
    """Everything on these topics."""
    with Reader(settings, names) as reader:
        return list(reader.read_to_end())


def committed(settings: Settings) -> dict[int, int]:
    """What the worker's group has committed of the raw log."""
    try:
        # Not by the AdminClient: in it librdkafka 2.16 ends the process where the broker stands still.
        offsets = committed_offsets(settings, topics.WORKER_GROUP, topics.RAW)
    except KafkaUnavailableError:
        return {}  # a broker that has just come back
    return {partition: offset for partition, offset in offsets.items() if offset}


def caught_up(settings: Settings) -> bool:
    """Whether all of the raw log is committed."""
    ends = end_offsets(settings, topics.RAW)
    return committed(settings) == {partition: end for partition, end in ends.items() if end}


@dataclass
class Expected:
    """What the engine itself says to the raw log as it stands: results by topic and pair in order, dead letters."""

    results: Results = field(default_factory=dict)
    dead: dict[tuple[int, int], str] = field(default_factory=dict)
    records: int = 0

    @classmethod
    def of(cls, settings: Settings) -> "Expected":
        """Run a new engine over each partition."""
        expected = cls()
        engines = {p: PartitionEngine(settings.economics()) for p in range(settings.partitions)}
        for record in sorted(read(settings, topics.RAW), key=lambda r: (r.partition, r.offset)):
            expected.records += 1
            try:
                handled = engines[record.partition].on_event(decode_record(record.value), record.offset)
            except BadRecordError as error:
                expected.dead[record.partition, record.offset] = error.reason
                continue
            for message in handled.messages:
                key = topic_of(message), message.pair
                expected.results.setdefault(key, []).append(bare(encode_message(message)))
        return expected


def bare(value: bytes) -> str:
    """A result without the one field that is the clock's."""
    message = json.loads(value)
    message.pop("emitted_ns", None)
    return json.dumps(message, sort_keys=True)


@dataclass
class Sent:
    """What stands on the result topics: distinct results in order of their first appearance, and how many repeats."""

    results: Results = field(default_factory=dict)
    dead: dict[tuple[int, int], str] = field(default_factory=dict)
    repeats: int = 0

    @classmethod
    def of(cls, settings: Settings) -> "Sent":
        """Read the result topics and the dead letters."""
        sent, seen = cls(), set()
        for record in sorted(read(settings, *topics.RESULT_TOPICS), key=lambda r: (r.topic, r.partition, r.offset)):
            value = bare(record.value or b"")
            sent.repeats += (record.topic, value) in seen
            if (record.topic, value) not in seen:
                seen.add((record.topic, value))
                pair = (record.key or b"").decode()
                sent.results.setdefault((record.topic, pair), []).append(value)
        for record in read(settings, topics.DEAD_LETTERS):
            letter = json.loads(record.value or b"")
            assert letter["topic"] == topics.RAW and letter["origin"] == "worker"
            sent.dead[letter["partition"], letter["offset"]] = letter["reason"]
        return sent


class Worker:
    """`faust -A mts_stream.app worker` as a process of its own."""

    def __init__(
        self, settings: Settings, directory: Path, app: str = "mts_stream.app", port: int = 0, **environment: str
    ) -> None:
        self.port = port or free_port()
        self.name = environment.get("WORKER_INSTANCE_ID", "")
        self.log = directory / f"worker-{self.port}.log"
        variables = {
            "KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers,
            "PARTITIONS": str(settings.partitions),
            "CHECKPOINT_INTERVAL_S": str(settings.checkpoint_interval_s),
            "BROKER_SESSION_TIMEOUT_S": str(settings.broker_session_timeout_s),
            "WORKER_DATA_DIR": str(directory / "data"),
        }
        faust = Path(sys.executable).with_name("faust")
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [faust, "-A", app, "worker", "-l", "info", "--web-port", str(self.port)],
                env=os.environ | variables | environment, stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip

    def get(self, path: str) -> tuple[int, str]:
        """Status and body of a page; 0 where nothing answers."""
        return get_page(self.port, path)

    def metric(self, name: str) -> float:
        """The sum of a metric over its labels."""
        lines = self.get("/metrics")[1].splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.split("{")[0].split(" ")[0] == name)

    def ready(self) -> "Worker":
        """Return when it says that it is healthy."""
        until("worker is healthy", lambda: self.get("/health")[0] == 200 or self.process.poll() is not None)
        assert self.process.poll() is None, self.text()
        return self

    def partitions(self) -> int:
        """How many partitions of the raw log it says it has; none while it is not healthy."""
        return self.get("/health")[1].count("mts.raw-") if self.get("/health")[0] == 200 else 0

    def stop(self, sig: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and give the exit code."""
        self.process.send_signal(sig)
        return self.process.wait(30)

    def text(self) -> str:
        """Its log."""
        return self.log.read_text()

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)


class Feed:
    """Records going into the raw log in the background, a hundred at a time, until told to send all that is left."""

    def __init__(self, settings: Settings, lines: list[bytes], pause_s: float) -> None:
        self._settings, self._lines, self._pause_s = settings, lines, pause_s
        self._hurry = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Feed":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.finish()

    def finish(self) -> None:
        """Send the rest at once."""
        self._hurry.set()
        self._thread.join()

    def _run(self) -> None:
        producer = Producer(producer_config(self._settings))
        for number, line in enumerate(self._lines):
            for partition in partitions_of(line, self._settings.partitions):
                producer.produce(topics.RAW, line, partition=partition)
            if number % 100 == 99:
                producer.flush(20)
                self._hurry.wait(self._pause_s)
        producer.flush(20)
