"""Partitions: what is due, what is durable, what is dropped."""

from hypothesis import given
from hypothesis import strategies as st

from mts_stream.agents.partitions import CLOCK, Partition, Partitions
from tests.agents.fakes import CountingEngine, CountingPair


def a_partition(**pending: int | None) -> Partition:
    """A partition whose pairs have these offsets in no checkpoint."""
    engine = CountingEngine()
    for name, first in pending.items():
        engine.pairs[name] = CountingPair(100, first)
    return Partition(0, engine, position=101)


def test_low_water_is_the_lowest_offset_that_no_checkpoint_holds() -> None:
    """Pending and held offsets of pairs and clock count alike; without any it is the end."""
    partition = a_partition(a=40, b=None, c=60)
    assert partition.low_water(101) == 40
    partition.engine.clock.pending = 30
    assert partition.low_water(101) == 30

    partition.take(CLOCK)
    partition.take("a")
    assert partition.low_water(101) == 30, "a snapshot on its way is not durable yet"
    partition.held.clear()

    assert partition.low_water(101) == 60
    assert a_partition(a=None).low_water(101) == 101


def test_a_snapshot_holds_what_it_covers_until_it_is_durable() -> None:
    """Taking moves the first pending offset to `held`; records handled later are pending anew."""
    partition = a_partition(a=40)

    offset, data = partition.take("a")

    assert (offset, data) == (100, b"[100, 0]")
    assert partition.held == {"a": 40}
    assert partition.engine.pairs["a"].pending is None


def test_only_what_changed_is_due() -> None:
    """A pair without new records has no checkpoint written, not even with `everything`."""
    assert a_partition(a=40, b=None).due_keys(0.0, 10.0, everything=True) == ["a"]


@given(names=st.sets(st.text(min_size=1, max_size=8), min_size=1, max_size=40))
def test_every_pair_is_due_once_per_interval(names: set[str]) -> None:
    """A pair that always has something pending is written once in each interval, spread over it."""
    partition = a_partition()
    for name in names - {CLOCK}:
        partition.engine.pairs[name] = CountingPair(5, 5)
    partition.due_keys(0.0, 10.0, everything=False)

    seen = [key for tick in range(1, 121) for key in partition.due_keys(tick * 0.25, 10.0, everything=False)]

    assert all(seen.count(name) == 3 for name in partition.engine.pairs)


def test_a_pair_that_was_quiet_is_written_once_and_then_in_its_turn() -> None:
    """After hours without a record one checkpoint follows, not one for each interval missed."""
    partition = a_partition(a=40)
    partition.due_keys(0.0, 10.0, everything=False)

    due = [partition.due_keys(36_000.0 + tick, 10.0, everything=False) for tick in range(10)]

    assert sum(map(len, due)) <= 2


def test_engines_of_lost_partitions_are_dropped() -> None:
    """They would be stale when the partition comes back."""
    partitions = Partitions(CountingEngine)
    kept = partitions.open(1)
    partitions.open(2)

    partitions.keep_only([1, 3])

    assert list(partitions) == [kept]
    assert partitions.get(2) is None
