"""What is stated of every fault: within how many seconds it is seen, within how many after its end all is well again.

Seen: a book stops saying valid, or is the venue's again. Measured from the first change of the venue's book that it
did not follow; a delisting and a change of the funding interval from their beginning.
"""

from dataclasses import dataclass

from producers.simulator.faults.catalog import CATALOG
from tests.simulation.rig import REGISTRY_S

MIXED = "mixed"
KILLED, LOG_FULL, FROM_BEFORE, SEEDED = "producers_killed", "log_full", "answer_from_before", "books_seeded"
STORIES = (KILLED, LOG_FULL, FROM_BEFORE, SEEDED)
START_S = 20.0

NEXT_FRAME_S = 1.0
"""Seen by the next frame of the book, which the 100 ms streams bring soon, or by `down`, at once."""

RESYNC_S = 5.0
"""A new snapshot, or a new connection with all its snapshots, at the first try."""

RETRY_S = 25.0
"""After several failures the tries are further apart, with jitter: up to 16 s after what the catalogue plays."""


@dataclass(frozen=True, slots=True)
class Bound:
    """Seconds; `why` says what sets `seen_s` where it is not the next frame."""

    seen_s: float = NEXT_FRAME_S
    recovered_s: float = RESYNC_S
    why: str = "next frame, or `down`"


_SPECIAL = {
    "late_frames": Bound(seen_s=5.0, why="the delay, at most 4 s: a stream that waits looks like a quiet one"),
    "half_open": Bound(
        seen_s=3.0, recovered_s=RETRY_S, why="a peer that answers no ping is left after 2.25 s of silence"
    ),
    "connection_refused": Bound(recovered_s=RETRY_S),
    "funding_interval_change": Bound(
        seen_s=10.0 + REGISTRY_S + 1, why="Binance lists it at the fault's end, 10 s at most; then the next registry"
    ),
    "listing": Bound(seen_s=REGISTRY_S + 2.0, why="the next reading of the registry, then a subscription"),
    "delisting": Bound(seen_s=REGISTRY_S + 2.0, why="the next reading of the registry"),
    KILLED: Bound(
        seen_s=6.0, why="the first word of the next process, 4 s later at most: until then nothing is judged"
    ),
    LOG_FULL: Bound(recovered_s=RETRY_S, why="the first record that is refused: `down`, which is never refused"),
    FROM_BEFORE: Bound(recovered_s=RETRY_S),
    SEEDED: Bound(),
    MIXED: Bound(seen_s=5.0, recovered_s=RETRY_S, why="the slowest of them"),
}


def bound_of(fault: str) -> Bound:
    """The bound of a fault by its name, or of the mix."""
    if fault in _SPECIAL:
        return _SPECIAL[fault]
    is_slow = CATALOG[fault].provoked_by in ("cut", "gap") or fault.startswith(("rest", "region"))
    return Bound(recovered_s=RETRY_S if is_slow else RESYNC_S)
