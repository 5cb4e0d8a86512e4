"""The page's state: a snapshot and its changes always say the same."""

from typing import Any, ClassVar

from hypothesis import given
from hypothesis import strategies as st

from mts_stream.web.state import PageState
from tests.web import results

S, MS = results.S, results.MS
T = 1_800_000_000 * S
HISTORY_S = 900


def story() -> list[results.Message]:
    """Ten seconds of two pairs, some opportunities, funding, books and connections, in order of time per pair."""
    messages = results.windows("A-USDT", T, 6) + results.windows("B-USDT", T, 4)
    for index in range(3):
        messages += results.life("A-USDT", T + index * S, index)
    messages += [results.funding("A-USDT", T), results.funding("A-USDT", T + S, "0.0002"), results.funding("B-USDT", T)]
    messages += [results.book("A-USDT", T, "gap"), results.connection("y-1", T), results.connection("y-1", T + S)]
    return messages


def test_a_connection_shows_its_estimates_or_none() -> None:
    """What the producer did not say, or does not know, is null."""
    state = PageState(900)
    estimated = {"clock_offset_ms": "-3.5", "clock_offset_error_ms": "2", "valid_percent": "75"}
    tell(state, [results.connection("y-1", T), results.connection("y-2", T, **estimated)])
    plain, known = state.snapshot(T + S)["connections"]

    assert (plain["clock_offset_ms"], plain["valid_percent"], plain["latency_corrected_p50_ms"]) == (None, None, None)
    assert (known["clock_offset_ms"], known["clock_offset_error_ms"], known["valid_percent"]) == ("-3.5", "2", "75")


class Browser:
    """What a page makes of a snapshot and of changes, in the plainest way."""

    KEYS: ClassVar = {"directions": "key", "open": "opportunity_id", "connections": "subject", "funding": "key"}

    def __init__(self, snapshot: dict[str, Any]) -> None:
        self.view: dict[str, Any] = snapshot
        self.rows = {name: {row[key]: row for row in snapshot[name]} for name, key in self.KEYS.items()}
        self.closed = {row["opportunity_id"]: row for row in snapshot["closed"]}

    def take(self, changes: dict[str, Any]) -> None:
        for name, key in self.KEYS.items():
            for gone in changes.get(f"{name}_gone", []):
                self.rows[name].pop(gone, None)
            for row in changes.get(name, []):
                if name == "directions":
                    known = self.rows[name].get(row[key], {"points": []})["points"]
                    last = known[-1][0] if known else 0
                    row = row | {"points": [*known, *(p for p in row["points"] if p[0] > last)]}
                self.rows[name][row[key]] = row
        self.closed |= {row["opportunity_id"]: row for row in changes.get("closed", [])}
        self.view |= {name: changes[name] for name in ("topics", "feed", "rates", "outcomes") if name in changes}


def tell(state: PageState, messages: list[results.Message], now_ns: int = T + 20 * S) -> None:
    """Tell the messages in order."""
    for message in messages:
        state.on_message(*results.told(message), now_ns)


@given(st.data())
def test_changes_on_top_of_a_snapshot_are_the_later_snapshot(data):
    """Whenever a page joins and however changes are cut, it shows what a fresh page would."""
    messages = story()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(messages)), min_size=1, max_size=6)))
    state = PageState(HISTORY_S)
    browser = None
    done, now_ns = 0, T + 10 * S
    for cut in [*cuts, len(messages)]:
        tell(state, messages[done:cut], now_ns)
        done = cut
        if browser is None:
            browser = Browser(state.snapshot(now_ns))
        else:
            browser.take(state.changes(now_ns) or {})
        now_ns += 300 * MS
    now_ns += S
    browser.take(state.changes(now_ns))
    fresh = state.snapshot(now_ns)

    for name, key in Browser.KEYS.items():
        assert browser.rows[name] == {row[key]: row for row in fresh[name]}
    assert browser.closed == {row["opportunity_id"]: row for row in fresh["closed"]}
    assert {k: browser.view[k] for k in ("rates", "outcomes", "topics")} == {
        k: fresh[k] for k in ("rates", "outcomes", "topics")
    }


@given(st.integers(0, 200), st.integers(0, 200))
def test_messages_sent_again_change_nothing(begin, end):
    """A worker that begins anew from a checkpoint sends a stretch again: the page shows the same."""
    messages = story()
    once, twice = PageState(HISTORY_S), PageState(HISTORY_S)
    tell(once, messages)
    tell(twice, messages)
    tell(twice, messages[min(begin, end) : max(begin, end)])
    now_ns = T + 20 * S

    expected, seen = once.snapshot(now_ns), twice.snapshot(now_ns)
    del expected["topics"], seen["topics"]  # these count what was read
    assert seen == expected


