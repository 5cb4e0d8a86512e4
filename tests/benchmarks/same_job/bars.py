"""What the issue asks of the engines, as ratios of messages per CPU second in one run."""

from collections.abc import Mapping
from statistics import median
from typing import NamedTuple


class Turn(NamedTuple):
    """One measured run of an engine."""

    records: int
    cpu_s: float
    wall_s: float

    @property
    def per_cpu_s(self) -> float:
        """Messages per CPU second."""
        return self.records / self.cpu_s

    @property
    def per_s(self) -> float:
        """Messages per second of wall time."""
        return self.records / self.wall_s


class Bar(NamedTuple):
    """`name` over `other` has to be at least this."""

    name: str
    other: str
    at_least: float


BARS = (
    Bar("mts_compiled", "faust_stock", 15.0),
    Bar("mts_compiled", "quix", 1.3),
    Bar("mts_compiled", "confluent_loop", 0.9),
    Bar("mts_compiled", "kafka_streams", 1.0),
)


class Reached(NamedTuple):
    """A bar, the median of its ratio over the rounds, and the least and most of it."""

    bar: Bar
    value: float
    least: float
    most: float

    @property
    def is_reached(self) -> bool:
        """Whether the median does."""
        return self.value >= self.bar.at_least


def reached(turns: Mapping[str, list[Turn]]) -> list[Reached]:
    """Every bar whose engines both ran: ratios are taken within a round, never of two rounds."""
    found = []
    for bar in BARS:
        if turns.get(bar.name) and turns.get(bar.other):
            rounds = zip(turns[bar.name], turns[bar.other], strict=True)
            ratios = sorted(one.per_cpu_s / other.per_cpu_s for one, other in rounds)
            found.append(Reached(bar, median(ratios), ratios[0], ratios[-1]))
    return found
