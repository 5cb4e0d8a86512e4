"""The board of opportunities."""

import pytest

from mts_stream.web.messages import Opportunity
from mts_stream.web.opportunities import CLOSED_IDS_MAX, OPEN_MAX, RECENT_MAX, OpportunityBoard
from tests.web import results

T = 1_800_000_000 * results.S
LONG = 6  # an opportunity of the capture with updates


def events(index: int = LONG, at_ns: int = T, pair: str = "X-USDT") -> list[Opportunity]:
    """One opportunity's events."""
    return [results.told(message)[1] for message in results.life(pair, at_ns, index)]


def test_an_opportunity_lives_through_opened_updated_closed():
    """Opened and updated it is open with its latest amounts; closed it is recent with its life."""
    opened, *updates, closed = events()
    board = OpportunityBoard()
    board.on_event(opened)
    for update in updates:
        board.on_event(update)
    (view,) = board.open()
    last = (updates or [opened])[-1]

    assert (view["net_usd"], view["size"]) == (last.net_usd, last.size)
    assert view["opened_ms"] == T // results.MS
    assert view["expires_ms"] == last.expires_ns // results.MS

    board.on_event(closed)
    (recent,) = board.recent()
    assert board.open() == []
    assert recent["duration_ms"] == closed.duration_ns / results.MS
    assert (recent["reason"], recent["peak_net_usd"]) == (closed.reason, closed.peak_net_usd)
    assert recent["survived_ms"] == closed.survived_ms


def test_events_that_come_again_change_nothing():
    """After a crash the worker sends events again: one that is known never reopens what closed."""
    life = events()
    board = OpportunityBoard()
    assert all(board.on_event(event) for event in life)
    assert not any(board.on_event(event) for event in life)

    assert board.open() == []
    assert len(board.recent()) == 1


def test_the_next_one_of_a_direction_ends_the_one_before():
    """A direction has one open opportunity: one whose end was missed makes room, and does not come back."""
    first, second = events()[0], events(at_ns=T + results.S)[0]
    board = OpportunityBoard()
    taken = [board.on_event(event) for event in (first, second, first)]

    assert taken == [True, True, False]
    assert [view["opportunity_id"] for view in board.open()] == [second.opportunity_id]
    assert board.drain()[1] == [first.opportunity_id]


def test_an_opening_before_the_history_is_unknown():
    """An opportunity first seen by an update is open since an unknown time."""
    board = OpportunityBoard()
    board.on_event(next(event for event in events() if event.type == "arbitrage.updated"))

    assert board.open()[0]["opened_ms"] is None


def test_a_close_alone_is_recent():
    """A close of which nothing else was read counts as closed."""
    board = OpportunityBoard()
    board.on_event(events()[-1])

    assert len(board.recent()) == 1


def test_recent_ones_are_bounded_and_newest_first():
    """The last RECENT_MAX by event time are shown, whatever order the partitions are read in."""
    board = OpportunityBoard()
    for number in range(RECENT_MAX + 10):
        board.on_event(events(0, T + number * results.S)[-1])

    times = [view["event_time_ms"] for view in board.recent()]
    assert len(times) == RECENT_MAX
    assert times == sorted(times, reverse=True)


def test_changes_tell_what_opened_closed_and_went():
    """Drained changes hold the open that changed, the ids that went, the closed; then nothing."""
    opened, *_, closed = events()
    board = OpportunityBoard()
    board.on_event(opened)
    assert [view["opportunity_id"] for view in board.drain()[0]] == [opened.opportunity_id]

    board.on_event(closed)
    changed, gone, recent = board.drain()
    assert (changed, gone, len(recent)) == ([], [opened.opportunity_id], 1)
    assert board.drain() == ([], [], [])


def test_an_opportunity_never_heard_of_again_is_forgotten():
    """One that the history no longer holds goes."""
    board = OpportunityBoard()
    board.on_event(events()[0])
    board.forget_before(T)
    assert len(board.open()) == 1

    board.forget_before(T + 1)
    assert board.open() == []


@pytest.mark.parametrize("extra", [0, 3])
def test_open_ones_are_bounded(extra):
    """The oldest make room for the newest."""
    opened = events(0)[0]
    board = OpportunityBoard()
    for number in range(OPEN_MAX + extra):
        fields = {name: getattr(opened, name) for name in opened.__struct_fields__}
        board.on_event(Opportunity(**fields | {"opportunity_id": str(number), "pair": f"P{number}-USDT"}))

    assert len(board.open()) == OPEN_MAX
    assert board.open()[0]["opportunity_id"] == str(extra)


def test_known_closes_are_bounded():
    """Ids of closed ones are remembered up to a bound."""
    closed = events(0)[-1]
    fields = {name: getattr(closed, name) for name in closed.__struct_fields__}
    board = OpportunityBoard()
    for number in range(CLOSED_IDS_MAX + 5):
        board.on_event(Opportunity(**fields | {"opportunity_id": str(number)}))

    assert len(board._closed_ids) == CLOSED_IDS_MAX