def test_nothing_told_in_the_same_second_is_no_change():
    """Between seconds a quiet page sends nothing; with the next second, its rates."""
    state = PageState(HISTORY_S)

    assert "rates" in state.changes(T)
    assert state.changes(T + 900 * MS) is None
    assert state.changes(T + S)["rates"] == {"windows_per_s": 0, "evaluations_per_s": 0, "signals_per_min": 0}


def test_the_newest_time_of_each_topic_is_known():
    """Each topic's age comes from its newest event time; a time ahead of the clock counts as now."""
    state = PageState(HISTORY_S)
    tell(state, results.windows("A-USDT", T, 3), T + 10 * S)
    tell(state, [results.funding("A-USDT", T + 3600 * S)], T + 10 * S)
    topics = state.snapshot(T + 10 * S)["topics"]

    assert topics["mts.spreads"]["newest_ms"] == T // MS + 3000
    assert topics["mts.funding"]["newest_ms"] == T // MS + 10_000
    assert topics["mts.signals"]["newest_ms"] is None


def test_what_cannot_be_read_is_counted():
    """A record that is no result is counted by topic and changes nothing else."""
    state = PageState(HISTORY_S)
    state.on_message("mts.spreads", None, T)

    assert state.snapshot(T)["topics"]["mts.spreads"] == {"newest_ms": None, "messages": 1, "unreadable": 1}


def test_signals_of_other_types_only_move_the_age():
    """A funding signal is a sign of life of its topic."""
    state = PageState(HISTORY_S)
    tell(state, [("mts.signals", {"type": "funding.opened", "event_time_ns": T})])

    snapshot = state.snapshot(T + S)
    assert snapshot["topics"]["mts.signals"]["newest_ms"] == T // MS
    assert (snapshot["open"], snapshot["rates"]["signals_per_min"]) == ([], 0)


def test_a_window_ahead_of_the_clock_does_not_stop_the_rates():
    """One message with a time far ahead leaves the counts of the others as they are."""
    state = PageState(HISTORY_S)
    tell(state, results.windows("A-USDT", T + 10**6 * S, 1), T)
    tell(state, results.windows("B-USDT", T - 5 * S, 5), T)

    assert state.snapshot(T + S)["rates"]["windows_per_s"] > 2


def test_what_the_history_no_longer_holds_goes():
    """Directions, opportunities and connections without news for the history's length are gone, and said to be."""
    state = PageState(HISTORY_S)
    tell(state, story())
    state.changes(T + 20 * S)
    changes = state.changes(T + (HISTORY_S + 60) * S)

    assert changes["connections_gone"] == ["y-1"]
    assert len(changes["directions_gone"]) > 4
    later = state.snapshot(T + (HISTORY_S + 60) * S)
    assert (later["directions"], later["open"], later["connections"], later["outcomes"]) == ([], [], [], {})


def test_a_connection_that_was_changed_for_its_successor_goes():
    """As planned, so it is not shown as one that is down; one whose successor is as old as itself stays."""
    state = PageState(HISTORY_S)
    tell(state, [results.connection("x-0-a", T), results.connection("x-0-b", T + 2 * S)], T)
    assert not state.changes(T + 10 * S).get("connections_gone")
    tell(state, [results.connection("x-0-b", T + 7 * S)], T + 16 * S)

    assert state.changes(T + 20 * S)["connections_gone"] == ["x-0-a"]
    assert [row["subject"] for row in state.snapshot(T + 21 * S)["connections"]] == ["x-0-b"]


def test_the_later_funding_counts():
    """Of one leg's changes the one with the later event time is shown."""
    state = PageState(HISTORY_S)
    tell(state, [results.funding("A-USDT", T + S, "0.0002"), results.funding("A-USDT", T, "0.0001")])

    (row,) = state.snapshot(T + S)["funding"]
    assert row == {
        "key": "A-USDT binance:perp", "pair": "A-USDT", "leg": "binance:perp", "rate": "0.0002",
        "next_funding_ms": T // MS + 7_201_000, "interval_hours": 8,
    }  # fmt: skip


def test_the_readers_state_is_part_of_it():
    """What the reader says of Kafka is shown as it is."""
    state = PageState(HISTORY_S)
    state.on_feed("waiting", "Waiting for Kafka at x:1: no broker")

    assert (
        state.changes(T)["feed"] == state.feed == {"state": "waiting", "detail": "Waiting for Kafka at x:1: no broker"}
    )
