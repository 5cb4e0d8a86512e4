"""Records are stored before their offsets are committed; nothing of a generation that was left is taken."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from faust.types import TP

from mts_stream.errors import KafkaUnavailableError, StoreError
from mts_stream.settings import load_settings
from mts_stream.sinks.agent import BATCHES_UNDER_WAY_MAX, ClusterId, SinkHealth, TopicSink, limits_of
from mts_stream.sinks.batching import Batch, Limits

SECOND_NS = 1_000_000_000
Records = list[tuple[int, bytes | None, bytes | None, int]]


class FakeWriter:
    """Stores batches when its gate is open; fails with an error that was put in."""

    def __init__(self) -> None:
        self.stored: list[tuple[int, int, int]] = []
        self.tokens: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.waiting = asyncio.Event()
        self.begun: list[int] = []
        self.error: Exception | None = None

    async def store(self, batch: Batch, cluster_id: str) -> None:
        """As the real one."""
        self.waiting.set()
        self.begun.append(batch.partition)
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        self.tokens.append(batch.token(cluster_id))
        self.stored.append((batch.partition, batch.first, batch.last))


class Ground:
    """A sink of one topic, whose generation, writer and commits stand open."""

    def __init__(self, rows: int = 3, age_ns: int = 0) -> None:
        self.generation = 1
        self.writer = FakeWriter()
        self.commits: list[dict[int, int]] = []
        self.sink = TopicSink(
            "t", Limits(rows, 10_000, age_ns), self.writer,  # type: ignore[arg-type]
            cluster_id=ClusterId(lambda: "abc"), commit=self._commit, generation=lambda: self.generation,
        )  # fmt: skip

    async def _commit(self, topic: str, stored: Mapping[int, int]) -> None:
        assert all((p, o - 1) in [(p_, last) for p_, _, last in self.writer.stored] for p, o in stored.items())
        self.commits.append(dict(stored))


def records(first: int, count: int) -> Records:
    """Records as the transport hands them over."""
    return [(offset, b"{}") for offset in range(first, first + count)]


async def test_offsets_are_committed_after_their_rows_are_confirmed() -> None:
    """The commit names the next offset to read, and only of what is stored."""
    ground = Ground(rows=3)
    await ground.sink.on_records(0, records(10, 7), generation=1)
    await ground.sink.settled()

    assert ground.writer.stored == [(0, 10, 12), (0, 13, 15)]
    assert ground.commits == [{0: 13}, {0: 16}]


async def test_what_has_waited_goes_side_by_side_and_each_is_committed_when_it_is_stored() -> None:
    """A slow partition holds back no other one's offsets."""
    ground = Ground(rows=100)
    await ground.sink.on_records(0, records(0, 2), generation=1)
    await ground.sink.on_records(5, records(7, 1), generation=1)
    await ground.sink.on_time()
    await ground.sink.settled()

    assert sorted(ground.writer.stored) == [(0, 0, 1), (5, 7, 7)]
    assert sorted(ground.commits, key=str) == [{0: 2}, {5: 8}]
    assert all(token.startswith("abc-t-") for token in ground.writer.tokens)


async def test_what_has_waited_takes_turns_and_goes_on_growing_until_then() -> None:
    """So the inserts are the fewer and the larger the slower ClickHouse is, and the next begins when one is stored."""
    ground = Ground(rows=100)
    ground.writer.gate.clear()
    partitions = range(BATCHES_UNDER_WAY_MAX + 2)
    for partition in partitions:
        await ground.sink.on_records(partition, records(0, 1), generation=1)
    await ground.sink.on_time()
    while len(ground.writer.begun) < BATCHES_UNDER_WAY_MAX:
        await asyncio.sleep(0)
    assert ground.writer.begun == list(partitions[:BATCHES_UNDER_WAY_MAX])

    for partition in partitions:
        await ground.sink.on_records(partition, records(1, 1), generation=1)
    ground.writer.gate.set()
    while len(ground.writer.stored) < len(partitions):
        await ground.sink.settled()
    assert ground.writer.stored[BATCHES_UNDER_WAY_MAX:][:2] == [(each, 0, 1) for each in partitions[-2:]]


async def test_what_has_waited_gets_a_turn_in_a_backlog() -> None:
    """Full batches of other partitions go first, but do not keep it out for ever."""
    ground = Ground(rows=2)
    ground.writer.gate.clear()
    await ground.sink.on_records(9, records(0, 1), generation=1)
    await ground.sink.on_records(0, records(0, 2 * BATCHES_UNDER_WAY_MAX), generation=1)
    turn = asyncio.create_task(ground.sink.on_time())
    await asyncio.sleep(0)
    backlog = asyncio.create_task(ground.sink.on_records(0, records(2 * BATCHES_UNDER_WAY_MAX, 20), generation=1))
    ground.writer.gate.set()
    await asyncio.gather(turn, backlog)

    assert 9 in ground.writer.begun[: BATCHES_UNDER_WAY_MAX + 1]


async def test_nothing_goes_before_its_time() -> None:
    """Younger records wait for company."""
    ground = Ground(rows=100, age_ns=3600 * SECOND_NS)
    await ground.sink.on_records(0, records(0, 2), generation=1)
    await ground.sink.on_time()

    assert (ground.writer.stored, ground.commits) == ([], [])


async def test_leaving_stores_and_commits_what_is_held() -> None:
    """At SIGTERM and before a rebalance, so that the next owner need not read it again."""
    ground = Ground(rows=100, age_ns=3600 * SECOND_NS)
    await ground.sink.on_records(0, records(0, 2), generation=1)
    await ground.sink.leave(5)

    assert ground.commits == [{0: 2}]


