"""Kafka beside the worker's stream and the producers' publisher: admin, readers, small senders."""

import time
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from mts_stream.errors import DeliveryError, KafkaUnavailableError, SettingsError
from mts_stream.settings import Settings
from mts_stream.wire.topics import TOPICS, Topic

ANSWER_S = 10.0
RESULTS_LINGER_MS = 1
RESULTS_KIB_MAX = 65_536
SHOWN_POLL_S = 0.05
POLL_RECORDS = 500
LEADER_WAIT_S = 0.05
LATEST, EARLIEST = -1, -2  # what Kafka's ListOffsets takes in place of a time
LEADERLESS = (
    KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE, KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError.FENCED_LEADER_EPOCH, KafkaError.UNKNOWN_LEADER_EPOCH, KafkaError.OFFSET_NOT_AVAILABLE,
)  # fmt: skip


class Record(NamedTuple):
    """One record read: `timestamp_ms` is the broker's append time."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    timestamp_ms: int


def client_config(settings: Settings, **more: Any) -> dict[str, Any]:
    """librdkafka's settings for the configured cluster, security included."""
    config: dict[str, Any] = {
        "bootstrap.servers": settings.kafka_bootstrap_servers,
        "security.protocol": settings.kafka_security_protocol,
        "log_level": 2,  # it repeats "connection refused" 20 times a second; our errors and logs say it once
        "reconnect.backoff.ms": 100,
        "reconnect.backoff.max.ms": 2000,
    }
    if settings.kafka_security_protocol.startswith("SASL"):
        config["sasl.mechanism"] = settings.kafka_sasl_mechanism
        config["sasl.username"] = settings.kafka_sasl_username
        config["sasl.password"] = settings.kafka_sasl_password.get_secret_value()
    if settings.kafka_ssl_ca_location:
        config["ssl.ca.location"] = settings.kafka_ssl_ca_location
    return config | more


def producer_config(settings: Settings, **more: Any) -> dict[str, Any]:
    """The settings every producer of ours shares: murmur2 as in Java and aiokafka, acks=all, idempotent."""
    return client_config(
        settings,
        **{
            "partitioner": "murmur2_random",
            "acks": "all",
            "enable.idempotence": True,
            "linger.ms": 5,
            "compression.type": "lz4",
            "message.max.bytes": 4 * 2**20,
        }
        | more,
    )


def results_producer(settings: Settings) -> Any:
    """The worker's producer of results: keeps what it took until the broker has it, and lets nothing wait long."""
    limits = {
        "queue.buffering.max.messages": 2 * settings.results_unsent_max,  # the outbox is what bounds it
        "queue.buffering.max.kbytes": RESULTS_KIB_MAX,
        "message.timeout.ms": 0,
        "linger.ms": RESULTS_LINGER_MS,
    }
    return Producer(producer_config(settings, **limits), logger=None)


def unavailable(settings: Settings, error: object) -> KafkaUnavailableError:
    """What to raise where Kafka does not answer: it names the servers and the variable."""
    where = settings.kafka_bootstrap_servers
    return KafkaUnavailableError(
        f"Kafka does not answer at {where} (KAFKA_BOOTSTRAP_SERVERS): {error}; "
        "start it, or set the address of one that runs"
    )


def create_topics(settings: Settings, topics: Iterable[Topic] = TOPICS) -> list[str]:
    """Create the topics that are missing, wait until the broker shows them, and return the names of those created.

    Raises KafkaUnavailableError, and SettingsError where a topic stands with another number of partitions.
    """
    admin = AdminClient(client_config(settings))
    wanted = tuple(topics)
    standing = _standing(settings, admin, wanted)
    created = _create(settings, admin, [topic for topic in wanted if topic.name not in standing])
    # Another process may have created one just now, in its own way; and a broker shows a new topic a moment later.
    deadline = time.monotonic() + ANSWER_S
    while len(_standing(settings, admin, wanted)) < len(wanted):
        if time.monotonic() > deadline:
            raise unavailable(settings, "topics that were created are not to be seen")
        time.sleep(SHOWN_POLL_S)
    return created


def _standing(settings: Settings, admin: AdminClient, wanted: Iterable[Topic]) -> set[str]:
    """Which of the topics stand; raises SettingsError for one with another number of partitions."""
    counts = _partition_counts(settings, admin)
    for topic in wanted:
        if counts.get(topic.name, _count(settings, topic)) != _count(settings, topic):
            raise SettingsError(
                f"PARTITIONS={settings.partitions}: topic {topic.name} stands with {counts[topic.name]} partitions, "
                "which cannot be changed in place; set PARTITIONS to that number or use a new cluster"
            )
    return {topic.name for topic in wanted if topic.name in counts}


def _count(settings: Settings, topic: Topic) -> int:
    return settings.partitions if topic.partitioned else 1


