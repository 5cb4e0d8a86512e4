"""Topics, readers and small senders against a real broker, and what is said when none answers."""

import secrets
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, ConfigResource

from mts_stream.errors import DeliveryError, KafkaUnavailableError, SettingsError
from mts_stream.settings import Settings, load_settings
from mts_stream.wire.kafka import (
    Reader,
    client_config,
    cluster_id,
    committed_offsets,
    create_topics,
    producer_config,
    send_all,
    topic_partitions,
)
from mts_stream.wire.topics import Topic

PARTITIONS = 3


@pytest.fixture
def cluster(kafka: str) -> Settings:
    """Settings for the real broker."""
    return load_settings(kafka_bootstrap_servers=kafka, partitions=PARTITIONS)


@pytest.fixture
def topic(cluster: Settings) -> str:
    """A topic of the test's own."""
    name = f"test.{secrets.token_hex(4)}"
    create_topics(cluster, [Topic(name, "a test's")])
    return name


@pytest.fixture
def nobody() -> Iterator[Settings]:
    """Settings for an address where nothing listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield load_settings(kafka_bootstrap_servers=f"127.0.0.1:{held.getsockname()[1]}")


def values(reader: Reader, count: int, give_up_s: float = 15.0) -> list[bytes | None]:
    """The next values a reader sees, at most so many."""
    seen: list[bytes | None] = []
    deadline = time.monotonic() + give_up_s
    while len(seen) < count and time.monotonic() < deadline:
        seen += [record.value for record in reader.poll(0.2)]
    return seen


def test_topics_are_created_once_as_the_table_says(cluster: Settings) -> None:
    """Missing topics are created with their partitions and settings; those that stand are left alone."""
    kept = Topic(f"test.{secrets.token_hex(4)}", "", partitioned=False, retention_ms=60_000)
    compacted = Topic(f"test.{secrets.token_hex(4)}", "", compacted=True)

    assert create_topics(cluster, [kept, compacted]) == sorted([kept.name, compacted.name])
    assert create_topics(cluster, [kept, compacted]) == []
    counts = topic_partitions(cluster)
    assert (counts[kept.name], counts[compacted.name]) == (1, PARTITIONS)
    assert settings_of(cluster, kept.name)["retention.ms"] == "60000"
    assert settings_of(cluster, compacted.name)["cleanup.policy"] == "compact"


def settings_of(cluster: Settings, topic: str) -> dict[str, str]:
    """A topic's settings as the broker has them."""
    admin = AdminClient(client_config(cluster))
    (answer,) = admin.describe_configs([ConfigResource("topic", topic)]).values()
    return {name: entry.value for name, entry in answer.result(10).items()}


def test_another_number_of_partitions_is_refused(cluster: Settings, topic: str) -> None:
    """A topic's number of partitions decides who holds which pair, so it is never changed in silence."""
    with pytest.raises(SettingsError, match=f"PARTITIONS=5: topic {topic} stands with {PARTITIONS}"):
        create_topics(cluster.model_copy(update={"partitions": 5}), [Topic(topic, "")])


def test_two_who_create_at_once_agree(cluster: Settings) -> None:
    """Workers that start together create each topic once, and none goes on before it is there to be read."""
    new = [Topic(f"test.{secrets.token_hex(4)}", "") for _ in range(5)]
    with ThreadPoolExecutor(3) as pool:
        created = list(pool.map(lambda _: create_topics(cluster, new), range(3)))

    assert sorted(name for names in created for name in names) == sorted(topic.name for topic in new)
    assert {topic.name for topic in new} <= topic_partitions(cluster).keys()


def test_a_cluster_has_an_id(cluster: Settings) -> None:
    """The cluster's id is told, and is the same each time."""
    assert len(cluster_id(cluster)) > 10
    assert cluster_id(cluster) == cluster_id(cluster)


def test_everything_sent_is_read_in_order(cluster: Settings, topic: str) -> None:
    """A reader without a group sees all partitions from the beginning, each key's records in order."""
    sent = [(f"k{i % 5}".encode(), b"%d" % i) for i in range(2000)]

    assert send_all(cluster, ((topic, key, value) for key, value in sent)) == 2000
    with Reader(cluster, [topic]) as reader:
        records = list(reader.read_to_end())

    assert sorted((r.key, r.value) for r in records) == sorted(sent)
    for key in {key for key, _ in sent}:
        numbers = [int(r.value or b"") for r in records if r.key == key]
        assert numbers == sorted(numbers)
    assert len({r.partition for r in records}) == PARTITIONS


def test_an_empty_topic_ends_at_once(cluster: Settings, topic: str) -> None:
    """Where nothing stands, reading to the end takes nothing and does not wait."""
    with Reader(cluster, [topic]) as reader:
        assert list(reader.read_to_end(give_up_s=5)) == []


def test_reading_to_the_end_leaves_out_what_comes_meanwhile(cluster: Settings, topic: str) -> None:
    """The end is the one that stood when reading began."""
    send_all(cluster, [(topic, b"k", b"before")] * 3)
    with Reader(cluster, [topic]) as reader:
        records = reader.read_to_end()
        seen = [next(records).value]
        send_all(cluster, [(topic, b"k", b"after")] * 3)
        seen += [record.value for record in records]

    assert seen == [b"before"] * 3


