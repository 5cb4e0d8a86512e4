"""A client that does what the venues' documents say holds the venue's own book at every sequence."""

import asyncio
from typing import Any

import pytest

from producers.simulator.settings import SimulatorSettings
from producers.simulator.simulator import Simulator
from tests.producers.simulator.clients import follow_binance, follow_bybit

# Episodes come at once and often, so that the books are followed through displacements too.
BUSY = SimulatorSettings(pairs=5, seed=11, first_episode_s=0.5, episode_interval_s=0.7)


async def test_the_recipes_reproduce_the_true_book_at_every_sequence() -> None:
    """Spot by snapshot and contiguous ids, perp by the pu chain, Bybit by deltas: always the true book."""
    async with Simulator(BUSY) as simulator, asyncio.TaskGroup() as group:
        group.create_task(follow_binance(simulator, "spot", "BTCUSDT", events=50))
        group.create_task(follow_binance(simulator, "spot", "SHIBUSDT", events=20))
        group.create_task(follow_binance(simulator, "perp", "BTCUSDT", events=80, speed="0ms"))
        group.create_task(follow_binance(simulator, "perp", "1000PEPEUSDT", events=30))
        group.create_task(follow_bybit(simulator, "spot", "ETHUSDT", deltas=120))
        group.create_task(follow_bybit(simulator, "perp", "SHIB1000USDT", deltas=25))
        group.create_task(follow_bybit(simulator, "perp", "BTCUSDT", deltas=220))


@pytest.mark.parametrize("market", ["spot", "perp"])
@pytest.mark.parametrize("follow", [follow_binance, follow_bybit])
async def test_a_lost_frame_breaks_the_chain_once(follow: Any, market: str) -> None:
    """After `skip_next_frame` one frame is missing and its successor's ids show it; a new start is sound again."""
    async with Simulator(BUSY) as simulator:
        with pytest.raises(AssertionError):
            await follow(simulator, market, "BTCUSDT", 20, lose_after=3)
        await follow(simulator, market, "BTCUSDT", 20)
