"""The parts of the store's benchmark that need no broker."""

from collections.abc import Callable, Iterator

import pytest

from mts_stream.sinks.batching import Delivery
from mts_stream.sinks.rows import PRIMARY, rows_of
from tests.benchmarks.store import results
from tests.benchmarks.store.results import Made

BEGIN_NS = 1_795_402_800 * results.NS_PER_S


@pytest.mark.parametrize("make", [results.spreads, results.signals, results.funding, results.quality])
def test_made_results_fit_their_models_and_are_rows_of_their_own(make: Callable[..., Iterator[Made]]) -> None:
    """None is refused, none replaces another, and they are the same each time."""
    made = list(make(600, BEGIN_NS))
    tables = [row.table for n, each in enumerate(made) for row in rows_of(each.topic, Delivery(0, n, each.value))]

    assert tables.count(PRIMARY[made[0].topic]) == len(made) == results.distinct_keys(made)
    assert made == list(make(600, BEGIN_NS))


def test_numbers_are_written_as_the_wire_has_them() -> None:
    """No zero that says nothing, none that is negative."""
    assert [results.text(number, 4) for number in (1.5, -0.00001, 20.0, -3.25)] == ["1.5", "0", "20", "-3.25"]
