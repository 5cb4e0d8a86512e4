"""What the detector found, held against the simulator's labelled truth.

        start          end    end + TOLERANCE
--------|==============|.......|-------- time
  false      true        true    false           an `arbitrage.opened` of a direction with the displaced leg
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TOLERANCE_NS = 1_500_000_000
"""A displaced quote is taken back by the leg's next frames, which come some time after the episode's end."""

SIGNAL = "signal"


@dataclass(frozen=True, slots=True)
class Episode:
    """One labelled episode: a leg of a pair stood apart from `start_ns` to `end_ns`.

    `expect` is `signal` where `directions` must have been found, else `borderline` or `none`.
    """

    id: int
    pair: str
    leg: str
    start_ns: int
    end_ns: int
    expect: str
    directions: tuple[str, ...]

    def covers(self, opened: "Opened") -> bool:
        """Whether it explains an opportunity that opened."""
        return (
            opened.pair == self.pair
            and self.leg in opened.direction.split(">")
            and self.start_ns <= opened.event_time_ns <= self.end_ns + TOLERANCE_NS
        )


@dataclass(frozen=True, slots=True)
class Opened:
    """An opportunity that the detector opened."""

    opportunity_id: str
    pair: str
    direction: str
    event_time_ns: int


@dataclass(slots=True)
class Comparison:
    """Expected episodes found and missed, and opportunities that no episode explains."""

    expected: int = 0
    found: int = 0
    missed: list[Episode] = field(default_factory=list)
    found_without: list[Opened] = field(default_factory=list)

    def counts(self) -> dict[str, int]:
        """The four counts."""
        found_without = len(self.found_without)
        return {
            "expected": self.expected, "found": self.found, "missed": len(self.missed), "found_without": found_without,
        }  # fmt: skip


def compare(episodes: Iterable[Episode], opened: Sequence[Opened], since_ns: int = 0) -> Comparison:
    """Hold what opened against the truth; only opportunities from `since_ns` on are judged."""
    known = list(episodes)
    judged = [one for one in opened if one.event_time_ns >= since_ns]
    wanted = [episode for episode in known if episode.expect == SIGNAL]
    missed = [episode for episode in wanted if not _found(episode, judged)]
    without = [one for one in judged if not any(episode.covers(one) for episode in known)]
    return Comparison(len(wanted), len(wanted) - len(missed), missed, without)


def _found(episode: Episode, opened: Iterable[Opened]) -> bool:
    return any(one.direction in episode.directions and episode.covers(one) for one in opened)


def read_episodes(path: Path) -> list[Episode]:
    """The episodes of a truth file, one JSON object a line; none without the file."""
    if not path.exists():
        return []
    return [episode_of(json.loads(line)) for line in path.read_text().splitlines() if line.strip()]


def episode_of(line: dict[str, Any]) -> Episode:
    """One line of a truth file."""
    return Episode(
        line["id"], line["pair"], f"{line['venue']}:{line['market']}", line["start_ns"], line["end_ns"],
        line["expect"], tuple(line["directions"]),
    )  # fmt: skip
