"""The contest's parts that need no broker: one job, one digest, ratios within rounds."""

from mts_stream.domain.kernel import kernel
from tests.benchmarks.same_job.bars import BARS, Turn, reached
from tests.benchmarks.same_job.chart import svg_of
from tests.benchmarks.same_job.counting import CountingJob
from tests.benchmarks.same_job.engines.catalog import ENGINES
from tests.benchmarks.same_job.job import Job
from tests.benchmarks.same_job.log import digest, messages
from tests.benchmarks.same_job.table import json_of, table_of
from tests.domain.kernels import built

NAMES = {
    "in_process", "confluent_loop", "aiokafka_loop", "quix", "bytewax", "faust_stock", "mts_python", "mts_compiled",
    "kafka_streams",
}  # fmt: skip


def test_every_engine_that_the_issue_names_is_there() -> None:
    """By that name."""
    assert ENGINES.keys() >= NAMES


def test_the_log_is_the_same_for_the_same_seed() -> None:
    """And another for another: pairs lie at other phases."""
    assert messages(3, 50, seed=1) == messages(3, 50, seed=1) != messages(3, 50, seed=2)


def test_the_job_gives_the_same_on_both_kernels_and_in_any_batches() -> None:
    """One digest, with signals opened, updated and closed and rows of seconds in it."""
    log = messages(2, 1500, seed=5)
    values = [value for _, value in log]
    whole = Job(kernel("python")).on_records(values)
    job = Job(built("compiled"))
    single = [result for value in values for result in job.on_record(value)]

    assert digest(whole) == digest(single)
    text = b"".join(value for _, value in whole)
    assert all(word in text for word in (b'"opened"', b'"updated"', b'"closed"', b'"second_ns"'))


def test_the_job_that_counts_says_the_same_in_any_order_and_batches() -> None:
    """Once, with the last record; another record, or one too few, is seen."""
    values = [value for _, value in messages(1, 100, seed=1)]
    job = CountingJob(len(values))
    single = [result for value in reversed(values) for result in job.on_record(value)]

    assert single == CountingJob(len(values)).on_records(values) != CountingJob(len(values)).on_records(values[1:])
    assert single != CountingJob(len(values)).on_records([*values[1:], values[1]])


def test_a_digest_knows_no_order_of_pairs_but_that_of_each() -> None:
    """Partitions may come in any order, a pair's results may not."""
    first, second, other = (b"A", b"1"), (b"A", b"2"), (b"B", b"3")
    assert digest([first, second, other]) == digest([other, first, second])
    assert digest([first, second, other]) != digest([second, first, other])


def test_ratios_are_taken_within_rounds() -> None:
    """A machine that slows down between two rounds changes no ratio; the median stands."""
    ours = [Turn(100, cpu, cpu) for cpu in (1.0, 2.0, 4.0)]
    theirs = [Turn(100, 20 * cpu, cpu) for cpu in (1.0, 2.0, 4.0)]

    (bar,) = reached({"mts_compiled": ours, "faust_stock": theirs})

    assert (round(bar.value, 6), round(bar.least, 6), round(bar.most, 6)) == (20, 20, 20)
    assert bar.is_reached and bar.bar == BARS[0]


def test_what_is_shown_names_each_bar_and_each_difference() -> None:
    """For programs and people: the figures, whether digests are equal, what is missing."""
    turns = {"mts_compiled": [Turn(100, 1, 2)], "faust_stock": [Turn(100, 10, 20)]}
    facts = {"messages": 100, "pairs": 1, "rounds": 1, "missing": ["quix"]}
    equal = json_of(turns, {"mts_compiled": {"d"}, "faust_stock": {"d"}}, {}, reached(turns), facts)
    other = json_of(turns, {"mts_compiled": {"d"}, "faust_stock": {"e"}}, {}, reached(turns), facts)

    assert equal["digests_equal"] and not other["digests_equal"]
    assert equal["engines"]["mts_compiled"]["messages_per_cpu_s"] == 100
    assert equal["engines"]["mts_compiled"]["messages_per_s"] == 50
    assert [bar["reached"] for bar in equal["bars"]] == [False]
    assert "NOT REACHED" in table_of(equal) and "quix: not installed" in table_of(equal)
    assert "DIFFER" in table_of(other)


def test_the_chart_has_a_bar_for_each_engine() -> None:
    """The fastest first, each with its figure."""
    turns = {"mts_compiled": [Turn(100, 1, 2)], "faust_stock": [Turn(100, 10, 20)]}
    facts = {"messages": 100, "pairs": 1, "rounds": 1, "missing": []}

    chart = svg_of(json_of(turns, {}, {}, [], facts))

    assert chart.count("<rect") == 1 + len(turns)
    assert chart.index("mts_compiled") < chart.index("faust_stock")
