"""Records before an offset, on a real broker."""

import secrets
import socket
import time

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from mts_stream.errors import KafkaUnavailableError
from mts_stream.settings import Settings
from mts_stream.wire import looking_back
from mts_stream.wire.kafka import client_config, producer_config
from mts_stream.wire.looking_back import records_before


@pytest.fixture(scope="module")
def cluster(kafka: str) -> Settings:
    """Settings for the real broker."""
    return Settings(kafka_bootstrap_servers=kafka)


@pytest.fixture(scope="module")
def topic(cluster: Settings) -> str:
    """Ten records a second apart, the newest a second old."""
    name, now_ms = f"test.{secrets.token_hex(4)}", time.time_ns() // 10**6
    new = NewTopic(name, 1, 1, config={"message.timestamp.type": "CreateTime"})
    admin = AdminClient(client_config(cluster))  # kept by its name: the answer needs it
    admin.create_topics([new])[name].result(10)
    producer = Producer(producer_config(cluster))
    for number in range(10):
        producer.produce(name, b"%d" % number, b"k", 0, timestamp=now_ms - 1000 * (10 - number))
    assert producer.flush(10) == 0
    return name


@pytest.mark.parametrize(
    ("offset", "back_s", "found"), [(8, 3.5, [5, 6, 7]), (2, 60, [0, 1]), (10, 60, list(range(10))), (0, 60, [])]
)
def test_it_gives_what_came_before(cluster: Settings, topic: str, offset: int, back_s: float, found: list[int]) -> None:
    """So many seconds before the record at the offset; where the log ends there, before now."""
    records = list(records_before(cluster, topic, 0, offset, back_s))

    assert [(record.offset, record.key, record.value) for record in records] == [(o, b"k", b"%d" % o) for o in found]


def test_it_says_where_no_broker_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """As all that asks Kafka."""
    monkeypatch.setattr(looking_back, "ANSWER_S", 0.2)
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        nobody = Settings(kafka_bootstrap_servers=f"127.0.0.1:{held.getsockname()[1]}")
        with pytest.raises(KafkaUnavailableError, match="KAFKA_BOOTSTRAP_SERVERS"):
            list(records_before(nobody, "mts.raw", 0, 5, 60))
