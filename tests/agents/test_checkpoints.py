"""Checkpoints: results, then snapshots, then the commit; and what is read back is the newest that can be read."""

import asyncio
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from faust.types import TP
from hypothesis import given
from hypothesis import strategies as st

from mts_stream import metrics
from mts_stream.agents.checkpoints import (
    VERSION,
    Checkpoint,
    Checkpointer,
    SavedCheckpoints,
    engine_key,
    restore,
    table_key,
)
from mts_stream.agents.outbox import Outbox, Outgoing
from mts_stream.agents.partitions import Partition, Partitions
from mts_stream.errors import DeliveryError
from mts_stream.wire import topics
from tests.agents.fakes import CountingEngine, CountingPair, FakeApp


class Desk:
    """A checkpointer with everything around it."""

    def __init__(self, interval_s: float = 10.0) -> None:
        self.app = FakeApp()
        self.partitions = Partitions(CountingEngine)
        self.outbox = Outbox(lambda: self.app.producer, 1000)
        self.saved = SavedCheckpoints()
        self.checkpointer = Checkpointer(self.app, self.app.table, self.partitions, self.saved, self.outbox, interval_s)

    def opened(self, number: int, position: int, **pending: int | None) -> Partition:
        """A partition with pairs that have something pending."""
        partition = self.partitions.open(number)
        partition.position = position
        for name, first in pending.items():
            partition.engine.pairs[name] = CountingPair(position - 1, first)  # type: ignore[index]
        return partition


def changelog(key: bytes, value: bytes | None, partition: int = 0) -> Any:
    """A changelog record as Faust hands it on."""
    return SimpleNamespace(message=SimpleNamespace(partition=partition, key=key, value=value))


def saved_value(offset: int, count: int = 0, version: int = VERSION) -> bytes:
    """A checkpoint's value."""
    checkpoint = Checkpoint.of(offset, b"[%d,%d]" % (offset, count))
    checkpoint.v = version
    return msgspec.msgpack.encode(checkpoint)


def test_keys_of_the_table() -> None:
    """A pair is its own key; the clock's carries its partition, since all partitions share the table."""
    assert table_key(3, "BTC-USDT") == b"BTC-USDT"
    assert table_key(3, "@") == b"@3"
    assert (engine_key(b"@3"), engine_key(b"BTC-USDT")) == ("@", "BTC-USDT")


async def test_a_round_goes_results_then_checkpoints_then_commit() -> None:
    """While a result is unconfirmed nothing is written; while a checkpoint is unconfirmed nothing is committed."""
    desk = Desk()
    desk.app.producer.confirms = False
    desk.opened(0, 50, a=10, b=20)
    await desk.outbox.send(0, [Outgoing("mts.signals", b"a", b"{}", [])])

    task = asyncio.create_task(desk.checkpointer.run(everything=True))
    for _ in range(20):
        await asyncio.sleep(0)
    assert desk.app.diary == []
    desk.app.producer.confirm()
    await task

    assert desk.app.diary == ["changelog a", "changelog b", "commit 0 50"]


async def test_a_refused_result_leaves_everything_as_it_was() -> None:
    """The worker ends; nothing was written or committed that the replay would need."""
    desk = Desk()
    desk.app.producer.confirms = False
    desk.opened(0, 50, a=10)
    await desk.outbox.send(0, [Outgoing("mts.signals", b"a", b"{}", [])])
    desk.app.producer.refuse()

    with pytest.raises(DeliveryError):
        await desk.checkpointer.run(everything=True)

    assert desk.app.diary == []


async def test_the_low_water_offset_is_committed() -> None:
    """What one pair has pending holds the commit back; an offset is never lowered and never repeated."""
    desk = Desk(interval_s=1000)
    partition = desk.opened(0, 50, a=10)
    partition.handled_at = 1e12  # far from idle

    await desk.checkpointer.run()
    assert desk.app.consumer.committed == {TP(topics.RAW, 0): 10}
    partition.engine.pairs["a"].pending = None
    await desk.checkpointer.run()
    await desk.checkpointer.run()

    assert desk.app.diary == ["commit 0 10", "commit 0 50"]


async def test_an_idle_partition_is_written_at_once() -> None:
    """With the producers gone the committed offset reaches the end without waiting for the interval."""
    desk = Desk(interval_s=1000)
    desk.opened(0, 50, a=10)

    await desk.checkpointer.run()

    assert desk.app.diary == ["changelog a", "commit 0 50"]


async def test_a_partition_that_is_not_ours_is_not_committed() -> None:
    """The next owner commits it."""
    desk = Desk()
    desk.opened(9, 50, a=10)

    await desk.checkpointer.run(everything=True)

    assert desk.app.consumer.committed == {}


async def test_a_group_that_has_moved_on_is_asked_again() -> None:
    """A commit that the group refused is not remembered as done."""
    desk = Desk()
    desk.opened(0, 50, a=10)
    desk.app.consumer.moved_on = True
    await desk.checkpointer.run(everything=True)

    desk.app.consumer.moved_on = False
    await desk.checkpointer.run(everything=True)

    assert desk.app.consumer.committed == {TP(topics.RAW, 0): 50}


