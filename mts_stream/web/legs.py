"""Which state each leg's book is in, as far as the results tell.

A window says of its two legs together whether both books were valid at its end, or why not; the minute's quality
record says it of one book. Newer evidence wins:

    binance:perp>bybit:perp   valid                =>  binance:perp and bybit:perp are valid
    binance:spot>bybit:perp   book_gap             =>  binance:spot it is: the other leg is known to be valid
    binance:spot>bybit:spot   book_gap, alone      =>  one of the two, probably the first: it is asked first
"""

from collections.abc import Iterable
from typing import NamedTuple

from mts_stream.web.messages import Window

BOOK_OUTCOME = "book_"
VALID, UNKNOWN = "valid", "unknown"


class LegState(NamedTuple):
    """The state of a book, whether it is certain, and the event time of the evidence."""

    state: str
    sure: bool
    at_ns: int


def window_end_ns(window: Window) -> int:
    """When the window ended; windows last one second."""
    return window.window_start_ns + 1_000_000_000


def invalid_reason(window: Window) -> str | None:
    """Why not both books were valid at the window's end, None when they were."""
    if window.net_bps_1k is not None or window.valid_ms >= 1000:
        return None
    reasons = {name: n for name, n in window.outcomes.items() if name.startswith(BOOK_OUTCOME)}
    return max(reasons, key=lambda name: reasons[name]).removeprefix(BOOK_OUTCOME) if reasons else None


def leg_states(windows: Iterable[Window], reported: dict[str, LegState]) -> dict[str, LegState]:
    """The state of each leg of a pair, from the newest window of each direction and the reported states by leg."""
    newest = sorted(windows, key=lambda window: (window.window_start_ns, window.direction))
    states: dict[str, LegState] = {}
    for window in newest:
        if invalid_reason(window) is None and "quarantined" not in window.outcomes:
            for leg in window.direction.split(">"):
                _learn(states, leg, LegState(VALID, True, window_end_ns(window)))
    proven = dict(states)
    for window in newest:
        reason = invalid_reason(window)
        if reason is not None:
            _blame(states, proven, window, reason)
    for leg, state in reported.items():
        _learn(states, leg, state)
    return states


def _blame(states: dict[str, LegState], proven: dict[str, LegState], window: Window, reason: str) -> None:
    end_ns = window_end_ns(window)
    legs = window.direction.split(">")
    suspects = [leg for leg in legs if leg not in proven or proven[leg].at_ns < end_ns]
    # The buy leg's state is the outcome where both are invalid; of two suspects it is the likelier one.
    for leg in suspects[:1]:
        _learn(states, leg, LegState(reason, len(suspects) == 1, end_ns))


def _learn(states: dict[str, LegState], leg: str, found: LegState) -> None:
    known = states.get(leg)
    if known is None or (known.at_ns, known.sure) < (found.at_ns, found.sure):
        states[leg] = found