def _create(settings: Settings, admin: AdminClient, missing: Iterable[Topic]) -> list[str]:
    new = [NewTopic(t.name, _count(settings, t), settings.replication_factor, config=t.config()) for t in missing]
    answers = admin.create_topics(new, request_timeout=ANSWER_S) if new else {}
    created = []
    for name, future in answers.items():
        try:
            future.result(ANSWER_S)
            created.append(name)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise unavailable(settings, error.args[0].str()) from error
    return sorted(created)


def topic_partitions(settings: Settings) -> dict[str, int]:
    """The number of partitions of every topic that stands; raises KafkaUnavailableError."""
    return _partition_counts(settings, AdminClient(client_config(settings)))


def cluster_id(settings: Settings) -> str:
    """The cluster's id, which is new with every new cluster; raises KafkaUnavailableError."""
    try:
        return str(AdminClient(client_config(settings)).list_topics(timeout=ANSWER_S).cluster_id)
    except KafkaException as error:
        raise unavailable(settings, error.args[0].str()) from error


def _partition_counts(settings: Settings, admin: AdminClient) -> dict[str, int]:
    try:
        metadata = admin.list_topics(timeout=ANSWER_S)
    except KafkaException as error:
        raise unavailable(settings, error.args[0].str()) from error
    return {name: len(topic.partitions) for name, topic in metadata.topics.items()}


class Reader:
    """Reads topics without a consumer group: every partition, or those named, from the beginning or a time on."""

    def __init__(
        self, settings: Settings, topics: Iterable[str], *, from_ms: int | None = None,
        partitions: Iterable[int] | None = None,
    ) -> None:  # fmt: skip
        self.settings = settings
        self.topics = tuple(topics)
        self._only = None if partitions is None else frozenset(partitions)
        self._behind: dict[tuple[str, int], int] = {}
        self._started: dict[tuple[str, int], int] = {}
        self.ahead = 0  # offsets between the start and the end that stood then
        self._consumer = Consumer(
            client_config(
                settings,
                **{
                    "group.id": "mts-reader",
                    "enable.auto.commit": False,
                    "enable.partition.eof": False,
                    "auto.offset.reset": "earliest",
                    "queued.max.messages.kbytes": 16_384,
                    "fetch.wait.max.ms": 50,
                },
            )
        )
        try:
            self._consumer.assign(self._starts(from_ms))
        except BaseException:
            self._consumer.close()
            raise

    def _starts(self, from_ms: int | None) -> list[TopicPartition]:
        try:
            topics = self._consumer.list_topics(timeout=ANSWER_S).topics
            missing = [name for name in self.topics if name not in topics or topics[name].error]
            if missing:
                raise KafkaUnavailableError(
                    f"topic {missing[0]} does not exist at {self.settings.kafka_bootstrap_servers}; "
                    "run `mts-stream topics create`"
                )
            partitions = [
                TopicPartition(name, number, EARLIEST)
                for name in self.topics
                for number in topics[name].partitions
                if self._only is None or number in self._only
            ]
            # The ends first: where no record is that young the answer is "the end", and what came meanwhile counts.
            ends = self._offsets_at(partitions, LATEST)
            found = self._offsets_at(partitions, EARLIEST if from_ms is None else from_ms)
            starts = [start if start.offset >= 0 else end for start, end in zip(found, ends, strict=True)]
            behind = [(start, end) for start, end in zip(starts, ends, strict=True) if start.offset < end.offset]
            self._behind = {(end.topic, end.partition): end.offset for _, end in behind}
            self._started = {(start.topic, start.partition): start.offset for start in starts}
            self.ahead = sum(end.offset - start.offset for start, end in behind)
            return starts
        except KafkaException as error:
            raise unavailable(self.settings, error.args[0].str()) from error

    def _offsets_at(self, partitions: list[TopicPartition], timestamp_ms: int) -> list[TopicPartition]:
        """One request for all partitions; waits while one has no leader, as in a topic's first moments."""
        deadline = time.monotonic() + ANSWER_S
        while True:
            try:
                asked = [TopicPartition(tp.topic, tp.partition, timestamp_ms) for tp in partitions]
                found = list(self._consumer.offsets_for_times(asked, timeout=ANSWER_S))
                problem = next((tp.error for tp in found if tp.error is not None), None)
            except KafkaException as error:
                found, problem = [], error.args[0]
            if problem is None:
                return found
            if problem.code() not in LEADERLESS or time.monotonic() > deadline:
                raise unavailable(self.settings, problem.str())
            time.sleep(LEADER_WAIT_S)

    def poll(self, timeout_s: float) -> list[Record]:
        """At most POLL_RECORDS that have come; waits `timeout_s` for the first. Blocks: call it from a thread."""
        records = [record for m in self._consumer.consume(POLL_RECORDS, timeout_s) if (record := self._record(m))]
        for record in records if self._behind else ():
            key = (record.topic, record.partition)
            if key in self._behind and record.offset + 1 >= self._behind[key]:
                del self._behind[key]
        return records

    @property
    def caught_up(self) -> bool:
        """Whether everything that stood when this reader began has been read."""
        return not self._behind

    def _record(self, message: Message) -> Record | None:
        error = message.error()
        if error is not None:
            if error.retriable() or error.code() in (KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN):
                return None  # librdkafka goes on by itself; the reader shows the age of its data
            raise KafkaUnavailableError(f"reading {', '.join(self.topics)}: {error.str()}")
        return Record(
            message.topic() or "", message.partition() or 0, message.offset() or 0,
            message.key(), message.value(), message.timestamp()[1],
        )  # fmt: skip

    def end_offsets(self) -> dict[tuple[str, int], int]:
        """The offset after the last record of each partition, as the broker has it now."""
        return self._bounds(LATEST)

    def begin_offsets(self) -> dict[tuple[str, int], int]:
        """The offset of the first record that each partition still has."""
        return self._bounds(EARLIEST)

    def _bounds(self, which: int) -> dict[tuple[str, int], int]:
        found = self._offsets_at(self._consumer.assignment(), which)
        return {(tp.topic, tp.partition): tp.offset for tp in found}

    def read_to_end(self, give_up_s: float = 60.0) -> Iterator[Record]:
        """Everything up to the end that stands now; raises KafkaUnavailableError when nothing comes any more."""
        begins, ends = self.begin_offsets(), self.end_offsets()
        left = {key for key, end in ends.items() if end > max(begins[key], self._started[key])}
        last = time.monotonic()
        while left:
            for record in self.poll(0.2):
                last = time.monotonic()
                key = (record.topic, record.partition)
                if record.offset < ends[key]:
                    yield record
                if record.offset >= ends[key] - 1:
                    left.discard(key)
            if time.monotonic() - last > give_up_s:
                raise KafkaUnavailableError(
                    f"no record came for {give_up_s:.0f} s; {len(left)} partitions not at their end"
                )

    def close(self) -> None:
        """Leave."""
        self._consumer.close()

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def group_members(settings: Settings, group: str) -> int:
    """How many consumers a group has now; raises KafkaUnavailableError."""
    admin = AdminClient(client_config(settings))  # kept by its name: answers need it until they have come
    answers = admin.describe_consumer_groups([group], request_timeout=ANSWER_S)
    try:
        return len(answers[group].result().members)
    except KafkaException as error:
        if error.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND:
            return 0
        raise unavailable(settings, error.args[0].str()) from error


