"""Checkpoints of older versions, as the newest one: a worker that was upgraded goes on where it was."""

from itertools import pairwise
from typing import Any

from mts_stream.domain.sequencing import Taken

CHECKPOINT_VERSION = 3


def as_newest(data: dict[str, Any]) -> dict[str, Any]:
    """A checkpoint's data; what is of no older version stays as it is."""
    if data["v"] == 1:
        data = _from_v1(data)
    return _from_v2(data) if data["v"] == 2 else data


def _from_v1(data: dict[str, Any]) -> dict[str, Any]:
    """It counted a book's records and applied ones; the minute's other counts begin at 0."""
    for leg in data.get("pair", {}).get("legs", {}).values():
        *minute, records, applied = leg["quality"]
        taken = [0] * len(Taken)
        taken[Taken.APPLIED], taken[Taken.IGNORED] = applied, records - applied
        leg["quality"] = [*minute, taken, []]
    return data | {"v": 2}


def _from_v2(data: dict[str, Any]) -> dict[str, Any]:
    """Its numbers were JSON: every price, and the windows' edges behind the first second of each run."""
    pair = data.get("pair", {})
    for leg in pair.get("legs", {}).values():
        for side in (leg["book"]["bids"], leg["book"]["asks"]):
            zeros, prices = side[0]
            best = prices[0] if prices else 0
            side[0] = [zeros, best, [b - a for a, b in pairwise([best, *prices])]]
    for direction in pair.get("directions", {}).values():
        runs, *rest = direction["anomalies"]
        seconds = [[first_s, len(edges)] for first_s, *edges in runs]
        direction["anomalies"] = [seconds, [edge for _, *edges in runs for edge in edges], *rest]
    return data | {"v": 3}
