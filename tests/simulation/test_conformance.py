"""Both venues against the real producers and the real engine: no book says valid that is not the venue's.

simulated venue --sockets, REST--> producers --records--> engine
     its true books  =  theirs, at every sequence where they say valid, all levels of the known range
"""

import os

import pytest

from producers.simulator.faults.catalog import CATALOG
from tests.simulation.bounds import STORIES
from tests.simulation.conftest import Play
from tests.simulation.scenarios import play_mix, play_named, play_story

SEEDS = int(os.environ.get("CONFORMANCE_SEEDS", "2"))
SEEDS_NAMED = max(1, SEEDS // 40)
GROUP = 20
"""Seeds of the mix in one test: what one process plays, some of them at a time."""

# A run is bounded by itself, by the sum of all its waits.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def venues_of(name: str) -> list[str]:
    """All venues that can have a fault; in a short run they take turns."""
    venues = list(dict.fromkeys(venue for venue, _ in CATALOG[name].legs))
    turn = list(CATALOG).index(name)
    return venues if SEEDS_NAMED > 1 else [venues[turn % len(venues)]]


@pytest.mark.parametrize("seed", range(1, SEEDS_NAMED + 1))
async def test_every_fault_by_its_name(seed: int, play: Play) -> None:
    """Each fault is met, seen as what it is within its time, healed within its time, and no book was wrong."""
    outcomes = await play(play_named(name, venue, seed) for name in CATALOG for venue in venues_of(name))
    assert {outcome.fault for outcome in outcomes} == CATALOG.keys()


async def test_stories(play: Play) -> None:
    """Producers killed, a log without room, an answer from before a restart: no hole looks like a book."""
    await play(play_story(name, seed) for name in STORIES for seed in range(1, 2 * SEEDS_NAMED + 1))


@pytest.mark.parametrize("first", range(1, SEEDS + 1, GROUP))
async def test_mixed_faults(first: int, play: Play) -> None:
    """Whatever happens at once: a book that says valid is the venue's, and all stand again when it is calm."""
    outcomes = await play(play_mix(seed) for seed in range(first, min(first + GROUP, SEEDS + 1)))
    assert all(outcome.met and outcome.signals for outcome in outcomes)
