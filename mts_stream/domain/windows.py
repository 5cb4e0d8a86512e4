"""Tumbling windows of one second per direction: the touch edge as a bar, and the rejection ledger.

window  |--------- 1 s ---------|
edge    ====e1====|==e2==|       |====e3===     e1 carried in, null between: a book was not valid
        ^ open = e1              ^ row; e3 is carried into the next one
"""

from functools import lru_cache
from typing import Any, NamedTuple

from mts_stream.domain.exact import plain, round_half_even
from mts_stream.domain.messages import SpreadWindow

WalkedNets = tuple[str | None, str | None, str | None]  # net bps at 1k, 10k and 50k USD
WINDOW_NS = 10**9
NS_PER_MS = 10**6
EDGE_DECIMALS = 4
CACHED_TEXTS_MAX = 1 << 14
_FINE = 10**16  # the edge's resolution inside the mean, as a fraction of one


class Edge(NamedTuple):
    """A touch edge (bid - ask) / ask: `bps` rounded half-even, in 10^-4 bps; `fine` for the mean, in 10^-16."""

    bps: int
    fine: int

    @classmethod
    def of(cls, bid: int, ask: int) -> "Edge":
        """The edge of a sell leg's bid over a buy leg's ask, in the same unit."""
        return cls(round_half_even((bid - ask) * 10**8, ask), round_half_even((bid - ask) * _FINE, ask))


class DirectionWindow:
    """The open window of one direction."""

    __slots__ = (
        "_carried",
        "_close",
        "_high",
        "_low",
        "_open",
        "_since_ns",
        "_valid_ns",
        "_weighted",
        "closed_mean",
        "evaluations",
        "outcomes",
    )

    def __init__(self, now_ns: int) -> None:
        self._carried: Edge | None = None
        self.closed_mean: int | None = None  # edge_mean_bps of the last row, in 10^-4 bps
        self._begin(now_ns)

    def _begin(self, now_ns: int) -> None:
        self._open = self._high = self._low = self._close = None if self._carried is None else self._carried.bps
        self._since_ns = now_ns
        self._weighted = self._valid_ns = self.evaluations = 0
        self.outcomes: dict[str, int] = {}

    def on_evaluation(self, now_ns: int, edge: Edge | None, outcome: str) -> None:
        """Count an evaluation; `edge` is None while a book is not valid, and is weighed when it changes."""
        self.evaluations += 1
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1
        if edge == self._carried:
            return
        self._carry_to(now_ns)
        self._carried = edge
        if edge is not None:
            self._see(edge.bps)

    def on_repeats(self, outcome: str, count: int) -> None:
        """Count evaluations that said the same as the last one."""
        self.evaluations += count
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + count

    def _see(self, bps: int) -> None:
        if self._open is None or self._high is None or self._low is None:
            self._open = self._high = self._low = bps
        elif bps > self._high:
            self._high = bps
        elif bps < self._low:
            self._low = bps
        self._close = bps

    def _carry_to(self, now_ns: int) -> None:
        if self._carried is not None:
            lasted_ns = now_ns - self._since_ns
            self._weighted += self._carried.fine * lasted_ns
            self._valid_ns += lasted_ns
        self._since_ns = now_ns

    def has_row(self, end_ns: int) -> bool:
        """Whether the window, ending then, has valid time or an evaluation; without them it is as good as the next."""
        return bool(self.evaluations) or self._valid_ns > 0 or (self._carried is not None and end_ns > self._since_ns)

    def on_close(self, end_ns: int, pair: str, direction: str, nets: WalkedNets) -> SpreadWindow:
        """The row of the window that ends then; the next one begins."""
        self._carry_to(end_ns)
        mean = self.closed_mean = self._mean()
        row = SpreadWindow(
            pair, direction, end_ns - WINDOW_NS,
            _text(self._open), _text(self._high), _text(self._low), _text(self._close), _text(mean),
            *nets, self._valid_ns // NS_PER_MS, self.evaluations, self.outcomes,
        )  # fmt: skip
        self._begin(end_ns)
        return row

    def _mean(self) -> int | None:
        """The mean edge in 10^-4 bps; None without time to weigh by."""
        if not self._valid_ns:
            return None
        return round_half_even(self._weighted * 10**8, self._valid_ns * _FINE)

    def snapshot(self) -> list[Any]:
        """As JSON data."""
        carried = None if self._carried is None else list(self._carried)
        bar = [self._open, self._high, self._low, self._close]
        return [carried, self._since_ns, bar, self._weighted, self._valid_ns, self.evaluations, self.outcomes]

    def restore(self, data: list[Any]) -> None:
        """Take over a snapshot."""
        carried, self._since_ns, bar, self._weighted, self._valid_ns, self.evaluations, outcomes = data
        self._carried = None if carried is None else Edge(*carried)
        self._open, self._high, self._low, self._close = bar
        self.outcomes = dict(outcomes)


def window_end_ns(at_ns: int) -> int:
    """The end of the window that holds a time; windows are aligned to the epoch."""
    return (at_ns // WINDOW_NS + 1) * WINDOW_NS


@lru_cache(maxsize=CACHED_TEXTS_MAX)
def _text(bps: int | None) -> str | None:
    """A bar's numbers are often the same, and the same as those of the bar before."""
    return None if bps is None else plain(bps, EDGE_DECIMALS)
