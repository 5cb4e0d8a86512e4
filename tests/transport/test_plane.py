"""The fetch plane on a real broker: what it is told is what it gives, within its bounds; its settings and errors."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import uuid4

import pytest
from confluent_kafka import KafkaError, Producer
from confluent_kafka.admin import AdminClient, NewTopic
from faust.types import TP

from mts_stream import metrics
from mts_stream.errors import KafkaUnavailableError
from mts_stream.settings import Settings
from mts_stream.transport import plane
from mts_stream.transport.plane import FETCH_WAIT_MS, GATHER_BYTES, FetchPlane, plane_config
from mts_stream.wire.kafka import client_config, producer_config

DEADLINE_S = 30.0


class Topic:
    """A new topic of two partitions with records in it."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.name = settings, f"plane-{uuid4().hex[:8]}"
        admin = AdminClient(client_config(settings))
        admin.create_topics([NewTopic(self.name, 2, 1)])[self.name].result(20)

    def tp(self, partition: int) -> TP:
        return TP(self.name, partition)

    def send(self, partition: int, *values: bytes, compression: str = "lz4") -> None:
        producer = Producer(producer_config(self.settings, **{"compression.type": compression}))
        for value in values:
            producer.produce(self.name, value, partition=partition)
        assert producer.flush(30) == 0


@pytest.fixture
def topic(kafka: str) -> Topic:
    """A topic of its own for each test."""
    return Topic(Settings(kafka_bootstrap_servers=kafka, fetch_records_max=500))


@pytest.fixture
async def fetching(topic: Topic) -> AsyncIterator[FetchPlane]:
    """A plane on that broker."""
    fetching = FetchPlane(topic.settings, "plane-test")
    yield fetching
    await fetching.close()


async def offsets(fetching: FetchPlane, tp: TP, until: int) -> list[int]:
    """The offsets of a partition as they are taken, up to one; the test fails where they do not come."""
    seen: list[int] = []
    async with asyncio.timeout(DEADLINE_S):
        while until not in seen:
            seen += [record[0] for record in (await fetching.take()).get(tp, [])]
    return seen


async def until(what: Callable[[], Any], also: Callable[[], Awaitable[Any]]) -> None:
    """Do something again and again until a condition holds."""
    async with asyncio.timeout(DEADLINE_S):
        while not what():
            await also()


@pytest.mark.parametrize("compression", ["lz4", "zstd", "none"])
async def test_records_come_in_order_from_the_offset_told(topic: Topic, compression: str) -> None:
    """Whatever their compression; the end of the partition is known with the first of them."""
    topic.send(0, *[b"%d" % i for i in range(2000)], compression=compression)
    fetching = FetchPlane(topic.settings, "plane-test")
    try:
        assert fetching.highwater(topic.tp(0)) is None
        await fetching.assign({topic.tp(0): 700})

        assert await offsets(fetching, topic.tp(0), 1999) == list(range(700, 2000))
        assert fetching.highwater(topic.tp(0)) == 2000
    finally:
        await fetching.close()
    assert await fetching.take() == {}
    assert fetching.highwater(topic.tp(0)) is None


async def test_after_a_seek_nothing_fetched_before_it_comes(topic: Topic, fetching: FetchPlane) -> None:
    """Otherwise the consumer would take the jump for a hole in the log."""
    topic.send(0, *[b"x"] * 2000)
    await fetching.assign({topic.tp(0): 0})
    await offsets(fetching, topic.tp(0), 499)
    await fetching.seek(topic.tp(0), 100)

    assert await offsets(fetching, topic.tp(0), 1999) == list(range(100, 2000))


async def test_a_paused_partition_waits_and_goes_on_where_it_was(topic: Topic, fetching: FetchPlane) -> None:
    """The other one comes meanwhile; nothing is lost or doubled."""
    a, b = topic.tp(0), topic.tp(1)
    topic.send(0, *[b"x"] * 1000)
    await fetching.assign({a: 0, b: 0})
    first = await offsets(fetching, a, 0)
    await fetching.pause(frozenset({a}))
    topic.send(1, b"y")
    assert await offsets(fetching, b, 0) == [0]
    assert [tp for _ in range(3) for tp in await fetching.take()] == []
    await fetching.pause(frozenset())

    assert first + await offsets(fetching, a, 999) == list(range(1000))


