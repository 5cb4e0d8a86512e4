"""The batch transport: in one generation a partition's batches follow each other without hole or repeat."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import faust
import pytest
from confluent_kafka import KafkaError, KafkaException
from faust.types import TP
from hypothesis import given
from hypothesis import strategies as st

from mts_stream import metrics, transport
from mts_stream.settings import Settings
from mts_stream.transport.consumer import Consumer, ConsumerThread
from mts_stream.transport.plane import Fetch
from tests.agents.fakes import FakeApp

TP0, CHANGELOG = TP("mts.raw", 0), TP("log", 0)


class FakePlane:
    """Gives what the script says, and notes what it is told."""

    def __init__(self, *fetched: Fetch) -> None:
        self.fetched = list(fetched)
        self.assigned: list[dict[TP, int]] = []
        self.sought: list[dict[TP, int]] = []
        self.paused: frozenset[TP] = frozenset()
        self.seek_fails = False

    async def take(self) -> Fetch:
        return self.fetched.pop(0)

    async def assign(self, starts: Mapping[TP, int]) -> None:
        self.assigned.append(dict(starts))

    async def seek(self, tp: TP, offset: int) -> None:
        if self.seek_fails:
            raise KafkaException(KafkaError(KafkaError._STATE))
        self.sought.append({tp: offset})

    async def pause(self, partitions: frozenset[TP]) -> None:
        self.paused = partitions

    def highwater(self, tp: TP) -> int:
        return 1000


class Fetching(Consumer):
    """The consumer with a scripted plane and a scripted aiokafka below it."""

    def __init__(self, *fetched: Fetch, others: Any = None) -> None:
        app = faust.App("t", broker="batch://127.0.0.1:1", store="memory://")
        transport.configure(app, Settings(), batched={"mts.raw"})
        app.consumer_generation_id = 1
        super().__init__(app.transport, lambda m: None, lambda r: None, lambda a: None)
        self.fake = FakePlane(*fetched)
        self.others = others
        self.committed: dict[TP, int | None] = {}
        self.log_starts = 0
        self._thread = SimpleNamespace(touch=lambda: None, highwater=lambda tp: 1000)
        self._active_partitions = {TP0, CHANGELOG} if others else {TP0}
        self._expected = {TP0: 5}

    def _new_plane(self) -> Any:
        return self.fake

    @property
    def sought(self) -> list[dict[TP, int]]:
        return self.fake.sought

    def assignment(self) -> set[TP]:
        return {TP0, CHANGELOG}

    async def _getmany(self, active_partitions: Any, timeout: float) -> Any:
        return self.others

    async def seek_to_committed(self) -> Any:
        return dict(self.committed)

    async def earliest_offsets(self, *partitions: TP) -> Any:
        return dict.fromkeys(partitions, self.log_starts)

    async def batches(self, count: int = 1) -> list[list[int]]:
        """The offsets of each batch delivered by that many fetches."""
        out = []
        for _ in range(count):
            async for _, message in self.getmany(1.0):
                out += [[offset for offset, _ in records] for records in message.value.values()]
        return out


def fetched(*offsets: int) -> Fetch:
    """Records as the plane gives them."""
    return {TP0: [(o, b"v%d" % o) for o in offsets]}


def changelog(*offsets: int) -> dict[TP, list[Any]]:
    """Records as aiokafka gives them."""
    return {
        CHANGELOG: [
            SimpleNamespace(
                topic="log", partition=0, offset=o, key=b"k", value=b"v%d" % o, timestamp=1000 + o,
                timestamp_type=1, headers=(), checksum=None, serialized_key_size=1, serialized_value_size=2,
            )
            for o in offsets
        ]
    }  # fmt: skip


async def test_a_fetch_becomes_one_message_with_a_batch_of_each_partition() -> None:
    """Offset and value of each record; the message carries the first partition's name and the generation."""
    other = TP("mts.raw", 1)
    consumer = Fetching(fetched(5, 6) | {other: [(0, b"")]})
    consumer._active_partitions, consumer._expected = {TP0, other}, {TP0: 5, other: 0}

    [(tp, message)] = [item async for item in consumer.getmany(1.0)]

    assert message.value == {TP0: [(5, b"v5"), (6, b"v6")], other: [(0, b"")]}
    assert (tp, message.topic, message.partition, message.offset, message.generation_id) == (TP0, "mts.raw", 0, 6, 1)
    assert transport.is_current(consumer.app, message.generation_id)
    consumer.app.consumer_generation_id = 2
    assert not transport.is_current(consumer.app, message.generation_id)


