"""Fixtures of real parts: `kafka` (address of an Apache Kafka broker) and `clickhouse` (URL of a ClickHouse gateway).

Each test process starts its own, once, and only when a test asks for it; both die with the process.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mts_stream.local.broker import KafkaBroker
from mts_stream.local.clickhouse import ClickHouseGateway
from mts_stream.local.download_view import LineView
from mts_stream.local.jars import format_template, kafka_jars
from mts_stream.local.java import find_java
from tests.background import Background

TEST_HEAP_MB = 256
TEST_MEMORY_BYTES = 600_000_000


@pytest.fixture(scope="session")
def _parts_loop() -> Iterator[Background]:
    with Background() as loop:
        yield loop


@pytest.fixture(scope="session")
def jars() -> list[Path]:
    """The broker's jars, downloaded if this machine never had them."""
    return kafka_jars(LineView(print))


@pytest.fixture(scope="session")
def java() -> Path:
    """The Java that runs the broker."""
    return find_java()


@pytest.fixture(scope="session")
def make_broker(java: Path, jars: list[Path]) -> Callable[[Path], KafkaBroker]:
    """A function that gives a broker, not started, for a directory."""
    return lambda path: KafkaBroker(
        path / "kafka",
        java=java,
        jars=jars,
        log_path=path / "logs" / "kafka.log",
        heap_mb=TEST_HEAP_MB,
        template=format_template(),
    )


@contextmanager
def small_disk_at(path: Path, size_mb: int) -> Iterator[Path]:
    """A file system of that size; where nobody may mount one the test is skipped."""
    path.mkdir()
    mount = shutil.which("mount") or "false"
    done = subprocess.run([mount, "-t", "tmpfs", "-o", f"size={size_mb}m", "tmpfs", str(path)], capture_output=True)
    if done.returncode != 0:
        pytest.skip("needs the right to mount a tmpfs")
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


@pytest.fixture(scope="session")
def kafka(
    _parts_loop: Background, make_broker: Callable[[Path], KafkaBroker], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The address of a real Apache Kafka broker, shared by the tests of this process: use topics of your own."""
    broker = make_broker(tmp_path_factory.mktemp("kafka"))
    _parts_loop.run(broker.start())
    yield broker.address
    _parts_loop.run(broker.stop())


@pytest.fixture(scope="session")
def clickhouse(_parts_loop: Background, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a real ClickHouse gateway, shared by the tests of this process: use databases of your own."""
    path = tmp_path_factory.mktemp("clickhouse")
    gateway = ClickHouseGateway(path / "tables", log_path=path / "clickhouse.log", memory_bytes=TEST_MEMORY_BYTES)
    _parts_loop.run(gateway.start())
    yield gateway.url
    _parts_loop.run(gateway.stop())
