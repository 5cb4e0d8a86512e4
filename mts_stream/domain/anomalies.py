"""When a direction's mean edge is not what it usually is: judged window by window against its own recent past.

score   ..........######..#############......        # = ANOMALY_ENTER_SCORE or more, on either side
                  |--| ANOMALY_MIN_DURATION_S        |
                     ^ started                       ^ ended: below ANOMALY_LEAVE_SCORE; then a cooldown

A window is judged against the windows that began in the ANOMALY_WINDOW_S before it, and joins them afterwards whatever
it was: a median stands up to nearly half of them being odd, and what lasts longer than that is the new normal. A window
without a mean is not judged: it ends an anomaly, since nothing is said about a book that is not valid.
"""

from array import array
from collections import deque
from fractions import Fraction
from typing import Any, NamedTuple
from uuid import NAMESPACE_OID, uuid5

from mts_stream.domain.baseline import SIGMA, Baseline, Deviation
from mts_stream.domain.economics import EconomicSettings
from mts_stream.domain.exact import BPS_DECIMALS, BPS_SCALE, scaled_decimal
from mts_stream.domain.messages import SpreadAnomaly
from mts_stream.domain.packing import column, numbers_of
from mts_stream.domain.signal_head import signal_head
from mts_stream.domain.windows import WINDOW_NS

STARTED, ENDED = "started", "ended"
REVERTED = "reverted"
NO_VALID_BOOK = "no_valid_book"
QUARANTINED = "quarantined"
GONE_MAX = 256
_UNIT = 10**8  # a window's mean has 4 decimals, what it is judged by 12


class Verdict(NamedTuple):
    """An anomaly starts or ends; `deviation` is the last one judged."""

    phase: str
    deviation: Deviation
    reason: str | None = None


