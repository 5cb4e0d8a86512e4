"""Arbitrage episodes: a seeded plan of when which leg's book stands apart from the others, and by how much."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from producers.simulator.universe import Leg, PairSpec

DURATION_S_MIN, DURATION_S_MAX = 0.4, 5.0
REST_S = 1.5
"""A pair is left alone this long after an episode, so that one's end is never another's start."""

SIGNAL_BPS = (50.0, 85.0)
NOISE_BPS = (8.0, 12.0)
_NOISE_EVERY = 4
_INTERVAL_SPREAD = 0.15


@dataclass(frozen=True, slots=True)
class EpisodePlan:
    """One episode: from `start_step` up to, not including, `end_step` a leg stands `displacement_bps` off."""

    id: int
    pair: str
    leg: Leg
    start_step: int
    end_step: int
    displacement_bps: float
    profitable: bool


def plan_episodes(
    pairs: Sequence[PairSpec], rng: Random, first_s: float, interval_s: float, steps_per_s: int
) -> Iterator[EpisodePlan]:
    """Endless plans in order of their start, spread over the pairs that can give signals, one at a time per pair."""
    usable = [pair for pair in pairs if not pair.ambiguous]
    free_at_s = {pair.pair: 0.0 for pair in usable}
    number, start_s = 0, first_s
    while True:
        free = [pair for pair in usable if free_at_s[pair.pair] <= start_s]
        if free:
            plan = _plan(number, rng.choice(free), start_s, rng, steps_per_s)
            free_at_s[plan.pair] = plan.end_step / steps_per_s + REST_S
            yield plan
            number += 1
        start_s += interval_s * (1 + _INTERVAL_SPREAD * (2 * rng.random() - 1))


def _plan(number: int, pair: PairSpec, start_s: float, rng: Random, steps_per_s: int) -> EpisodePlan:
    profitable = number % _NOISE_EVERY != _NOISE_EVERY - 1
    low, high = SIGNAL_BPS if profitable else NOISE_BPS
    bps = rng.uniform(low, high) * rng.choice((-1, 1))
    duration_s = math.exp(rng.uniform(math.log(DURATION_S_MIN), math.log(DURATION_S_MAX)))
    start = round(start_s * steps_per_s)
    end = start + max(1, round(duration_s * steps_per_s))
    return EpisodePlan(number, pair.pair, rng.choice(pair.listings).leg, start, end, round(bps, 2), profitable)
