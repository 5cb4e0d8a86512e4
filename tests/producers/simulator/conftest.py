"""A small simulator per test, on free ports."""

from collections.abc import AsyncIterator

import pytest

from producers.simulator.settings import SimulatorSettings
from producers.simulator.simulator import Simulator


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    """Three pairs of seed 1, without episodes for the first minutes."""
    async with Simulator(SimulatorSettings(pairs=3, seed=1, first_episode_s=600)) as running:
        yield running