async def test_leaving_does_not_wait_for_a_clickhouse_that_is_down() -> None:
    """What could not be stored in time is not committed and will be read again."""
    ground = Ground(rows=100)
    await ground.sink.on_records(0, records(0, 2), generation=1)
    ground.writer.gate.clear()
    await ground.sink.leave(0.05)

    assert (ground.writer.stored, ground.commits) == ([], [])


async def test_nothing_of_a_generation_that_was_left_is_taken() -> None:
    """Its partitions begin anew at the committed offset: a later record of before would hide the ones forgotten."""
    ground = Ground(rows=2)
    await ground.sink.on_records(0, records(0, 1), generation=1)
    ground.writer.gate.clear()
    stale = asyncio.create_task(ground.sink.on_records(0, records(1, 9), generation=1))
    await ground.writer.waiting.wait()
    await ground.sink.leave(0.01)
    ground.writer.gate.set()
    await stale
    await ground.sink.on_records(0, records(10, 4), generation=1)
    await ground.sink.settled()

    assert ground.writer.stored == []

    ground.generation = 2
    await ground.sink.on_records(0, records(20, 2), generation=1)
    await ground.sink.on_records(0, records(0, 2), generation=2)
    await ground.sink.settled()
    assert ground.writer.stored == [(0, 0, 1)]
    assert ground.commits == [{0: 2}]


async def test_the_next_records_are_read_while_batches_are_stored() -> None:
    """So many batches may be under way, of one partition too, and no more; they are stored in their order."""
    ground = Ground(rows=1)
    ground.writer.gate.clear()
    await ground.sink.on_records(0, records(0, BATCHES_UNDER_WAY_MAX), generation=1)
    more = asyncio.create_task(ground.sink.on_records(1, records(0, 1), generation=1))
    await ground.writer.waiting.wait()
    await asyncio.sleep(0)
    assert not more.done()
    ground.writer.gate.set()
    await more
    await ground.sink.settled()

    assert [first for partition, first, _ in ground.writer.stored if partition == 0] == [*range(BATCHES_UNDER_WAY_MAX)]
    assert {1: 1} in ground.commits


async def test_nothing_after_a_batch_that_failed_is_committed() -> None:
    """Its partition's next batches wait for it, and fail with it."""
    ground = Ground(rows=1)
    ground.writer.error = StoreError("table t does not exist")
    ground.writer.gate.clear()
    await ground.sink.on_records(0, records(0, 2), generation=1)
    ground.writer.gate.set()
    await ground.writer.waiting.wait()
    with pytest.raises(StoreError, match="does not exist"):
        await ground.sink.settled()
    ground.writer.error = None
    await ground.sink.on_records(0, records(2, 1), generation=1)
    with pytest.raises(StoreError, match="does not exist"):
        await ground.sink.settled()
    assert (ground.writer.stored, ground.commits) == ([], [])


async def test_an_error_that_no_waiting_cures_is_raised_and_commits_nothing() -> None:
    """The worker ends with it."""
    ground = Ground(rows=1)
    ground.writer.error = StoreError("table t does not exist")

    await ground.sink.on_records(0, records(0, 1), generation=1)
    with pytest.raises(StoreError, match="does not exist"):
        await ground.sink.settled()
    assert ground.commits == []


async def test_the_cluster_is_asked_until_it_answers_and_then_never_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker that restarts just then delays the insert, no more."""
    monkeypatch.setattr("mts_stream.sinks.agent.CLUSTER_RETRY_S", 0)
    answers: list[Any] = [KafkaUnavailableError("down"), "abc"]

    def ask() -> str:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return str(answer)

    cluster_id = ClusterId(ask)
    assert [await cluster_id.get(), await cluster_id.get()] == ["abc", "abc"]


def test_the_bounds_are_settings() -> None:
    """SINK_BATCH_ROWS, SINK_BATCH_BYTES and SINK_BATCH_AGE_MS."""
    settings = load_settings(sink_batch_rows=7, sink_batch_bytes=2048, sink_batch_age_ms=20)

    assert limits_of(settings) == Limits(7, 2048, 20_000_000)


class FakeConsumer:
    """Two partitions of one stored topic."""

    first_offsets: Mapping[TP, int] = {TP("t", 0): 10, TP("t", 1): 0}

    def assignment(self) -> set[TP]:
        """As Faust's."""
        return {TP("t", 0), TP("t", 1)}

    def highwater(self, tp: TP) -> int:
        """As Faust's."""
        return 30


class FakeApp:
    """An app that runs."""

    consumer = FakeConsumer()
    batched_topics = frozenset({"t"})
    started, should_stop, rebalancing, in_recovery = True, False, False, False


class WaitingWriter:
    """A writer with a problem, or without."""

    problem: str | None = "ClickHouse at http://x: refused"


def test_a_sink_whose_clickhouse_is_down_is_not_healthy_and_says_why() -> None:
    """And healthy as soon as inserts are confirmed again."""
    writer = WaitingWriter()
    health = SinkHealth(FakeApp(), writer)  # type: ignore[arg-type]

    status, body = health.report()
    assert (status, body["reason"]) == (503, "waiting for ClickHouse: ClickHouse at http://x: refused")
    writer.problem = None
    assert health.report()[0] == 200


def test_the_lag_counts_what_is_not_stored() -> None:
    """From where reading began, then from what was committed, to the end of each partition."""
    health = SinkHealth(FakeApp(), WaitingWriter())  # type: ignore[arg-type]

    assert health.lag("t") == 20 + 30
    health.handled(TP("t", 1), 30)
    assert (health.lag("t"), health.lag("other")) == (20, 0)
