"""What the engines run on: a real broker of their own, the log in a topic, and what each of them sent."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from mts_stream.local.broker import KafkaBroker
from mts_stream.local.download_view import LineView
from mts_stream.local.jars import format_template, kafka_jars
from mts_stream.local.java import find_java
from mts_stream.settings import load_settings
from mts_stream.wire.kafka import Reader, client_config, producer_config
from tests.background import running
from tests.benchmarks.same_job.log import Message

HEAP_MB = 512
TOPIC = "job.raw"


@contextmanager
def broker(directory: Path, tell: "LineView") -> Iterator[str]:
    """The address of an Apache Kafka broker that ends with the block."""
    made = KafkaBroker(
        directory / "kafka", java=find_java(), jars=kafka_jars(tell), log_path=directory / "kafka.log",
        heap_mb=HEAP_MB, template=format_template(),
    )  # fmt: skip
    with running(made):
        yield made.address


class Ground:
    """Topics on one broker."""

    def __init__(self, address: str, partitions: int) -> None:
        self.address, self.partitions = address, partitions
        self._settings = load_settings(kafka_bootstrap_servers=address, partitions=partitions)
        self._admin = AdminClient(client_config(self._settings), logger=None)

    def make_topic(self, name: str) -> None:
        """An empty topic of that many partitions."""
        for made in self._admin.create_topics([NewTopic(name, self.partitions, 1)]).values():
            made.result(30)

    def load(self, messages: list[Message]) -> None:
        """All messages into the topic, in their order, as the producers send: lz4, murmur2, idempotent."""
        self.make_topic(TOPIC)
        producer = Producer(producer_config(self._settings, **{"queue.buffering.max.messages": len(messages) + 1}))
        for key, value in messages:
            producer.produce(TOPIC, value, key)
        left = producer.flush(120)
        assert not left, f"{left} messages were not confirmed"

    def results(self, topic: str) -> list[Message]:
        """All that an engine sent, each partition in its order."""
        with Reader(self._settings, (topic,)) as reader:
            records = sorted(reader.read_to_end(), key=lambda record: (record.partition, record.offset))
        return [(record.key or b"", record.value or b"") for record in records]
