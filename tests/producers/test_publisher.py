"""The publisher's bounds; what it does with Kafka is seen in tests/load and in the integration tests."""

from mts_stream.local.ports import free_ports
from mts_stream.metrics import REFUSED
from mts_stream.settings import load_settings
from mts_stream.wire.topics import QUALITY, RAW
from producers.publisher import Publisher

BOUND = 1000


def refused() -> float:
    """The metric's value for quality messages."""
    return float(REFUSED.labels(QUALITY)._value.get())


async def test_what_finds_no_room_is_counted() -> None:
    """While Kafka is away the queue fills up to its bound; each record beyond it is refused, and counted by topic."""
    away = f"127.0.0.1:{free_ports(1)[0]}"
    publisher = Publisher(load_settings(kafka_bootstrap_servers=away, producer_queue_records=BOUND))
    before = refused()

    taken = [publisher.send(QUALITY, b"c-0", b"{}", "quality") for _ in range(3 * BOUND)]

    assert taken == sorted(taken, reverse=True) and BOUND <= sum(taken) <= 2 * BOUND
    assert refused() - before == taken.count(False)


async def test_kafka_is_heard_where_it_took_a_record_not() -> None:
    """Each that failed is counted and told to whoever watches its connection; none of them is confirmed."""
    away, told = f"127.0.0.1:{free_ports(1)[0]}", []
    publisher = Publisher(load_settings(kafka_bootstrap_servers=away), told.append)
    for number in range(3):
        publisher.send(RAW, b"BTC-USDT", b"%d" % number, "frame")
    publisher.send(QUALITY, b"c-0", b"{}", "quality")
    assert publisher.confirmed == {} and publisher.queued_records >= 4

    publisher._producer.purge()
    assert await publisher.flush(5.0) == 0
    assert (publisher.lost, sorted(told)) == (4, [b"0", b"1", b"2"])
    assert publisher.confirmed == {} and publisher.handed_over == {"frame": 3, "quality": 1}