async def test_many_checkpoints_are_written_in_bounded_parts() -> None:
    """Three hundred pairs are all written, and their partition is at its end."""
    desk = Desk()
    desk.opened(0, 500, **{f"pair{i}": i for i in range(300)})

    await desk.checkpointer.run(everything=True)

    assert len(desk.app.table.written) == 300
    assert desk.app.consumer.committed == {TP(topics.RAW, 0): 500}


@given(offsets=st.permutations(range(6)))
async def test_the_highest_offset_wins(offsets: list[int]) -> None:
    """A worker that was stopped and goes on may write an old checkpoint after its successor's newer one."""
    saved = SavedCheckpoints()
    for offset in offsets:
        await saved.on_changelog_event(changelog(b"a", saved_value(offset)))

    assert saved.of(0)[b"a"].offset == 5


@pytest.mark.parametrize(
    "value",
    [b"\xff", b"", b"[1]", b'{"v":1,"offset":7,"snapshot":[7,0]}', saved_value(7, version=99), saved_value(1)[:-1],
     msgspec.msgpack.encode({"v": VERSION, "offset": "7", "snapshot": b""})],
)  # fmt: skip
async def test_a_checkpoint_that_cannot_be_read_is_counted_and_left_out(value: bytes) -> None:
    """Broken, or of another version: its pair is rebuilt from the log; the good one beside it is kept.

    The one before it goes too: the log is committed beyond it.
    """
    before = metrics.CHECKPOINTS_IGNORED._value.get()
    saved = SavedCheckpoints()

    await saved.on_changelog_event(changelog(b"a", saved_value(2)))
    await saved.on_changelog_event(changelog(b"a", value))
    await saved.on_changelog_event(changelog(b"b", saved_value(3)))
    await saved.on_changelog_event(changelog(b"c", None))

    assert list(saved.of(0)) == [b"b"]
    assert saved.lost(0) == {"a"}
    assert metrics.CHECKPOINTS_IGNORED._value.get() == before + 1


async def test_checkpoints_of_lost_partitions_are_dropped() -> None:
    """They are read anew when the partition comes back; those of kept ones are not, and stay."""
    saved = SavedCheckpoints()
    for partition in (0, 1):
        await saved.on_changelog_event(changelog(b"a", saved_value(3), partition))

    saved.keep_only([1, 2])

    assert (saved.of(0), len(saved.of(1))) == ({}, 1)


async def test_a_pair_with_a_later_checkpoint_is_not_lost() -> None:
    """What cannot be read counts only while nothing newer stands; it goes with its partition."""
    saved = SavedCheckpoints()
    for key in (b"a", b"b", b"@0"):
        await saved.on_changelog_event(changelog(key, b"\xff"))
    await saved.on_changelog_event(changelog(b"a", saved_value(3)))

    assert (saved.lost(0), saved.lost(1)) == ({"b", "@"}, set())
    saved.keep_only([1])
    assert saved.lost(0) == set()


async def test_what_was_written_is_known() -> None:
    """A worker that must begin anew from its checkpoints need not read its own again."""
    desk = Desk()
    desk.opened(0, 50, a=10)

    await desk.checkpointer.run(everything=True)

    assert desk.saved.of(0)[b"a"].offset == 49


async def test_restoring_gives_the_engine_its_state() -> None:
    """Pairs and clock get their offsets back; one that the engine refuses is counted and left out."""
    saved = SavedCheckpoints()
    for key, offset in ((b"a", 4), (b"@0", 6), (b"b", -5)):
        await saved.on_changelog_event(changelog(key, saved_value(offset, count=2)))
    before = metrics.CHECKPOINTS_IGNORED._value.get()
    partition = Partition(0, CountingEngine())

    await restore(partition, saved.of(0))

    assert partition.engine.pairs == {"a": CountingPair(4, None, 2)}
    assert partition.engine.clock.offset == 6
    assert metrics.CHECKPOINTS_IGNORED._value.get() == before + 1


async def test_a_snapshot_that_is_damaged_is_named_and_left_out() -> None:
    """Its bytes changed on the way, or nonsense under a good frame: the pairs beside it are restored."""
    damaged = Checkpoint(VERSION, 4, Checkpoint.of(4, b"[4,2]").snapshot[:-2])
    saved = {b"a": damaged, b"b": Checkpoint.of(5, b"[5,2]"), b"c": Checkpoint.of(6, b"no json")}
    before = metrics.CHECKPOINTS_IGNORED._value.get()
    partition = Partition(0, CountingEngine())

    assert await restore(partition, saved) == {"a", "c"}

    assert partition.engine.pairs == {"b": CountingPair(5, None, 2)}
    assert metrics.CHECKPOINTS_IGNORED._value.get() == before + 2
