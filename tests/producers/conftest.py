"""A simulator that runs, clients of it, and a broker whose topics are the real ones."""

import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from mts_stream.settings import Settings, load_settings
from mts_stream.wire.kafka import create_topics
from producers.rest import RestClient, rest_clients
from producers.simulator.settings import SimulatorSettings
from producers.simulator.simulator import Simulator

PARTITIONS = 4


class OwnBroker:
    """A broker that a test may freeze and wake."""

    def __init__(self, loop: Any, broker: Any) -> None:
        self._loop, self._broker = loop, broker
        self.address: str = broker.address

    def start(self) -> None:
        """Up, and ready."""
        self._loop.run(self._broker.start())

    def stop(self) -> None:
        """Down."""
        self._loop.run(self._broker.stop())

    def signal(self, number: signal.Signals) -> None:
        """Tell the broker's process."""
        os.kill(self._broker.process.pid, number)


@pytest.fixture(scope="session")
def own_broker(
    _parts_loop: Any, make_broker: Callable[[Path], Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OwnBroker]:
    """A broker of these tests' own, because they use the real topics."""
    broker = OwnBroker(_parts_loop, make_broker(tmp_path_factory.mktemp("own-kafka")))
    broker.start()
    create_topics(load_settings(kafka_bootstrap_servers=broker.address, partitions=PARTITIONS))
    yield broker
    broker.stop()


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
    async with aiohttp.ClientSession() as session:
        yield rest_clients(simulated.model_copy(update={"rest_weight_share": 1.0}), session)
