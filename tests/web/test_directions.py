"""The board of directions."""

from mts_stream.web.directions import HISTORY_POINTS, DirectionBoard
from mts_stream.web.messages import Book, Window
from tests.web import results

S, MS = results.S, results.MS
T = 1_800_000_000 * S
NAME = "binance:perp>bybit:perp"


def window(second: int, edge: str | None = "1.5", pair: str = "X-USDT", outcome: str = "no_edge") -> Window:
    """A second of one direction, valid where it has an edge."""
    valid_ms = 1000 if edge is not None else 0
    return Window(pair, NAME, T + second * S, edge, edge, edge, edge, valid_ms, 2, {outcome: 2})


def test_a_direction_shows_its_newest_window():
    """Edge, nets, outcome and end of the newest window stand in the view."""
    board = DirectionBoard()
    board.on_window(window(0))
    board.on_window(window(1, "-3.25"))
    (view,) = board.all()

    assert view["edge_bps"] == view["net_bps_50k"] == "-3.25"
    assert view["window_end_ms"] == T // MS + 2000
    assert view["points"] == [[T // S + 1, 1.5], [T // S + 2, -3.25]]
    assert view["buy"] == {"leg": "binance:perp", "state": "valid", "sure": True}
    assert view["outcome"] == "no_edge"


def test_a_window_that_comes_again_changes_nothing():
    """After a crash the worker sends windows again; they are known by their start."""
    board = DirectionBoard()
    taken = [board.on_window(window(second)) for second in (0, 1, 0, 1, 2)]

    assert taken == [True, True, False, False, True]
    assert len(board.all()[0]["points"]) == 3


def test_an_invalid_book_gives_no_edge():
    """A window that ended with an invalid book keeps its history and shows no number."""
    board = DirectionBoard()
    board.on_window(window(0))
    board.on_window(Window("X-USDT", NAME, T + S, "2.5", None, None, None, 400, 3, {"no_edge": 2, "book_gap": 1}))
    (view,) = board.all()

    assert view["edge_bps"] is None
    assert view["points"][-1] == [T // S + 2, 2.5]
    assert view["buy"]["state"] == "gap"


def test_a_quarantined_pair_says_so():
    """Quarantine stands in the view, with no edge."""
    board = DirectionBoard()
    board.on_window(window(0, None, outcome="quarantined"))

    assert board.all()[0]["quarantined"] is True
    assert board.all()[0]["edge_bps"] is None


def test_the_history_is_bounded():
    """At most HISTORY_POINTS seconds are kept."""
    board = DirectionBoard()
    for second in range(HISTORY_POINTS + 30):
        board.on_window(window(second))

    points = board.all()[0]["points"]
    assert len(points) == HISTORY_POINTS
    assert points[-1][0] == T // S + HISTORY_POINTS + 30


def test_changes_hold_the_new_points_alone():
    """A direction drained once gives only what came since."""
    board = DirectionBoard()
    for second in range(3):
        board.on_window(window(second))
    first, _ = board.drain()
    board.on_window(window(3))
    second, _ = board.drain()

    assert [len(view["points"]) for view in (first[0], second[0])] == [3, 1]
    assert board.drain() == ([], [])


def test_a_book_record_changes_the_pair():
    """A minute's record of a book is a change of every direction of its pair, and the newest one counts."""
    board = DirectionBoard()
    board.on_window(window(0))
    board.drain()
    board.on_book(Book("X-USDT", "bybit", "perp", T - 59 * S + MS, 60_000, "exhausted"))
    board.on_book(Book("X-USDT", "bybit", "perp", T - 119 * S, 60_000, "gap"))
    ((view,), _) = board.drain()

    assert view["sell"] == {"leg": "bybit:perp", "state": "exhausted", "sure": True}
    assert view["buy"]["state"] == "valid"


def test_what_is_old_is_forgotten():
    """Directions without a window since then go, and their pairs are named."""
    board = DirectionBoard()
    board.on_window(window(0, pair="OLD-USDT"))
    board.on_book(Book("OLD-USDT", "bybit", "perp", T - 60 * S, 60_000, "gap"))
    board.on_window(window(9))

    assert board.forget_before(T + 5 * S) == ["OLD-USDT"]
    assert board.drain()[1] == [f"OLD-USDT {NAME}"]
    assert [view["pair"] for view in board.all()] == ["X-USDT"]
    assert board._reported == {}


def test_more_directions_than_the_bound_are_counted_not_kept():
    """The board holds as many directions as it may and counts the rest."""
    board = DirectionBoard(directions_max=1)
    board.on_window(window(0, pair="A-USDT"))
    board.on_window(window(0, pair="B-USDT"))

    assert [view["pair"] for view in board.all()] == ["A-USDT"]
    assert board.beyond_bound == 1