async def test_a_thread_that_crashed_can_be_stopped() -> None:
    """It has closed its event loop, so that there is nobody to be told; a traceback would hide the crash's own line."""
    thread = ConsumerThread(Fetching())
    thread.thread_loop.close()

    thread._stopped_set()

    assert thread.should_stop


async def test_a_rebalance_while_it_stops_touches_no_client_of_another_thread() -> None:
    """A client that belongs to the thread's loop is stopped there alone; Faust closes it from the main loop."""
    thread = ConsumerThread(Fetching())
    thread._consumer = SimpleNamespace()  # Faust's sets a flag and calls two parts of it

    thread.close()

    assert vars(thread._consumer) == {}


async def test_other_topics_keep_one_message_a_record() -> None:
    """Tables recover as ever."""
    consumer = Fetching(others=changelog(1, 2))
    consumer._expected = {}

    assert [m.value async for _, m in consumer.getmany(1.0)] == [b"v1", b"v2"]


async def test_other_topics_have_their_turn_while_batches_are_read() -> None:
    """A worker that recovers a standby, or reads a small topic, is not starved by the raw log."""
    consumer = Fetching(fetched(5), others=changelog(1))

    assert [tp async for tp, _ in consumer.getmany(1.0)] == [CHANGELOG, TP0]


async def test_a_full_agent_stops_the_fetching_of_its_topic() -> None:
    """Nothing is taken until its queue has room; the records wait at the broker."""
    consumer = Fetching(fetched(5))
    consumer.on_buffer_full(TP0)
    assert await consumer.batches() == []
    consumer.on_buffer_drop(TP0)

    assert await consumer.batches() == [[5]]


async def test_a_paused_partition_is_not_fetched() -> None:
    """The plane is told of it, and of its end."""
    other = TP("mts.raw", 1)
    consumer = Fetching(fetched(5), fetched(6))
    consumer._active_partitions, consumer._expected = {TP0, other}, {TP0: 5, other: 0}
    consumer.pause_partitions({other})
    await consumer.batches()
    assert consumer.fake.paused == {other}
    consumer.resume_partitions({other})
    await consumer.batches()
    assert consumer.fake.paused == frozenset()


async def test_revoked_partitions_are_fetched_no_more_and_delivered_no_more() -> None:
    """Not even the rest of a fetch of which a part was delivered."""
    other = TP("mts.other", 1)
    consumer = Fetching(fetched(5) | {other: [(0, b"")]})
    consumer.app.batched_topics = frozenset({"mts.raw", "mts.other"})
    consumer._active_partitions, consumer._expected = {TP0, other}, {TP0: 5, other: 0}

    seen = []
    async for tp, _ in consumer.getmany(1.0):
        seen.append(tp)
        consumer._begin_epoch()  # as when they are revoked

    assert seen == [TP0]


async def test_a_seek_that_a_rebalance_overtakes_assigns_nothing() -> None:
    """Its offsets are the old generation's; the new one's may be further on."""
    consumer = Fetching()
    consumer.committed = {TP0: 7}

    async def revoked_meanwhile() -> Any:
        consumer._begin_epoch()
        return {TP0: 7}

    consumer.seek_to_committed = revoked_meanwhile  # type: ignore[method-assign]
    await consumer.perform_seek()

    assert (consumer.fake.assigned, consumer._expected) == ([], {})


async def test_a_partition_with_records_of_which_none_is_handed_on_is_named(caplog: pytest.LogCaptureFixture) -> None:
    """Faust's search for livelocks knows aiokafka's fetches alone, which has none of a batched partition."""
    consumer = Fetching()
    consumer._delivered_at[TP0] = 0.0
    consumer.verify_event_path(consumer._livelock_s - 1, TP0)
    assert not caplog.records
    consumer.verify_event_path(consumer._livelock_s + 1, TP0)

    assert "next offset 5, end 1000" in caplog.text


async def test_a_hole_makes_it_seek_back_and_deliver_nothing() -> None:
    """An engine that got the later records would skip the missing ones for ever."""
    before = metrics.REWINDS._value.get()
    consumer = Fetching(fetched(8, 9), fetched(5, 6))

    assert await consumer.batches(2) == [[5, 6]]
    assert consumer.sought == [{TP0: 5}]
    assert metrics.REWINDS._value.get() == before + 1


async def test_a_hole_that_stays_is_a_hole_in_the_log() -> None:
    """Retention has deleted those records; reading goes on behind them, and says where."""
    consumer = Fetching(fetched(8, 9), fetched(8, 9), fetched(10))
    consumer.app._consumer = consumer

    assert await consumer.batches(3) == [[8, 9], [10]]
    assert transport.first_offset(consumer.app, TP0) == 8


