"""The command of each of our containers, run as it stands: it starts, is healthy by its own check, and ends."""

import secrets
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mts_stream.settings import Settings, load_settings
from mts_stream.wire.kafka import topic_partitions
from mts_stream.wire.topics import TOPICS
from tests.deploy.services import Service

Start = Callable[..., Service]

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("deploy")]


@pytest.fixture(scope="module")
def settings(
    _parts_loop: object, make_broker: Callable, clickhouse: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Settings]:
    """A broker of this module's own, where nobody else has made topics, and a database of its own."""
    broker = make_broker(tmp_path_factory.mktemp("deploy"))
    _parts_loop.run(broker.start())  # type: ignore[attr-defined]
    yield load_settings(
        kafka_bootstrap_servers=broker.address, clickhouse_url=clickhouse,
        clickhouse_database=f"deploy_{secrets.token_hex(3)}",
    )  # fmt: skip
    _parts_loop.run(broker.stop())  # type: ignore[attr-defined]


@pytest.fixture
def start(settings: Settings, tmp_path: Path) -> Iterator[Start]:
    """Starts services, and ends in any case what a test leaves running."""
    started: list[Service] = []

    def start(name: str, **more: str) -> Service:
        started.append(Service(name, settings, tmp_path, **more))
        return started[-1]

    yield start
    for service in started:
        service.kill()


def rows(settings: Settings, query: str) -> int:
    """The number that a query over plain HTTP gives."""
    url = f"{settings.clickhouse_url}/?database={settings.clickhouse_database}"
    with urllib.request.urlopen(url, query.encode(), timeout=10) as answer:
        return int(answer.read())


@pytest.mark.long
def test_the_deployment_runs(settings: Settings, start: Start) -> None:
    """In the order that depends_on states: topics and migrations complete, then all others become healthy; each ends
    within its grace period, with code 0 and without a traceback."""
    first = [start("topics"), start("migrate")]
    assert [service.completes() for service in first] == [0, 0], [service.text() for service in first]
    assert {topic.name for topic in TOPICS} <= topic_partitions(settings).keys()

    others = [start(name) for name in ("worker", "sink", "web")]
    others.append(start("producers", PRODUCERS_ARGS="--simulate --sim-pairs 1"))
    with ThreadPoolExecutor(len(others)) as pool:
        list(pool.map(Service.becomes_healthy, others))
        codes = dict(zip((service.name for service in others), pool.map(Service.stop, others), strict=True))

    assert codes == dict.fromkeys(codes, 0), [service.text()[-3000:] for service in others if codes[service.name]]
    assert not [service.name for service in others if "Traceback" in service.text()]
    assert rows(settings, "SELECT count() FROM spreads_1s") >= 0


NOWHERE = {
    "BINANCE_SPOT_WS_URL": "ws://127.0.0.1:9", "BINANCE_SPOT_REST_URL": "http://127.0.0.1:9",
    "BINANCE_PERP_WS_URL": "ws://127.0.0.1:9", "BINANCE_PERP_REST_URL": "http://127.0.0.1:9",
    "BYBIT_WS_URL": "ws://127.0.0.1:9", "BYBIT_REST_URL": "http://127.0.0.1:9",
}  # fmt: skip


def test_producers_wait_for_venues_that_do_not_answer(start: Start) -> None:
    """The file's own command takes the real venues; where none answers it stays, keeps trying, and can be stopped."""
    assert start("topics").completes() == 0
    producers = start("producers", **NOWHERE).becomes_healthy().says("binance")

    assert producers.stop() == 0
    assert "Traceback" not in producers.text()
