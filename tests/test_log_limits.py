"""Repeated lines are counted, not written; and an error that is told is not told again by a library."""

import logging

from mts_stream.errors import StoreError
from mts_stream.log_limits import AT_ONCE_OTHERS, TEXTS_MAX, Limited, RepeatFilter
from tests.test_health import Time


def record(name: str, text: object, *args: object, error: BaseException | None = None) -> logging.LogRecord:
    """A log record as a library makes it."""
    exc_info = (type(error), error, None) if error else None
    return logging.LogRecord(name, logging.ERROR, "f.py", 1, text, args, exc_info)


def test_a_line_is_due_so_often_and_counts_the_others() -> None:
    """Two at once, then none before the time is over; the next one says how many were left out."""
    time = Time()
    limited = Limited(every_s=10, at_once=2, clock=time)

    assert [limited.due() for _ in range(5)] == [0, 0, None, None, None]
    time.now += 9
    assert limited.due() is None
    time.now += 1
    assert [limited.due(), limited.due(), limited.due()] == [4, 0, None]


def test_aiokafka_says_a_thing_once_in_ten_seconds() -> None:
    """Whatever node it names; another text is another thing."""
    time = Time()
    repeats = RepeatFilter(time)
    passed = [repeats.filter(record("aiokafka.client", "no node %s", node)) for node in range(100)]
    assert passed == [True] + [False] * 99
    assert repeats.filter(record("aiokafka.client", "no metadata"))
    time.now += 10
    again = record("aiokafka.client", "no node %s", 1)

    assert repeats.filter(again)
    assert again.__dict__["suppressed"] == 99


def test_ours_are_never_left_out_and_other_libraries_may_repeat_a_little() -> None:
    """Our own lines are limited where they are written."""
    repeats = RepeatFilter(Time())

    assert all(repeats.filter(record("mts_stream.market", {"event": "x"})) for _ in range(100))
    assert sum(repeats.filter(record("faust.app", "x")) for _ in range(100)) == AT_ONCE_OTHERS


def test_memory_is_bounded() -> None:
    """The oldest text is forgotten."""
    repeats = RepeatFilter(Time())
    for number in range(2 * TEXTS_MAX):
        assert repeats.filter(record("aiokafka", f"text {number}"))

    assert len(repeats._texts) == TEXTS_MAX


def test_an_error_that_is_told_is_not_told_again() -> None:
    """Neither with its traceback nor as an argument; one that is not told is."""
    repeats, error = RepeatFilter(Time()), StoreError("gone")
    assert repeats.filter(record("mode", "crashed", error=error))
    error.told = True

    assert not repeats.filter(record("mode", "crashed", error=error))
    assert not repeats.filter(record("mode", "crashed %r", error))
    assert not repeats.filter(record("mts_stream.worker", "crashed", error=error)), "Faust logs under our names too"
    assert repeats.filter(record("mts_stream.worker", {"event": "crashed"}, error=error))
