"""What the garbage collector is spared, and that dropped engines are collected all the same."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from mts_stream.agents.long_lived import LongLived
from mts_stream.agents.partitions import Partitions
from tests.agents.fakes import CountingEngine, CountingPair


@pytest.fixture(autouse=True)
def _thawed() -> Iterator[None]:
    yield
    gc.unfreeze()


def test_pairs_are_set_apart_once_they_have_come() -> None:
    """While they come nothing is done, and nothing again until others come."""
    partitions, long_lived = Partitions(CountingEngine), LongLived()
    engine = partitions.open(0).engine
    looked = []
    for name in ("a", "b", None, None, "c", None, None):
        if name:
            engine.pairs[name] = CountingPair()  # type: ignore[index]
        looked.append(long_lived.look(partitions))

    assert looked == [False, False, True, False, False, True, False]
    assert gc.get_freeze_count() > 0
    assert engine not in gc.get_objects()


def test_a_dropped_engine_is_collected() -> None:
    """Its parts refer to each other: set apart for good, they would never be freed."""
    partitions, long_lived = Partitions(CountingEngine), LongLived()
    for number in (0, 1):
        engine = partitions.open(number).engine
        engine.itself = engine  # type: ignore[attr-defined]
    gone = weakref.ref(engine)
    del engine
    assert [long_lived.look(partitions) for _ in range(2)] == [False, True]

    partitions.keep_only([0])
    assert gone() is not None
    assert [long_lived.look(partitions) for _ in range(3)] == [False, True, False]

    assert gone() is None