def committed_offsets(settings: Settings, group: str, topic: str) -> dict[int, int]:
    """The offsets a group has committed, by partition; partitions without one are left out."""
    with GroupOffsets(settings, group, [topic]) as offsets:
        return {partition: offset for (_, partition), offset in offsets.read().items()}


class GroupOffsets:
    """What a consumer group has committed in some topics, asked over one connection as often as one likes."""

    def __init__(self, settings: Settings, group: str, topics: Iterable[str]) -> None:
        self.settings = settings
        counts = topic_partitions(settings)
        self._partitions = [(name, p) for name in topics for p in range(counts.get(name, 0))]
        self._consumer = Consumer(client_config(settings, **{"group.id": group, "enable.auto.commit": False}))

    def read(self) -> dict[tuple[str, int], int]:
        """The committed offsets by topic and partition; raises KafkaUnavailableError. Blocks."""
        try:
            answer = self._consumer.committed([TopicPartition(*each) for each in self._partitions], timeout=ANSWER_S)
        except KafkaException as error:
            raise unavailable(self.settings, error.args[0].str()) from error
        return {(tp.topic, tp.partition): tp.offset for tp in answer if tp.offset >= 0}

    def close(self) -> None:
        """Leave."""
        self._consumer.close()

    def __enter__(self) -> "GroupOffsets":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def send_all(settings: Settings, records: Iterable[tuple[str, bytes | None, bytes]], timeout_s: float = 30.0) -> int:
    """Send (topic, key, value) records and wait until Kafka has confirmed all; for tools and tests.

    Raises DeliveryError.
    """
    failures: list[str] = []

    def confirmed(error: KafkaError | None, message: Message) -> None:
        if error is not None:
            failures.append(f"{message.topic()}: {error.str()}")

    producer = Producer(producer_config(settings))
    count = 0
    for topic, key, value in records:
        while True:
            try:
                producer.produce(topic, value, key, on_delivery=confirmed)
                break
            except BufferError:
                producer.poll(0.1)
        count += 1
        producer.poll(0)
    unconfirmed = producer.flush(timeout_s)
    if failures or unconfirmed:
        raise DeliveryError(f"{unconfirmed + len(failures)} of {count} records not confirmed: {failures[:1]}")
    return count
