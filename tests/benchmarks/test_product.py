"""The parts of the worker's benchmark that need no broker."""

import pytest

from mts_stream.domain.engine import PartitionEngine
from mts_stream.domain.messages import SignalMessage, SpreadWindow
from mts_stream.settings import load_settings
from mts_stream.wire.codec import decode_record
from tests.benchmarks.worker.figures import Figure, quantile
from tests.benchmarks.worker.raw_log import NS_PER_S, Due, log, templates

BEGIN_NS = 1_760_000_000 * NS_PER_S


def test_the_log_is_the_same_each_time_and_keeps_its_schedule() -> None:
    """Times rise by the rate, across a change of it, and no two records of pairs share one."""
    rates = [(100.0, 150), (1000.0, 300)]
    first = list(log(10, BEGIN_NS, rates))

    assert first == list(log(10, BEGIN_NS, rates))
    times = [due.after_ns for due in first if due.key]
    assert len(set(times)) == 450
    assert times[150] == 1_500_000_000
    assert times[-1] == 1_500_000_000 + 299_000_000
    assert sum(due.key is None for due in first) == 8


def test_the_engine_reads_all_of_it_and_finds_signals_in_each_cycle() -> None:
    """No dead letter; rows and signals of the recording's second run too; a result's time is its record's."""
    count = len(templates())
    records: list[Due] = list(log(1, BEGIN_NS, [(60.0, 2 * count)]))
    engine, signals, rows = PartitionEngine(load_settings().economics()), [], 0
    for offset, due in enumerate(records):
        for message in engine.on_event(decode_record(due.value), offset).messages:
            rows += isinstance(message, SpreadWindow)
            if isinstance(message, SignalMessage):
                signals.append(message.event_time_ns)

    assert rows > 300
    middle_ns = BEGIN_NS + count * NS_PER_S // 60
    assert min(signals) < middle_ns < max(signals)
    assert set(signals) <= {BEGIN_NS + due.after_ns for due in records}


def test_quantiles_are_values_that_were_measured() -> None:
    """Nearest rank; of nothing there is none."""
    values = list(range(1, 101))
    assert [quantile(values, share) for share in (0.01, 0.5, 0.99, 1.0)] == [1, 50, 99, 100]
    assert quantile([3.0], 0.5) == 3.0
    with pytest.raises(ValueError, match="no values"):
        quantile([], 0.5)


def test_a_figure_knows_its_side_of_the_bar() -> None:
    """At most, at least, or only shown."""
    assert Figure("a", 2.0, "", 2.0).reached is True
    assert Figure("a", 2.1, "", 2.0).reached is False
    assert Figure("a", 2.1, "", 2.0, at_least=True).reached is True
    assert Figure("a", 2.1, "").reached is None
    void = Figure("a", 1.0, "", 2.0, is_void=True)
    assert void.reached is None
    assert "VOID" in void.line()
    assert "NOT REACHED" in Figure("a", 2.1, "", 2.0).line()
