"""The directions of every pair: newest window, a short history of the touch edge, the state of both books."""

from collections import deque
from typing import Any

from mts_stream.web.legs import UNKNOWN, LegState, invalid_reason, leg_states, window_end_ns
from mts_stream.web.messages import Book, Window

HISTORY_POINTS = 120
DIRECTIONS_MAX = 12_000
NS_PER_S, NS_PER_MS = 1_000_000_000, 1_000_000


class Direction:
    """One direction of one pair."""

    def __init__(self, window: Window) -> None:
        self.window = window
        self.points: deque[tuple[int, float]] = deque(maxlen=HISTORY_POINTS)
        self.take(window)

    def take(self, window: Window) -> None:
        """Make the window the newest one."""
        self.window = window
        if window.edge_close_bps is not None:
            self.points.append((window_end_ns(window) // NS_PER_S, round(float(window.edge_close_bps), 3)))

    def view(self, states: dict[str, LegState], points_after_s: int) -> dict[str, Any]:
        """The direction as the page shows it, with the points of its history that are younger."""
        window = self.window
        buy, _, sell = window.direction.partition(">")
        quarantined = "quarantined" in window.outcomes
        valid = invalid_reason(window) is None and not quarantined
        return {
            "key": f"{window.pair} {window.direction}",
            "pair": window.pair,
            "direction": window.direction,
            "buy": _leg(buy, states),
            "sell": _leg(sell, states),
            "quarantined": quarantined,
            "window_end_ms": window_end_ns(window) // NS_PER_MS,
            "valid_ms": window.valid_ms,
            # An invalid book gives no number: the edge it closed with is history.
            "edge_bps": window.edge_close_bps if valid else None,
            "net_bps_1k": window.net_bps_1k,
            "net_bps_10k": window.net_bps_10k,
            "net_bps_50k": window.net_bps_50k,
            "evaluations": window.evaluations,
            "outcome": max(window.outcomes, key=lambda name: window.outcomes[name], default=None),
            "points": [list(point) for point in self.points if point[0] > points_after_s],
        }


def _leg(leg: str, states: dict[str, LegState]) -> dict[str, Any]:
    state = states.get(leg, LegState(UNKNOWN, True, 0))
    return {"leg": leg, "state": state.state, "sure": state.sure}


class DirectionBoard:
    """Told windows and books; asked for the directions, all or those that changed since it was last asked."""

    def __init__(self, directions_max: int = DIRECTIONS_MAX) -> None:
        self._pairs: dict[str, dict[str, Direction]] = {}
        self._reported: dict[str, dict[str, LegState]] = {}
        self._changed: dict[str, int] = {}
        self._gone: list[str] = []
        self._count = 0
        self._directions_max = directions_max
        self.beyond_bound = 0

    def on_window(self, window: Window) -> bool:
        """Take a window; False for one that is known already or came again."""
        rows = self._pairs.get(window.pair, {})
        row = rows.get(window.direction)
        if row is not None and window.window_start_ns <= row.window.window_start_ns:
            return False
        if row is not None:
            row.take(window)
        elif self._count >= self._directions_max:
            self.beyond_bound += 1
        else:
            self._pairs.setdefault(window.pair, rows)[window.direction] = Direction(window)
            self._count += 1
        self._mark(window.pair, window_end_ns(window) // NS_PER_S - 1)
        return True

    def on_book(self, book: Book) -> None:
        """Take a minute's record of one book."""
        end_ns = book.window_start_ns + book.window_ms * NS_PER_MS
        states = self._reported.setdefault(book.pair, {})
        leg = f"{book.venue}:{book.market}"
        if leg not in states or states[leg].at_ns < end_ns:
            states[leg] = LegState(book.state, True, end_ns)
            self._mark(book.pair, end_ns // NS_PER_S)

    def forget_before(self, oldest_ns: int) -> list[str]:
        """Forget directions without a window since `oldest_ns`; returns the pairs that have none left."""
        pairs_gone = []
        for pair, rows in list(self._pairs.items()):
            for name in [name for name, row in rows.items() if window_end_ns(row.window) < oldest_ns]:
                del rows[name]
                self._count -= 1
                self._gone.append(f"{pair} {name}")
            if not rows:
                del self._pairs[pair]
                pairs_gone.append(pair)
        # Books of pairs without a direction count too: they are as bounded as the pairs are.
        self._reported = {
            pair: states
            for pair, states in self._reported.items()
            if pair in self._pairs or max(state.at_ns for state in states.values()) >= oldest_ns
        }
        return pairs_gone

    def all(self) -> list[dict[str, Any]]:
        """Every direction with its whole history, by pair and direction."""
        return [view for pair in sorted(self._pairs) for view in self._views(pair, 0)]

    def drain(self) -> tuple[list[dict[str, Any]], list[str]]:
        """The directions that changed since the last call, with the new points alone, and the keys of those gone."""
        changed, gone = self._changed, self._gone
        self._changed, self._gone = {}, []
        views = [view for pair, after_s in changed.items() for view in self._views(pair, after_s)]
        return views, gone

    def _views(self, pair: str, points_after_s: int) -> list[dict[str, Any]]:
        rows = self._pairs.get(pair, {})
        states = leg_states((row.window for row in rows.values()), self._reported.get(pair, {}))
        return [rows[name].view(states, points_after_s) for name in sorted(rows)]

    def _mark(self, pair: str, points_after_s: int) -> None:
        self._changed[pair] = min(points_after_s, self._changed.get(pair, points_after_s))