async def test_a_seek_that_fails_is_tried_again() -> None:
    """While the group rebalances a seek may be refused; the hole is still not passed."""
    consumer = Fetching(fetched(8), fetched(8), fetched(5))
    consumer.fake.seek_fails = True
    assert await consumer.batches() == []
    consumer.fake.seek_fails = False

    assert await consumer.batches(2) == [[5]]


async def test_records_that_came_before_are_left_out() -> None:
    """A batch that overlaps is cut, an older one is dropped."""
    assert await Fetching(fetched(3, 4, 5, 6), fetched(4, 5, 6), fetched(7)).batches(3) == [[5, 6], [7]]


async def test_a_partition_that_is_not_ours_delivers_nothing() -> None:
    """What was fetched before a rebalance belongs to the next owner."""
    consumer = Fetching(fetched(5, 6))
    consumer._expected = {}

    assert await consumer.batches() == []


async def test_a_new_generation_in_mid_delivery_ends_it() -> None:
    """Everything is read again from the committed offset."""
    consumer = Fetching(others=changelog(1, 2))
    consumer._expected = {}

    seen = []
    async for _, message in consumer.getmany(1.0):
        seen.append(message.offset)
        consumer.app.consumer_generation_id += 1

    assert seen == [1]


async def test_reading_begins_at_the_committed_offset_or_at_the_beginning() -> None:
    """Where nothing is committed Faust seeks nowhere; this transport begins with the first record that stands."""
    consumer = Fetching()
    consumer.committed, consumer.log_starts = {TP0: None}, 3
    await consumer.perform_seek()
    assert (consumer.first_offsets, consumer.fake.assigned) == ({TP0: 3}, [{TP0: 3}])

    consumer = Fetching(fetched(40))
    consumer.committed = {TP0: 40}
    await consumer.perform_seek()
    assert (consumer.first_offsets, consumer.fake.assigned) == ({TP0: 40}, [{TP0: 40}])

    assert await consumer.batches() == [[40]]


@given(data=st.data())
async def test_whatever_is_fetched_the_delivery_is_gapless(data: st.DataObject) -> None:
    """Repeats, jumps and overlaps in any order: what is delivered is 5, 6, 7, ... without hole or repeat."""
    spans = data.draw(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 6)), max_size=20))
    consumer = Fetching(*[fetched(*range(first, first + size)) for first, size in spans])
    delivered: list[int] = []

    for _ in spans:
        consumer._sought = {}  # each hole is seen for the first time
        for batch in await consumer.batches():
            delivered += batch

    assert delivered == list(range(5, 5 + len(delivered)))


async def test_a_commit_is_a_step_ahead_or_nothing() -> None:
    """Never lower, never for a partition of another, and remembered only when the group took it."""
    app = FakeApp()
    assert await transport.commit(app, {TP0: 10, TP("mts.raw", 9): 10})
    assert await transport.commit(app, {TP0: 7})
    app.consumer.moved_on = True
    assert not await transport.commit(app, {TP0: 20})
    app.consumer.moved_on = False
    assert await transport.commit(app, {TP0: 15})

    assert app.diary == ["commit 0 10", "commit 0 15"]


@pytest.mark.parametrize(
    ("servers", "url"),
    [("h:1", "batch://h:1"), ("h:1, g:2", "batch://h:1;batch://g:2"), ("[::1]:9,", "batch://[::1]:9")],
)
def test_the_brokers_url_names_every_server(servers: str, url: str) -> None:
    """As many as the setting lists."""
    assert transport.broker_url(Settings(kafka_bootstrap_servers=servers)) == url


async def test_an_agent_can_have_a_partition_read_again() -> None:
    """What was handed on and did not arrive comes once more, from the offset that the agent asks for."""
    consumer = Fetching(fetched(5, 6, 7), fetched(6, 7, 8))
    consumer.flow_active = True
    assert await consumer.batches() == [[5, 6, 7]]

    transport.go_back(SimpleNamespace(consumer=consumer), TP0, 6)

    assert await consumer.batches() == [[6, 7, 8]]
    assert consumer.sought == [{TP0: 6}]


async def test_going_back_ends_with_the_generation() -> None:
    """After a rebalance everything is read again from the committed offset anyway."""
    consumer = Fetching(fetched(5))
    transport.go_back(SimpleNamespace(consumer=consumer), TP0, 3)
    consumer._expected = {}  # as when its partitions are revoked

    assert await consumer.batches() == []
    assert consumer.sought == []
