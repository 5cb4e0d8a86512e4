"""The parts of the worker's benchmark that need no broker."""

import pytest

from mts_stream.domain.engine import PartitionEngine
from mts_stream.domain.messages import SignalMessage, SpreadWindow
from mts_stream.settings import load_settings
from mts_stream.wire.codec import decode_record
from tests.benchmarks.worker.bench import Drove, right
from tests.benchmarks.worker.checking import Checked, compare, digest
from tests.benchmarks.worker.driving import Rendered
from tests.benchmarks.worker.figures import Figure, quantile
from tests.benchmarks.worker.latency import Appended
from tests.benchmarks.worker.overload import after_kill
from tests.benchmarks.worker.raw_log import NS_PER_S, Due, log, templates
from tests.benchmarks.worker.rows import Row

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


def test_a_rendered_log_has_every_record_in_its_order() -> None:
    """Due times, keys and values as the log gives them."""
    records = list(log(3, BEGIN_NS, [(60.0, 100)]))
    rendered = Rendered(iter(records))
    assert [Due(*one) for one in zip(rendered.due_ns, rendered.keys, rendered.values, strict=True)] == records


@pytest.mark.parametrize(
    ("sent", "found"),
    [
        ("abcd", Checked(expected=4)),
        ("abd", Checked(expected=4, lost=1)),
        ("abcxd", Checked(expected=4, foreign=1)),
        ("acbd", Checked(expected=4, disordered=2)),
        ("abcbcd", Checked(expected=4, repeated=2)),
        ("", Checked(expected=4, lost=4)),
    ],
)
def test_results_are_compared_with_the_engines(sent: str, found: Checked) -> None:
    """What is missing, unknown, in another order, or came again is counted; so is a key that the engine has not."""
    key, other = ("mts.spreads", b"A"), ("mts.signals", b"A")

    def digests(letters: str) -> list[bytes]:
        return [letter.encode() for letter in letters]

    assert compare({key: digests("abcd")}, {key: digests(sent)}) == found
    assert compare({key: digests("abcd")}, {key: digests(sent), other: digests("z")}) == found + Checked(foreign=1)


def test_the_clock_of_sending_is_no_part_of_a_result() -> None:
    """Sent again after a kill it is the same result."""
    assert digest(b'{"id":"a","emitted_ns":1,"pair":"b"}') == digest(b'{"id":"a","emitted_ns":22,"pair":"b"}')
    assert digest(b'{"id":"a","emitted_ns":1}') != digest(b'{"id":"b","emitted_ns":1}')


def test_a_wrong_result_fails_the_benchmark_and_a_slow_one_does_not() -> None:
    """A repeat is wrong only where nobody was killed; a record the log lacks counts as lost."""
    drove, again = Drove(10, 0, 1.0, 0.0), Checked(records=10, expected=4, repeated=2)
    assert not any(figure.is_wrong for figure in right("a", again, drove, may_repeat=True))
    assert [figure.is_wrong for figure in right("a", again, drove, may_repeat=False)] == [False, True, False, False]
    assert right("a", again._replace(records=9), drove, may_repeat=True)[0].is_wrong
    assert not Figure("a", 2.1, "s", 2.0).is_wrong


def test_a_late_driver_makes_its_run_void() -> None:
    """Late to hand over, or late to be confirmed."""
    assert not Drove(1, 0, 5.0, 1.0).is_void
    assert Drove(1, 0, 5.1, 1.0).is_void
    assert Drove(1, 0, 5.0, 1.1).is_void


def test_the_first_new_row_after_a_kill_is_none_that_was_sent_before() -> None:
    """Rows sent again are no news, but late; caught up is when the last late one has come."""

    def row(offset: int, second: int, appended_ms: int) -> Row:
        return Row(0, offset, ("A", "d", second), appended_ms, appended_ms - second * 1000)

    before = [row(0, 1, 1010), row(1, 2, 2010)]
    after = [row(2, 2, 9000), row(3, 3, 9100), row(4, 8, 9400), row(5, 9, 9500)]
    assert after_kill(before + after, {0: 2}) == (9100, 9400)
    assert after_kill([*before, row(2, 3, 3010)], {0: 2}) == (3010, 3010)


def test_a_rows_record_is_the_first_at_or_after_its_end() -> None:
    """Of a pair or of its partition's status records; there may be none yet."""
    appended = Appended()
    for received_ns, appended_ms in ((10, 1), (20, 2)):
        appended.received_ns.append(received_ns)
        appended.appended_ms.append(appended_ms)
    assert [appended.first_since(at_ns) for at_ns in (5, 10, 11, 21)] == [(10, 1), (10, 1), (20, 2), None]
