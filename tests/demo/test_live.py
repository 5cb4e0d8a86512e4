"""What the live view knows and draws."""

import time
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from mts_stream.local.demo.faults import FaultRow
from mts_stream.local.demo.ledger import ResultLedger
from mts_stream.local.demo.live_state import LiveState
from mts_stream.local.demo.rates import Rate, read_counters, total
from mts_stream.local.demo.view import DemoView, Figures, clock, lasted, query, shown
from mts_stream.wire.kafka import Record
from mts_stream.wire.topics import SIGNALS
from tests.demo.results import PERPS, record, signal_record, window_record

S = 1_000_000_000


def told(*records: Record) -> LiveState:
    """A state that was told these records."""
    state = LiveState()
    state.on_results(ResultLedger().on_records(records))
    return state


def test_an_opportunity_is_open_from_its_opening_to_its_closing() -> None:
    """Its length is event time."""
    state = told(signal_record("opened", 0, S), signal_record("updated", 1, 2 * S))
    assert state.is_open("BTC-USDT", PERPS)
    assert [one.lived_ms for one in state.open.values()] == [1000]

    state.on_results(ResultLedger().on_records([signal_record("closed", 2, 3 * S, reason="no_edge")]))
    assert not state.is_open("BTC-USDT", PERPS)
    assert [(one.lived_ms, one.reason) for one in state.closed] == [(2000, "no_edge")]
    assert state.opened_count == 1


def test_an_open_opportunity_shows_the_time_since_its_opening() -> None:
    """It grows while no event comes, and never shrinks behind what the events told."""
    state = told(signal_record("opened", 0, time.time_ns() - 90 * S))
    (line,) = [line for line in draw(state, 100) if "open for" in line]
    (one,) = state.open.values()

    assert 90 <= float(line.split("open for ")[1].split(" s")[0]) < 150
    assert one.lived_ms == one.open_ms(one.opened_ns - S) == 0


def test_an_edge_whose_seconds_stopped_coming_is_stale() -> None:
    """Against the newest window of any direction, not against a clock."""
    state = told(window_record(0))
    edge = state.edges["BTC-USDT", PERPS]
    assert not state.is_stale(edge)

    state.newest_window_ns = 4 * S
    assert state.is_stale(edge)


def test_outcomes_add_up_over_the_windows() -> None:
    """The refusals shown are counts of evaluations."""
    assert told(window_record(0, no_edge=3), window_record(S, no_edge=2, signal=1)).outcomes == {
        "no_edge": 5,
        "signal": 1,
    }


def test_what_is_no_result_is_not_shown() -> None:
    """A foreign message on a topic must not end the view."""
    foreign = ({"id": "x"}, {"id": "y", "type": "arbitrage.opened"}, {"id": "z", "type": "arbitrage.updated"})
    state = told(*(record(SIGNALS, message) for message in foreign))

    assert (state.open, state.unreadable) == ({}, 1)


@pytest.mark.parametrize(("width", "direction"), [(80, "bin:perp"), (140, "binance:perp")])
def test_the_view_fits_its_terminal(width: int, direction: str) -> None:
    """Nothing is wider than the terminal, and the height does not depend on what is open."""
    heights = set()
    for state in (told(window_record(0, "-2.34", no_edge=1)), told(window_record(0), signal_record("opened", 0, S))):
        lines = draw(state, width)
        heights.add(len(lines))
        assert max(map(len, lines)) <= width
        assert any(direction in line for line in lines)
        assert any("http://page" in line for line in lines)
    assert len(heights) == 1


def test_faults_in_force_have_one_line_however_many_there_are() -> None:
    """The newest first, cut at the terminal's edge; the pairs give way."""
    rows = [FaultRow(f"late_frames_{n}", "bybit spot BTCUSDT", True, 1) for n in range(30)]
    state = told(window_record(0))
    calm, broken = draw(state, 80, with_faults=True), draw(state, 80, with_faults=True, faults=rows)

    assert "  faults none at the moment" in [line.rstrip() for line in calm]
    (line,) = [line for line in broken if "late_frames" in line]
    assert line.startswith("  faults late_frames_29 bybit spot BTCUSDT, ") and len(line) <= 80
    assert len(calm) == len(broken) == len(draw(state, 80)) + 1


def draw(state: LiveState, width: int, **more: Any) -> list[str]:
    """The view as lines of text."""
    console = Console(file=StringIO(), width=width, height=24)
    figures = Figures(800, 700, 30, 1500, 0.4)
    view = DemoView("http://page", "kafka:1", "http://store:2", "mts", 60, state, figures, **more)
    with console.capture() as capture:
        console.print(view)
    return capture.get().splitlines()


def test_pairs_beyond_the_height_are_counted() -> None:
    """A short terminal shows the first pairs and says how many there are more."""
    state = told(window_record(0))
    for number in range(30):
        state.edges[f"P{number:02d}-USDT", PERPS] = state.edges["BTC-USDT", PERPS]

    text = "\n".join(draw(state, 100))
    assert "and 27 more" in text


def test_a_direction_without_both_books_shows_none() -> None:
    """No number is made up for an invalid book."""
    assert "no book" in "\n".join(draw(told(window_record(0, None)), 100))


def test_an_empty_state_says_so() -> None:
    """Before the first finished second."""
    assert "no finished second yet" in "\n".join(draw(LiveState(), 100))


def test_small_words() -> None:
    """Clock, query and directions as they are written."""
    assert (clock(59.9), clock(61), clock(3661)) == ("00:59", "01:01", "1:01:01")
    assert (lasted(0), lasted(999), lasted(61_250)) == ("0 ms", "999 ms", "61.2 s")
    assert query("http://127.0.0.1:8123", "mts", False).startswith("curl -s 127.0.0.1:8123 -d 'SELECT * FROM mts.")
    assert shown(PERPS, False) == "bin:perp>byb:perp"


def test_counters_are_read_by_name_and_first_label() -> None:
    """Only our own metrics are looked at."""
    counters = read_counters(
        "# TYPE mts_records counter\n"
        'mts_records_total{handled="dead"} 2.0\nmts_records_total{handled="evaluated"} 5.0\n'
        'mts_event_lag_seconds 0.5\npython_info{version="3"} 1.0\n'
    )

    assert total(counters, "mts_records_total") == 7
    assert total(counters, "mts_records_total", ["dead"]) == 2
    assert counters["mts_event_lag_seconds", ""] == 0.5
    assert len(counters) == 3


def test_a_rate_looks_back_three_seconds() -> None:
    """It follows a change, and needs two samples."""
    rate = Rate()
    assert rate.per_s == 0
    for second in range(11):
        rate.add(second, 100 * second if second < 6 else 600 + 10 * (second - 6))

    assert rate.per_s == pytest.approx(10)
