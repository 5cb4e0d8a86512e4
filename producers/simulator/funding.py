"""When a perpetual settles next, and at which rates it did: whole intervals since the epoch, as both venues do."""

from random import Random

from producers.simulator.universe import Listing

_HOUR_MS = 3_600_000
_ROWS_MAX = 20_000


def next_funding_ms(listing: Listing, now_ms: int) -> int:
    """The first settlement after `now_ms`, in Unix ms; 0 for an instrument without funding."""
    if listing.funding_interval_hours is None:
        return 0
    interval_ms = listing.funding_interval_hours * _HOUR_MS
    return (now_ms // interval_ms + 1) * interval_ms


def settlements(listing: Listing, start_ms: int, end_ms: int, newest: int | None = None) -> list[tuple[int, str]]:
    """Time (Unix ms) and rate of each settlement from `start_ms` to `end_ms`, oldest first; the newest alone if given.

    A rate follows from symbol and time, so that every answer tells the same; at most _ROWS_MAX of them.
    """
    interval_ms = (listing.funding_interval_hours or 8) * _HOUR_MS
    first, last = -(-start_ms // interval_ms), end_ms // interval_ms
    first = max(first, last + 1 - (newest or _ROWS_MAX))
    return [(n * interval_ms, _rate(listing, n * interval_ms)) for n in range(first, last + 1)]


def _rate(listing: Listing, at_ms: int) -> str:
    draw = Random(f"{listing.symbol}/{at_ms}").uniform(-0.5, 1.5)  # noqa: S311
    return f"{0.0001 * (listing.funding_interval_hours or 8) / 8 * draw:.8f}"