class SpreadWatch:
    """Holds the mean edges of one direction against each other; told each of its windows in order."""

    __slots__ = (
        "_baseline", "_edges", "_ended_s", "_enter", "_floor", "_gone", "_leave", "_open", "_reach", "_reach_of",
        "_run", "_runs", "_settings",
    )  # fmt: skip

    def __init__(self, settings: EconomicSettings) -> None:
        self._settings = settings
        self._enter = scaled_decimal(settings.anomaly_enter_score, BPS_DECIMALS)
        self._leave = scaled_decimal(settings.anomaly_leave_score, BPS_DECIMALS)
        self._floor = scaled_decimal(settings.anomaly_floor_bps, BPS_DECIMALS)
        reach = Fraction(2 * SIGMA * _UNIT * BPS_SCALE, max(1, self._enter * 10**4))
        self._reach, self._reach_of = reach.as_integer_ratio()
        self._edges: array[int] | list[int] = array("i")  # in 10^-4 bps; the first `_gone` of them count no more
        self._gone = 0
        self._runs: deque[list[int]] = deque()  # the seconds of these: the first of some without a gap, and how many
        self._baseline = Baseline()
        self._run = 0  # windows in a row beyond the entering score
        self._open: Deviation | None = None
        self._ended_s: int | None = None

    def on_window(self, start_s: int, edge: int) -> Verdict | None:
        """A window with a mean edge, in 10^-4 bps."""
        self._forget_before(start_s - self._settings.anomaly_window_s)
        verdict = None
        if len(self._baseline) >= self._settings.anomaly_min_windows:
            if self._open is None and self._is_usual(edge):
                self._run = 0
            else:
                verdict = self._judge(start_s, self._deviation(edge))
        runs = self._runs
        if runs and runs[-1][0] + runs[-1][1] == start_s:
            runs[-1][1] += 1
        else:
            runs.append([start_s, 1])
        try:
            self._edges.append(edge)
        except OverflowError:
            self._edges = [*self._edges, edge]
        self._baseline.add(edge)
        return verdict

    def _is_usual(self, edge: int) -> bool:
        """Whether it is surely below the entering score, which most are: the exact one takes three times as long."""
        if not self._enter:
            return False
        baseline = self._baseline
        # the score is reached where four times the larger of MAD and floor is at most this, in 10^-12 bps
        reached = abs(2 * edge - baseline.median_twice) * self._reach // self._reach_of
        return reached < 4 * self._floor or baseline.is_wider_than(reached // _UNIT)

    def _deviation(self, edge: int) -> Deviation:
        median_twice, mad_fourfold = self._baseline.median_twice, self._baseline.mad_fourfold
        return Deviation(edge * _UNIT, median_twice * _UNIT, mad_fourfold * _UNIT, self._floor, BPS_SCALE)

    @property
    def is_at_rest(self) -> bool:
        """Whether a window without a mean edge changes nothing: no anomaly is open or about to be."""
        return self._open is None and not self._run

    def on_nothing(self, start_s: int, reason: str) -> Verdict | None:
        """A window without a mean edge, or one that says nothing about the market."""
        self._run = 0
        return None if self._open is None else self._end(start_s, self._open, reason)

    def _forget_before(self, start_s: int) -> None:
        runs = self._runs
        while runs and runs[0][0] < start_s:
            self._baseline.remove(self._edges[self._gone])
            self._gone += 1
            runs[0][0] += 1
            runs[0][1] -= 1
            if not runs[0][1]:
                runs.popleft()
        if self._gone > GONE_MAX:
            del self._edges[: self._gone]
            self._gone = 0

    def _judge(self, start_s: int, deviation: Deviation) -> Verdict | None:
        self._run = self._run + 1 if deviation.is_beyond(self._enter) else 0
        if self._open is not None:
            self._open = deviation
            return None if deviation.is_beyond(self._leave) else self._end(start_s, deviation, REVERTED)
        if self._run < self._settings.anomaly_min_duration_s or self._is_cooling(start_s):
            return None
        self._open = deviation
        return Verdict(STARTED, deviation)

    def _is_cooling(self, start_s: int) -> bool:
        return self._ended_s is not None and start_s - self._ended_s < self._settings.anomaly_cooldown_s

    def _end(self, start_s: int, deviation: Deviation, reason: str) -> Verdict:
        self._open, self._ended_s = None, start_s
        return Verdict(ENDED, deviation, reason)

    def snapshot(self) -> list[Any]:
        """As JSON data."""
        is_open = None if self._open is None else list(self._open)
        return [[list(run) for run in self._runs], column(self._edges[self._gone :]), self._run, is_open, self._ended_s]

    def restore(self, data: list[Any]) -> None:
        """Take over a snapshot."""
        runs, edges, self._run, is_open, self._ended_s = data
        numbers = numbers_of(edges)
        if sum(count for _, count in runs) != len(numbers):
            raise ValueError(f"{len(numbers)} windows in other seconds")
        self._runs, self._gone = deque(map(list, runs)), 0
        self._edges = _compact(numbers)
        self._baseline = Baseline(numbers)
        self._open = None if is_open is None else Deviation(*is_open)


def _compact(edges: list[int]) -> "array[int] | list[int]":
    try:
        return array("i", edges)
    except OverflowError:  # beyond 200,000 bps
        return edges


class DirectionAnomalies:
    """The `spread.anomaly` messages of one direction."""

    __slots__ = ("_direction", "_pair", "_settings", "watch")

    def __init__(self, pair: str, direction: str, settings: EconomicSettings) -> None:
        self._pair, self._direction, self._settings = pair, direction, settings
        self.watch = SpreadWatch(settings)

    def on_window(self, end_ns: int, mean: int | None, quarantined: bool) -> SpreadAnomaly | None:
        """The window that ended then, with its mean edge (10^-4 bps) where it has one; of a pair in quarantine none."""
        if mean is None and self.watch.is_at_rest:
            return None
        start_ns = end_ns - WINDOW_NS
        start_s = start_ns // WINDOW_NS
        if quarantined:
            verdict = self.watch.on_nothing(start_s, QUARANTINED)
        elif mean is None:
            verdict = self.watch.on_nothing(start_s, NO_VALID_BOOK)
        else:
            verdict = self.watch.on_window(start_s, mean)
        return None if verdict is None else self._message(start_ns, end_ns, verdict)

    def _message(self, start_ns: int, end_ns: int, verdict: Verdict) -> SpreadAnomaly:
        identity = str(uuid5(NAMESPACE_OID, f"mts|anomaly|{self._pair}|{self._direction}|{start_ns}"))
        head = signal_head(self._settings, "spread.anomaly", identity, self._pair, end_ns)
        deviation = verdict.deviation
        return SpreadAnomaly(
            **head,
            direction=self._direction,
            window_start_ns=start_ns,
            phase=verdict.phase,
            edge_bps=deviation.value_bps,
            median_bps=deviation.median_bps,
            mad_bps=deviation.mad_bps,
            score=deviation.score,
            reason=verdict.reason,
        )
