"""The Apache Kafka broker as a child process."""

import asyncio
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import UnknownTopicOrPartitionError

from mts_stream.errors import LocalPartError
from mts_stream.local.broker import KafkaBroker
from mts_stream.local.broker_config import escaped, new_id, server_properties
from mts_stream.local.kafka_probe import ask_cluster

MakeBroker = Callable[[Path], KafkaBroker]
MESSAGE_BYTES = 4 * 1024 * 1024


async def create_topic(address: str, name: str) -> None:
    """Make a topic of one partition."""
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, num_partitions=1, replication_factor=1)])
    finally:
        await admin.close()


async def produce(address: str, topic: str, value: bytes) -> None:
    """Send one message and wait for its confirmation."""
    producer = AIOKafkaProducer(
        bootstrap_servers=address, acks="all", enable_idempotence=True, max_request_size=2 * MESSAGE_BYTES
    )
    await producer.start()
    try:
        await producer.send_and_wait(topic, value)
    finally:
        await producer.stop()


async def consume(address: str, topic: str, count: int) -> list[bytes]:
    """The first messages of a topic."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=address, auto_offset_reset="earliest", max_partition_fetch_bytes=2 * MESSAGE_BYTES
    )
    await consumer.start()
    try:
        consumer.assign([TopicPartition(topic, 0)])
        return [(await asyncio.wait_for(consumer.getone(), 30)).value for _ in range(count)]
    finally:
        await consumer.stop()


async def test_a_message_of_4_mib_passes(kafka: str) -> None:
    """The largest message that we allow goes in and comes out."""
    await create_topic(kafka, "large")
    value = os.urandom(MESSAGE_BYTES)
    await produce(kafka, "large", value)

    assert await consume(kafka, "large", 1) == [value]


async def test_topics_are_not_made_by_accident(kafka: str) -> None:
    """A message to a topic that does not exist is refused and makes none."""
    with pytest.raises((UnknownTopicOrPartitionError, TimeoutError)):
        await asyncio.wait_for(produce(kafka, "never-made", b"x"), 3)
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka)
    await consumer.start()
    topics = await consumer.topics()
    await consumer.stop()

    assert "never-made" not in topics


async def test_a_directory_is_taken_up_again(tmp_path: Path, make_broker: MakeBroker) -> None:
    """After a clean end, and after kill -9, a broker on other ports serves the same cluster and its messages."""
    first = make_broker(tmp_path)
    await first.start()
    cluster = await ask_cluster(first.port)
    await create_topic(first.address, "kept")
    await produce(first.address, "kept", b"before")
    await first.stop()
    second = make_broker(tmp_path)
    await second.start()
    await produce(second.address, "kept", b"after")
    os.kill(second.process.pid, signal.SIGKILL)
    await second.process.wait()
    third = make_broker(tmp_path)
    await third.start()
    messages = await consume(third.address, "kept", 2)
    same = await ask_cluster(third.port)
    await third.stop()

    assert messages == [b"before", b"after"]
    assert cluster is not None and cluster == same
    assert first.process.exit_code in (0, 143)
    assert not third.process.running


async def test_the_format_tool_makes_the_template(
    tmp_path: Path, make_broker: MakeBroker, java: Path, jars: list[Path]
) -> None:
    """The first format runs Kafka's own tool and keeps what it made; the next directory is made of that."""
    template = tmp_path / "template"
    for name in ("a", "b"):
        broker = KafkaBroker(tmp_path / name, java=java, jars=jars, log_path=tmp_path / "log", template=template)
        await broker.prepare()
    made = [(tmp_path / name / "data" / "bootstrap.checkpoint").read_bytes() for name in ("a", "b")]
    metas = [(tmp_path / name / "data" / "meta.properties").read_text() for name in ("a", "b")]

    assert made == [template.read_bytes()] * 2
    assert fields(metas[0]) == fields(metas[1])


def fields(meta: str) -> list[str]:
    """The names in a properties file."""
    return sorted(line.partition("=")[0] for line in meta.splitlines() if not line.startswith("#"))