def test_a_reader_may_begin_at_a_time(cluster: Settings, topic: str) -> None:
    """From a time on: younger records are seen, older ones are not, and what comes later is."""
    send_all(cluster, [(topic, b"k", b"old")])
    with Reader(cluster, [topic]) as reader:
        (old,) = list(reader.read_to_end())
    wait_past(old.timestamp_ms)
    send_all(cluster, [(topic, b"k", b"new")])

    with Reader(cluster, [topic], from_ms=old.timestamp_ms + 1) as reader:
        assert values(reader, 1) == [b"new"]
    with Reader(cluster, [topic], from_ms=old.timestamp_ms + 3_600_000) as reader:
        send_all(cluster, [(topic, b"k", b"newest")])
        assert values(reader, 1) == [b"newest"]


def wait_past(timestamp_ms: int) -> None:
    """Until the clock that stamps records has moved on."""
    deadline = time.monotonic() + 5
    while time.time() * 1000 <= timestamp_ms + 2 and time.monotonic() < deadline:
        time.sleep(0.001)


def test_a_missing_topic_is_named(cluster: Settings) -> None:
    """Reading a topic that does not exist says which, and how to create it."""
    with pytest.raises(KafkaUnavailableError, match=r"test\.nowhere does not exist .* `mts-stream topics create`"):
        Reader(cluster, ["test.nowhere"])


def test_end_offsets_count_the_records(cluster: Settings, topic: str) -> None:
    """The ends of all partitions add up to what was sent."""
    send_all(cluster, [(topic, b"%d" % i, b"v") for i in range(50)])
    with Reader(cluster, [topic]) as reader:
        ends = reader.end_offsets()

    assert len(ends) == PARTITIONS and sum(ends.values()) == 50


def test_committed_offsets_are_a_groups_own(cluster: Settings, topic: str) -> None:
    """What a group has committed is told by partition; who has not committed has none."""
    group = f"test-{secrets.token_hex(4)}"
    send_all(cluster, [(topic, b"k", b"v")] * 4)
    with Reader(cluster, [topic]) as reader:
        partition = next(iter(reader.read_to_end())).partition
    assert committed_offsets(cluster, group, topic) == {}
    commit_all(cluster, group, topic)

    assert committed_offsets(cluster, group, topic)[partition] == 4


def commit_all(cluster: Settings, group: str, topic: str) -> None:
    """Read a topic as a member of a group and commit its end."""
    consumer = Consumer(client_config(cluster, **{"group.id": group, "auto.offset.reset": "earliest"}))
    consumer.subscribe([topic])
    try:
        left, deadline = 4, time.monotonic() + 30
        while left and time.monotonic() < deadline:
            left -= len(consumer.consume(left, 1.0))
        consumer.commit(asynchronous=False)
    finally:
        consumer.close()


def test_producers_share_one_partitioner(cluster: Settings, topic: str) -> None:
    """Our producers place a key where Java's and aiokafka's do: murmur2, so a pair has one partition."""
    assert producer_config(cluster)["partitioner"] == "murmur2_random"
    producer, placed = Producer(producer_config(cluster)), []
    for key in (b"BTC-USDT", b"ETH-USDT", b"SOL-USDT", b"XRP-USDT"):
        producer.produce(topic, b"v", key, on_delivery=lambda _, message: placed.append(message))
    producer.flush(10)

    assert {m.key(): m.partition() for m in placed} == {m.key(): murmur2(m.key()) % PARTITIONS for m in placed}
    assert len(placed) == 4


def murmur2(key: bytes) -> int:
    """Kafka's default hash of a key, as its Java client defines it."""
    mask, m = 0xFFFFFFFF, 0x5BD1E995
    h = (0x9747B28C ^ len(key)) & mask
    whole = len(key) // 4 * 4
    for i in range(0, whole, 4):
        k = int.from_bytes(key[i : i + 4], "little") * m & mask
        h = h * m & mask ^ (k ^ k >> 24) * m & mask
    if tail := key[whole:]:
        h = (h ^ int.from_bytes(tail, "little")) * m & mask
    h = (h ^ h >> 13) * m & mask
    return (h ^ h >> 15) & 0x7FFFFFFF


def test_a_refused_record_is_an_error(cluster: Settings, topic: str) -> None:
    """A record that the topic does not take is told, not lost in silence."""
    with pytest.raises(DeliveryError, match="1 of 2 records not confirmed"):
        send_all(cluster, [(topic, b"k", b"v"), ("test.nowhere", b"k", b"v")], timeout_s=3)


@pytest.mark.parametrize("ask", [create_topics, topic_partitions, cluster_id, lambda s: Reader(s, ["mts.raw"])])
def test_no_answer_is_told_with_the_address(nobody: Settings, ask: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no broker answers, one line names the address, the variable, and what to do."""
    monkeypatch.setattr("mts_stream.wire.kafka.ANSWER_S", 1.0)
    with pytest.raises(KafkaUnavailableError) as told:
        ask(nobody)  # type: ignore[operator]

    assert nobody.kafka_bootstrap_servers in str(told.value) and "KAFKA_BOOTSTRAP_SERVERS" in str(told.value)
    assert "\n" not in str(told.value)


def test_security_is_handed_to_the_client() -> None:
    """User, password and certificate authority reach the client when SASL over TLS is asked for."""
    config = client_config(
        load_settings(
            kafka_security_protocol="SASL_SSL", kafka_sasl_mechanism="SCRAM-SHA-512", kafka_sasl_username="u",
            kafka_sasl_password="p", kafka_ssl_ca_location="/etc/ca.pem",
        )
    )  # fmt: skip

    assert (config["security.protocol"], config["sasl.mechanism"]) == ("SASL_SSL", "SCRAM-SHA-512")
    assert (config["sasl.username"], config["sasl.password"]) == ("u", "p")
    assert config["ssl.ca.location"] == "/etc/ca.pem"
