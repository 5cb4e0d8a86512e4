"""How the worker starts where it cannot: it waits for Kafka, and says in one line what is wrong with its settings."""

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path

from mts_stream.local.broker import KafkaBroker
from mts_stream.settings import Settings
from mts_stream.wire import topics
from mts_stream.wire.kafka import topic_partitions
from tests.integration.worker_parts import Expected, Sent, Worker, capture, caught_up, clean, feed, until


async def test_without_kafka_it_waits_and_with_kafka_away_it_resumes(
    make_broker: Callable[[Path], KafkaBroker], tmp_path: Path
) -> None:
    """Down at the start: it says so and waits, then makes the topics. Away in between: it goes on where it was."""
    broker = make_broker(tmp_path)
    settings = Settings(
        kafka_bootstrap_servers=broker.address, partitions=2, checkpoint_interval_s=0.5, broker_session_timeout_s=6
    )
    first, second = capture("random-a", 1500), capture("random-b", 1500)
    with Worker(settings, tmp_path) as worker:
        try:
            await asyncio.to_thread(
                until, "it says that it waits", lambda: worker.text().count("waiting for Kafka") > 1
            )
            assert worker.get("/health")[0] == 0
            await broker.start()
            await asyncio.to_thread(worker.ready)
            assert topic_partitions(settings).keys() >= {topic.name for topic in topics.TOPICS}
            await asyncio.to_thread(feed, settings, first)
            await broker.stop()
            await asyncio.to_thread(
                until, "it says that Kafka is away", lambda: "KAFKA_BOOT" in worker.get("/health")[1]
            )
            assert worker.get("/health")[0] == 503
            await broker.start()
            await asyncio.to_thread(worker.ready)
            await asyncio.to_thread(feed, settings, second)
            await asyncio.to_thread(until, "all is committed", lambda: caught_up(settings))
            assert await asyncio.to_thread(worker.stop) == 0
            assert Sent.of(settings).results == Expected.of(settings).results
            assert worker.text().count("Kafka is away") == worker.text().count("Kafka is back") == 1
            assert worker.text().count("Unable connect to node") < 30, "the libraries' lines are limited"
        finally:
            await broker.stop()


def test_it_can_be_ended_while_it_waits(tmp_path: Path) -> None:
    """SIGTERM before there is a broker: code 0 and no traceback."""
    with Worker(Settings(kafka_bootstrap_servers="127.0.0.1:1"), tmp_path) as worker:
        until("it waits", lambda: "waiting for Kafka" in worker.text())

        assert worker.stop() == 0
        assert "Traceback" not in worker.text()


def test_a_wrong_setting_is_one_line_and_code_2(tmp_path: Path) -> None:
    """The variable is named, nothing else is printed."""
    with Worker(Settings(), tmp_path, MIN_NOTIONAL="-1") as worker:
        assert worker.process.wait(30) == 2

        assert worker.text().startswith("error: MIN_NOTIONAL='-1'")
        assert worker.text().count("\n") == 1


def test_a_port_in_use_is_one_line_and_code_1(tmp_path: Path) -> None:
    """The line names address and variable; Faust has started nothing yet."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with Worker(Settings(), tmp_path, port=port) as worker:
            assert worker.process.wait(30) == 1

    (line,) = (line for line in worker.text().splitlines() if line.startswith("error: "))
    assert line.startswith(f"error: the worker's web server cannot listen on 127.0.0.1:{port} (WORKER_WEB_PORT)")
    assert "Traceback" not in worker.text()


def test_another_number_of_partitions_is_refused(kafka: str, tmp_path: Path) -> None:
    """Topics that stand with another number: code 2, and the line says which and what to do."""
    settings = Settings(kafka_bootstrap_servers=kafka, partitions=3)
    clean(settings)
    with Worker(settings, tmp_path, PARTITIONS="5") as worker:
        assert worker.process.wait(30) == 2

        assert "error: PARTITIONS=5: topic mts.raw stands with 3 partitions" in worker.text()
