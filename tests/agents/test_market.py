"""The market agent's work on one batch: one engine call per record, results and dead letters sent, nothing skipped."""

import json
from typing import Any

import pytest
from faust.types import TP

from mts_stream import metrics
from mts_stream.agents import market
from mts_stream.agents.checkpoints import SavedCheckpoints
from mts_stream.agents.lag import EventLag
from mts_stream.agents.market import Market
from mts_stream.agents.outbox import Outbox
from mts_stream.agents.partitions import Partitions
from mts_stream.wire import topics
from tests.agents.fakes import CountingEngine, FakeApp, raw, records
from tests.agents.test_checkpoints import changelog, saved_value

TP0 = TP(topics.RAW, 0)


class Desk:
    """A market agent with everything around it."""

    def __init__(self) -> None:
        self.app = FakeApp()
        self.partitions = Partitions(CountingEngine)
        self.saved = SavedCheckpoints()
        self.market = Market(
            self.app, self.partitions, self.saved, Outbox(lambda: self.app.producer, 10_000), EventLag(2000)
        )

    async def batch(self, first: int, *values: bytes, generation: int = 1) -> None:
        """One batch of partition 0."""
        await self.market.on_batch(TP0, records(first, *values), generation)

    def sent(self, topic: str) -> list[Any]:
        """The messages on a topic."""
        return [json.loads(value) for name, _, value, _ in self.app.producer.sent if name == topic]


def counted(handled: str) -> float:
    """The counter of what became of records."""
    return float(metrics.RECORDS.labels(handled)._value.get())


async def test_each_record_leads_to_its_results_in_order() -> None:
    """The position moves to the offset after the batch."""
    desk = Desk()

    await desk.batch(7, raw("A", 1), raw("B", 2), raw("A", 3))

    assert [(m["pair"], m["message_id"]) for m in desk.sent(topics.FUNDING)] == [("A", "1"), ("B", "1"), ("A", "2")]
    partition = desk.partitions.get(0)
    assert partition is not None and partition.position == 10


async def test_poison_costs_one_dead_letter_and_nothing_else() -> None:
    """Among good records a broken one goes to the dead letters with where it stood, why, and its bytes."""
    desk = Desk()
    before = counted("dead"), counted("evaluated")

    await desk.batch(0, raw("A"), b"\x00poison", raw("BAD-USDT"), raw("A"))

    letters = desk.sent(topics.DEAD_LETTERS)
    assert [(m["reason"], m["topic"], m["partition"], m["offset"]) for m in letters] == [
        ("not_an_envelope", topics.RAW, 0, 1),
        ("unknown_instrument", topics.RAW, 0, 2),
    ]
    assert letters[0]["payload_base64"] == "AHBvaXNvbg=="
    assert len(desk.sent(topics.FUNDING)) == 2
    assert (counted("dead"), counted("evaluated")) == (before[0] + 2, before[1] + 2)


class Lines:
    """A logger that keeps its warnings, and passes over what else it is told."""

    def __init__(self) -> None:
        self.warnings: list[dict[str, Any]] = []

    def info(self, event: str, **values: Any) -> None:
        pass

    def warning(self, event: str, **values: Any) -> None:
        self.warnings.append({"event": event} | values)


