"""The lag behind event time: a metric by partition, said when it is too large, and no reason to change a result."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from faust.types import TP

from mts_stream import metrics
from mts_stream.agents import lag as lag_module
from mts_stream.agents.checkpoints import SavedCheckpoints
from mts_stream.agents.lag import EventLag
from mts_stream.agents.market import Market
from mts_stream.agents.outbox import Outbox
from mts_stream.agents.partitions import Partitions
from mts_stream.domain.engine import PartitionEngine
from mts_stream.settings import Settings
from mts_stream.wire import topics
from tests.agents.fakes import FakeApp, records
from tests.integration.worker_parts import capture

NOW = 1_700_000_000 * 10**9
MS = 10**6


@pytest.fixture(autouse=True)
def no_lags_left() -> Iterator[None]:
    """The gauges are the process's: leave none of them behind."""
    yield
    metrics.EVENT_LAG.clear()


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """What is said in the log."""
    lines: list[tuple[str, dict[str, Any]]] = []

    class Lines:
        def warning(self, event: str, **values: Any) -> None:
            lines.append((event, values))

        info = warning

    monkeypatch.setattr(lag_module, "log", Lines())
    return lines


def shown() -> dict[str, float]:
    """The gauge by partition."""
    return {s.labels["partition"]: s.value for family in metrics.EVENT_LAG.collect() for s in family.samples}


def test_the_lag_is_the_clock_minus_the_newest_event_time_by_partition() -> None:
    """A batch without any event time, of nothing but dead letters, changes nothing."""
    lag = EventLag(2000)

    lag.handled(0, NOW - 250 * MS, NOW)
    lag.handled(3, NOW - 1500 * MS, NOW)
    lag.handled(3, 0, NOW + 10**9)

    assert shown() == {"0": 0.25, "3": 1.5}
    assert lag.max_s == 1.5


def test_it_grows_while_records_wait_and_stands_while_there_are_none(said: list[Any]) -> None:
    """A worker that is stuck is late; one whose producers are quiet is not."""
    lag = EventLag(2000)
    lag.handled(0, NOW, NOW)
    lag.handled(1, NOW, NOW)

    lag.waiting([1, 2], NOW + 5 * 10**9)

    assert shown() == {"0": 0.0, "1": 5.0}
    assert lag.late == [1]


def test_too_much_is_said_once_and_its_end_once(said: list[Any]) -> None:
    """At the bound it is not late yet."""
    lag = EventLag(2000)

    for late_ms in (2000, 2001, 9000, 1999, 100):
        lag.handled(0, NOW - late_ms * MS, NOW)

    assert [(event.split(":")[0], values["lag_s"]) for event, values in said] == [
        ("behind event time", 2.001),
        ("caught up with event time", 1.999),
    ]


def test_a_partition_that_moved_away_is_no_longer_shown(said: list[Any]) -> None:
    """Its last lag would stand there for ever."""
    lag = EventLag(100)
    lag.handled(0, NOW, NOW)
    lag.handled(1, NOW - 10**9, NOW)

    lag.keep_only({0})

    assert shown() == {"0": 0.0}
    assert (lag.late, lag.max_s) == ([], 0.0)


async def test_stale_signals_are_sent_as_they_are_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The real engine on a recording: the same signals whatever the clock, each with the `expires_ns` of its event
    time; counted are exactly those that were sent at it or after."""
    lines = capture("random-a", 1500)
    newest_ns = max(int(line.split(b'"received_ns":')[1].split(b",")[0]) for line in lines if b"received_ns" in line)

    fresh, stale_when_fresh = await _signals(lines, 0, monkeypatch)
    late, stale_when_late = await _signals(lines, newest_ns + 10**10, monkeypatch)

    assert fresh and len(late) == len(fresh)
    assert (stale_when_fresh, stale_when_late) == (0, len(late))
    assert [one.split(b'"emitted_ns"')[0] for one in late] == [one.split(b'"emitted_ns"')[0] for one in fresh]


async def _signals(lines: list[bytes], now_ns: int, monkeypatch: pytest.MonkeyPatch) -> tuple[list[bytes], float]:
    """The signals that a worker sends of these records at this time, and how many it counted as stale."""
    app, economics = FakeApp(), Settings().economics()
    market = Market(
        app,
        Partitions(lambda: PartitionEngine(economics)),
        SavedCheckpoints(),
        Outbox(lambda: app.producer, 10**6),
        EventLag(2000),
    )
    monkeypatch.setattr(time, "time_ns", lambda: now_ns)
    before = _stale()
    await market.on_batch(TP(topics.RAW, 0), records(0, *lines), 1)
    return [value for topic, _, value, _ in app.producer.sent if topic == topics.SIGNALS], _stale() - before


def _stale() -> float:
    samples = [s for family in metrics.STALE_SIGNALS.collect() for s in family.samples]
    return sum(s.value for s in samples if s.name.endswith("_total"))


def test_it_is_no_economic_setting() -> None:
    """The name of the settings in force, which stands in every signal, does not change by it."""
    configs = {Settings(max_lag_ms=ms).economics().config_id for ms in (1, 2000)}

    assert len(configs) == 1
