"""A simulator that runs, and clients of it."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from mts_stream.exchanges import MARKETS
from mts_stream.settings import Settings, load_settings
from producers.budget import WeightBudget
from producers.rest import RestClient
from producers.simulator.settings import SimulatorSettings
from producers.simulator.simulator import Simulator


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    """Eight pairs, one of them ambiguous."""
    async with Simulator(SimulatorSettings(pairs=8, seed=3)) as running:
        yield running


@pytest.fixture
def simulated(simulator: Simulator) -> Settings:
    """Settings that point to it."""
    return load_settings(**{name.lower(): url for name, url in simulator.urls.items()})


@pytest.fixture
async def clients(simulated: Settings) -> AsyncIterator[list[RestClient]]:
    """One REST client per market."""
    urls = {
        "binance_spot": simulated.binance_spot_rest_url, "binance_perp": simulated.binance_perp_rest_url,
        "bybit_spot": simulated.bybit_rest_url, "bybit_perp": simulated.bybit_rest_url,
    }  # fmt: skip
    async with aiohttp.ClientSession() as session:
        yield [
            RestClient(m, urls[f"{m.venue}_{m.market}"], "URL", session, WeightBudget(6000, 1.0)) for m in MARKETS
        ]
