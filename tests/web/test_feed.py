"""The thread that reads the result topics."""

import time
from collections.abc import Callable, Iterator

import pytest

from mts_stream.local.ports import free_ports
from mts_stream.settings import Settings, load_settings
from mts_stream.web import feed
from mts_stream.web.feed import FeedState, FeedThread
from mts_stream.web.messages import Funding
from mts_stream.wire.kafka import Reader, send_all
from mts_stream.wire.topics import FUNDING
from tests.web import results
from tests.web.kafka_topics import ensure_topics, send

DEADLINE_S = 20.0

pytestmark = pytest.mark.xdist_group("page")


@pytest.fixture
def settings(kafka: str) -> Settings:
    """Settings of a broker with all topics."""
    settings = load_settings(kafka_bootstrap_servers=kafka, partitions=3)
    ensure_topics(settings)
    return settings


@pytest.fixture
def start() -> Iterator[Callable[[Settings], FeedThread]]:
    """Starts readers and stops them in the end."""
    threads: list[FeedThread] = []

    def start(settings: Settings) -> FeedThread:
        threads.append(FeedThread(settings))
        threads[-1].start()
        return threads[-1]

    yield start
    for thread in threads:
        thread.stop()


def items(thread: FeedThread, until: Callable[[list], bool]) -> list:
    """What the reader hands over until the condition holds."""
    taken: list = []
    deadline = time.monotonic() + DEADLINE_S
    while not until(taken):
        assert time.monotonic() < deadline, taken[-3:]
        item = thread.take()
        if item is None:
            time.sleep(0.01)
        else:
            taken.append(item)
    return taken


def fundings(taken: list, pair: str) -> list[Funding]:
    """The fundings of a pair in what was handed over, in order."""
    batches = [item for item in taken if not isinstance(item, FeedState)]
    return [told for batch in batches for _, told in batch if isinstance(told, Funding) and told.pair == pair]


def test_it_reads_what_stood_and_what_comes(settings, start):
    """Records sent before and after the reader opened come, from every partition, then it is live."""
    now_ns = time.time_ns()
    pairs = [f"FEED{n}-USDT" for n in range(8)]
    send(settings, [results.funding(pair, now_ns) for pair in pairs])
    thread = start(settings)
    taken = items(thread, lambda taken: FeedState("live", "") in taken)
    assert all(len(fundings(taken, pair)) == 1 for pair in pairs)

    send(settings, [results.funding(pair, now_ns + 1) for pair in pairs])
    taken = items(thread, lambda taken: all(fundings(taken, pair) for pair in pairs))
    assert {fundings(taken, pair)[0].event_time_ns for pair in pairs} == {now_ns + 1}


def test_a_reader_is_caught_up_once_all_that_stood_is_read(settings):
    """Records beyond what stood when it began neither delay nor break it."""
    now_ns = time.time_ns()
    send(settings, [results.funding("CAUGHT-USDT", now_ns)])
    with Reader(settings, [FUNDING], from_ms=now_ns // results.MS - 60_000) as reader:
        began_caught_up = reader.caught_up
        send(settings, [results.funding("CAUGHT-USDT", now_ns + n) for n in range(1, 4)])
        deadline = time.monotonic() + DEADLINE_S
        read = []
        while (not reader.caught_up or len(read) < 4) and time.monotonic() < deadline:
            read += [record for record in reader.poll(0.1) if record.key == b"CAUGHT-USDT"]

    assert (began_caught_up, reader.caught_up, len(read)) == (False, True, 4)


def test_what_cannot_be_read_is_handed_over_as_none(settings, start):
    """A broken record does not stop the reader."""
    thread = start(settings)
    items(thread, lambda taken: FeedState("live", "") in taken)
    send_all(settings, [(FUNDING, b"x", b"\xff no json")])

    items(thread, lambda taken: any((FUNDING, None) in item for item in taken if isinstance(item, list)))


def test_it_waits_for_kafka_and_says_so(start):
    """Without a broker it says where it looks, and goes on trying."""
    (port,) = free_ports(1)
    thread = start(load_settings(kafka_bootstrap_servers=f"127.0.0.1:{port}"))
    (state,) = items(thread, bool)

    assert state.state == "waiting"
    assert f"Waiting for Kafka at 127.0.0.1:{port}: " in state.detail
    assert thread.running


@pytest.mark.parametrize("servers", ["nowhere", "127.0.0.1:port"])
def test_an_address_that_is_none_is_waited_for_too(servers, start):
    """An address without a port is said to be unreachable."""
    (state,) = items(start(load_settings(kafka_bootstrap_servers=servers)), bool)

    assert state.state == "waiting"
    assert servers in state.detail


def test_a_full_hand_over_holds_the_reader_back_and_does_not_hold_up_the_end(settings, monkeypatch):
    """The queue is bounded: the reader waits for room, loses nothing, and still ends at once."""
    monkeypatch.setattr(feed, "QUEUE_BATCHES", 1)
    thread = FeedThread(settings)
    thread.start()
    deadline = time.monotonic() + DEADLINE_S
    while thread._items.qsize() < 1 and time.monotonic() < deadline:
        time.sleep(0.01)
    began = time.monotonic()
    thread.stop()

    assert not thread.running
    assert time.monotonic() - began < feed.JOIN_S