async def test_a_dead_letter_has_a_line_at_most_every_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first of a flood is said with where it stood and why; the topic has them all."""
    lines = Lines()
    monkeypatch.setattr(market, "log", lines)
    desk = Desk()

    await desk.batch(0, *[b"\x00poison"] * 20)

    assert len(desk.sent(topics.DEAD_LETTERS)) == 20
    first = lines.warnings[0]
    assert (first["event"], first["reason"], first["suppressed"]) == ("dead letter", "not_an_envelope", 0)
    assert (first["topic"], first["partition"], first["offset"]) == (topics.RAW, 0, 0)
    assert len(lines.warnings) < 5


async def test_records_read_again_are_skipped() -> None:
    """After a rebalance the log comes again from the committed offset; what the engine holds leads to nothing."""
    desk = Desk()
    await desk.batch(0, raw("A"), raw("A"), raw(kind="status"))
    before = counted("skipped")

    await desk.batch(0, raw("A"), raw("A"), raw(kind="status"), raw("A"))

    assert [m["message_id"] for m in desk.sent(topics.FUNDING)] == ["1", "2", "3"]
    assert counted("skipped") == before + 3


async def test_an_older_batch_never_moves_the_position_back() -> None:
    """The low-water offset would otherwise go back with it."""
    desk = Desk()
    await desk.batch(0, *[raw("A")] * 5)

    await desk.batch(0, raw("A"))

    partition = desk.partitions.get(0)
    assert partition is not None and partition.position == 5


async def test_a_new_partition_begins_with_its_checkpoints() -> None:
    """A pair goes on counting from its checkpoint, and skips what that holds."""
    desk = Desk()
    await desk.saved.on_changelog_event(changelog(b"A", saved_value(1, count=2)))
    desk.app.consumer.first_offsets = {TP0: 1}

    await desk.batch(1, raw("A"), raw("A"))

    assert [m["message_id"] for m in desk.sent(topics.FUNDING)] == ["3"]


async def test_a_partition_that_was_anothers_begins_with_its_checkpoints() -> None:
    """A worker that was frozen, and gets back a partition that its successor has moved on, drops its old engine."""
    desk = Desk()
    await desk.batch(0, raw("A"), raw("A"))
    await desk.saved.on_changelog_event(changelog(b"A", saved_value(9, count=7)))
    desk.app.consumer.first_offsets = {TP0: 10}

    await desk.batch(10, raw("A"), generation=3)

    assert [m["message_id"] for m in desk.sent(topics.FUNDING)] == ["1", "2", "8"]


async def test_a_partition_that_stayed_ours_keeps_its_engine() -> None:
    """After a rebalance it goes on where it was; nothing is restored."""
    desk = Desk()
    await desk.batch(0, raw("A"), raw("A"))
    await desk.saved.on_changelog_event(changelog(b"A", saved_value(0, count=70)))
    desk.app.consumer.first_offsets = {TP0: 1}

    await desk.batch(1, raw("A"), raw("A"), generation=2)

    assert [m["message_id"] for m in desk.sent(topics.FUNDING)] == ["1", "2", "3"]


async def test_records_that_did_not_arrive_are_asked_for_again() -> None:
    """After a hole nothing is handled until the transport has gone back to it; it is asked once."""
    desk = Desk()
    await desk.batch(0, raw("A"))

    await desk.batch(5, raw("A"))
    await desk.batch(6, raw("A"))
    assert desk.app.consumer.returns == {TP0: 1}
    assert len(desk.sent(topics.FUNDING)) == 1
    await desk.batch(1, *[raw("A")] * 5)

    assert [m["message_id"] for m in desk.sent(topics.FUNDING)] == ["1", "2", "3", "4", "5", "6"]


async def test_a_hole_that_stays_stops_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Books would lack what is in it."""
    monkeypatch.setattr(market, "HOLE_MAX_S", -1.0)
    desk = Desk()
    await desk.batch(0, raw("A"))
    await desk.batch(5, raw("A"))

    with pytest.raises(AssertionError, match="records 1 to 4 are missing"):
        await desk.batch(5, raw("A"))


async def test_a_hole_in_the_log_itself_is_passed() -> None:
    """Where reading began again after records that retention has deleted, the worker goes on."""
    desk = Desk()
    await desk.batch(0, raw("A"))
    desk.app.consumer.first_offsets = {TP0: 5}

    await desk.batch(5, raw("A"))

    assert len(desk.sent(topics.FUNDING)) == 2


async def test_a_bug_is_not_a_dead_letter() -> None:
    """An error of ours leaves the agent's hands: nothing is sent in its place, and the position stays."""
    desk = Desk()

    with pytest.raises(ZeroDivisionError):
        await desk.batch(0, raw("A"), raw("BUG-USDT"))

    partition = desk.partitions.get(0)
    assert partition is not None and partition.position is None
    assert desk.sent(topics.DEAD_LETTERS) == []


async def test_a_closed_worker_handles_nothing_more() -> None:
    """After its last checkpoint a batch would be sent twice: by it and by its successor."""
    desk = Desk()
    desk.partitions.closed = True

    await desk.batch(0, raw("A"))

    assert desk.app.producer.sent == []