async def test_what_is_assigned_anew_comes_from_there_alone(topic: Topic, fetching: FetchPlane) -> None:
    """After a rebalance: nothing of the partition that was lost, and the other from its committed offset."""
    a, b = topic.tp(0), topic.tp(1)
    topic.send(0, *[b"x"] * 1000)
    topic.send(1, *[b"y"] * 1000)
    await fetching.assign({a: 0, b: 0})
    await offsets(fetching, a, 0)
    await fetching.assign({})
    await fetching.assign({b: 10})

    taken = await fetching.take() or await fetching.take()
    assert set(taken) <= {b}
    seen = [record[0] for record in taken.get(b, [])]
    assert seen + await offsets(fetching, b, 999) == list(range(10, 1000))


async def test_what_nobody_takes_stays_at_the_broker(topic: Topic, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow agent costs a bounded queue, which the gauges show; then everything comes."""
    monkeypatch.setattr(plane, "STATISTICS_MS", 50)
    monkeypatch.setattr(plane, "QUEUED_KIB_MAX", 1024)
    size, count = 10_000, 2000  # 20 MB
    topic.send(0, *[bytes(size)] * count, compression="none")
    fetching = FetchPlane(topic.settings, "plane-test")
    try:
        await fetching.assign({topic.tp(0): 0})
        seen = await offsets(fetching, topic.tp(0), 0)
        await asyncio.sleep(1)  # as long as anything could still be fetched
        seen += await offsets(fetching, topic.tp(0), seen[-1] + 1)
        for _ in range(3):
            seen += [record[0] for record in (await fetching.take()).get(topic.tp(0), [])]
            held = metrics.FETCH_QUEUED_BYTES._value.get()
            assert held <= 1024 * 1024 + plane.FETCH_BYTES_MAX
        if seen[-1] != count - 1:
            seen += await offsets(fetching, topic.tp(0), count - 1)
        assert seen == list(range(count))
        await until(lambda: (topic.name, "0") in metrics.FETCH_LAG._metrics, fetching.take)
        assert metrics.FETCH_RTT._value.get() > 0
        await fetching.assign({})
        await until(lambda: (topic.name, "0") not in metrics.FETCH_LAG._metrics, fetching.take)
    finally:
        await fetching.close()


def test_the_security_of_the_worker_is_the_planes() -> None:
    """Protocol, mechanism, user, password and CA; and it commits nothing."""
    config = plane_config(
        Settings(
            kafka_security_protocol="SASL_SSL", kafka_sasl_mechanism="SCRAM-SHA-512", kafka_sasl_username="mts",
            kafka_sasl_password="hidden", kafka_ssl_ca_location="/ca.pem",
        ),
        "group",
    )  # fmt: skip

    assert {key: config[key] for key in config if key.startswith(("sasl", "ssl", "security", "enable.auto"))} == {
        "security.protocol": "SASL_SSL", "sasl.mechanism": "SCRAM-SHA-512", "sasl.username": "mts",
        "sasl.password": "hidden", "ssl.ca.location": "/ca.pem", "enable.auto.commit": False,
        "enable.auto.offset.store": False,
    }  # fmt: skip


def test_who_is_in_no_hurry_gathers_at_the_broker() -> None:
    """The broker then answers with many records or after that time; without it, with the first record."""
    eager, patient = plane_config(Settings(), "group"), plane_config(Settings(), "group", 100)

    names = ("fetch.min.bytes", "fetch.wait.max.ms")
    assert [eager[name] for name in names] == [1, FETCH_WAIT_MS]
    assert [patient[name] for name in names] == [GATHER_BYTES, 100]


async def test_a_refusal_is_an_error_and_a_lost_connection_is_not() -> None:
    """librdkafka comes back from the one by itself, and never from the other."""
    fetching = FetchPlane(Settings(kafka_bootstrap_servers="127.0.0.1:1"), "plane-test")
    try:
        fetching._on_error(KafkaError(KafkaError._ALL_BROKERS_DOWN))
        fetching._on_error(KafkaError(KafkaError._TRANSPORT))
        assert await fetching.take() == {}
        assert metrics.FETCH_ERRORS.labels("_TRANSPORT")._value.get() >= 1
        fetching._on_error(KafkaError(KafkaError.SASL_AUTHENTICATION_FAILED))
        with pytest.raises(KafkaUnavailableError, match=r"KAFKA_SASL_"):
            await fetching.take()
    finally:
        await fetching.close()
