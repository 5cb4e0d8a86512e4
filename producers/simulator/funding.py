"""When a perpetual settles next: whole intervals since the epoch, as both venues do."""

from producers.simulator.universe import Listing

_HOUR_MS = 3_600_000


def next_funding_ms(listing: Listing, now_ms: int) -> int:
    """The first settlement after `now_ms`, in Unix ms; 0 for an instrument without funding."""
    if listing.funding_interval_hours is None:
        return 0
    interval_ms = listing.funding_interval_hours * _HOUR_MS
    return (now_ms // interval_ms + 1) * interval_ms