async def test_a_port_in_use_is_told_in_one_line(tmp_path: Path, make_broker: MakeBroker) -> None:
    """A port that was taken in the meantime: the line names it and the option."""
    broker = make_broker(tmp_path)
    told = rf"Kafka cannot listen on 127\.0\.0\.1:{broker.port}: the port is in use"
    with socket.create_server(("127.0.0.1", broker.port)), pytest.raises(LocalPartError, match=told):
        await broker.start()

    assert not broker.process.running


async def test_another_broker_on_the_port_is_not_taken_for_ours(
    tmp_path: Path, kafka: str, jars: list[Path], java: Path
) -> None:
    """A port on which another Kafka answers already: the start fails and says so."""
    port = int(kafka.rpartition(":")[2])
    broker = KafkaBroker(tmp_path / "kafka", java=java, jars=jars, log_path=tmp_path / "kafka.log", port=port)
    with pytest.raises(LocalPartError, match=f"{port}: the port is in use"):
        await broker.start()

    assert not broker.process.running


async def test_a_full_disk_is_told_in_one_line(tmp_path: Path, make_broker: MakeBroker) -> None:
    """No space while preparing, or later in the broker's own log: the line names the directory and what to do."""
    broker = make_broker(tmp_path)
    (tmp_path / "kafka").mkdir()
    (tmp_path / "kafka" / "server.properties").symlink_to("/dev/full")
    with pytest.raises(LocalPartError, match=r"no space left on the disk of .*kafka: free some room there"):
        await broker.start()
    broker.process.log_path.parent.mkdir(exist_ok=True)
    broker.process.log_path.write_text("java.io.IOException: No space left on device\n")
    assert "no space left on the disk" in str(broker.explain_end())


async def test_a_java_that_cannot_run_the_broker_is_told_in_one_line(tmp_path: Path, make_broker: MakeBroker) -> None:
    """What ends at once is explained by its last words, with the path of the log."""
    broker = KafkaBroker(tmp_path / "kafka", java=Path("/nowhere/java"), jars=[], log_path=tmp_path / "kafka.log")
    with pytest.raises(LocalPartError, match=r"could not be prepared \(cannot run /nowhere/java.*kafka.out"):
        await broker.start()
    (tmp_path / "kafka" / "data" / "meta.properties").write_text("version=1\n")
    with pytest.raises(LocalPartError, match=r"Kafka ended with code 127 \(cannot run /nowhere/java"):
        await broker.start()


async def test_a_second_broker_in_a_directory_is_told_in_one_line(tmp_path: Path, make_broker: MakeBroker) -> None:
    """Kafka's own lock keeps two brokers apart, and the line says so."""
    broker = make_broker(tmp_path)
    broker.process.log_path.parent.mkdir(parents=True)
    broker.process.log_path.write_text(
        "org.apache.kafka.common.KafkaException: Failed to acquire lock on file .lock in /x.\n"
    )

    assert "another broker does" in str(broker.explain_end())


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\x00\x00\x00\x05abcde",
        b"\x00\x00\x00\x10" + bytes(8) + b"\x00\x00\x00\x09" + bytes(4),
    ],
)
async def test_a_port_that_is_not_kafkas_gives_no_answer(answer: bytes) -> None:
    """Whatever another server answers, the probe takes it for no broker."""

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        assert await ask_cluster(port) is None


def test_the_configuration_is_one_node_on_loopback() -> None:
    """Nothing listens beyond this machine, and paths are written as Java reads them."""
    text = server_properties(Path("/data"), 1, 2)

    assert "listeners=PLAINTEXT://127.0.0.1:1,CONTROLLER://127.0.0.1:2\n" in text
    assert "auto.create.topics.enable=false\n" in text
    assert escaped("a\\b") == "a\\\\b"


def test_ids_have_kafkas_form() -> None:
    """22 characters of URL-safe Base64, and never a dash first."""
    ids = [new_id() for _ in range(500)]

    assert all(len(each) == 22 and each[0] != "-" for each in ids)
