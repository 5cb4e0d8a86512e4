"""What the log says of Kafka: a line when it goes, a line when it comes, a line for each burst of losses."""

from collections.abc import MutableMapping
from typing import Any

import pytest
from structlog.testing import capture_logs

from producers.outage import LossLog, OutageWatch

Lines = list[MutableMapping[str, Any]]


class Hands:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Hands:
    return Hands()


def test_an_outage_is_two_lines(clock: Hands) -> None:
    """However long it lasts: one when nothing was confirmed for the time given, one at the first confirmation."""
    with capture_logs() as lines:
        watch = OutageWatch(5, clock)
        watch.look(10, 3)
        for queued in range(3, 300):
            clock.now_s += 0.2
            watch.look(10, queued)
        watch.look(11, 298)
        watch.look(12, 0)

    assert [(line["log_level"], line["event"]) for line in lines] == [
        ("warning", "Kafka is away: no record confirmed"), ("info", "Kafka is back"),
    ]  # fmt: skip
    assert 5 <= lines[0]["for_s"] < 5.5 and 20 < lines[0]["queued_records"] < 35
    assert (lines[1]["away_s"], lines[1]["queued_records"]) == (59.4, 298)


def test_nothing_to_send_is_no_outage(clock: Hands) -> None:
    """The time begins with the first record that waits."""
    with capture_logs() as lines:
        watch = OutageWatch(5, clock)
        clock.now_s += 1000
        watch.look(0, 0)
        clock.now_s += 4.9
        watch.look(0, 1)

    assert lines == []


def test_a_burst_of_losses_is_one_line(clock: Hands) -> None:
    """With their number and the first one's topic, size and error; a burst without end is told every ten seconds."""
    with capture_logs() as lines:
        losses = LossLog(clock)
        losses.tell()
        for size in range(1000, 2000):
            losses.add("mts.raw", size, "too large")
        losses.tell()
        assert lines == []
        clock.now_s += 1
        losses.tell()
        losses.tell()
        first: Lines = list(lines)
        for _ in range(11):
            losses.add("mts.raw", 1, "fenced")
            losses.tell()
            clock.now_s += 0.9
        losses.add("mts.raw", 1, "fenced")
        losses.tell(at_once=True)

    assert [(line["event"], line["count"], line["bytes"], line["error"]) for line in first] == [
        ("records not delivered", 1000, 1000, "too large")
    ]
    assert [line["count"] for line in lines[1:]] == [12]
