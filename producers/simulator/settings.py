"""What a run of the simulator is told: size, seed, ports, and the bounds of its servers."""

import math
from dataclasses import dataclass
from pathlib import Path

from mts_stream.errors import SettingsError
from producers.simulator.faults.catalog import CATALOG
from producers.simulator.universe import PAIRS_MAX

STEP_MS = 20
"""The market moves in steps of 20 ms: Bybit's push interval of `orderbook.50`."""


@dataclass(frozen=True, slots=True)
class SimulatorSettings:
    """Settings of one simulator run; without faults the market's path depends on pairs, seed and episode times alone.

    `faults`: names of the classes that are played (`faults.catalog.MIX` is the mix), in the order that `fault_seed`
    gives, from `first_fault_s` on; none begins after `last_fault_s`.
    """

    pairs: int = 5
    seed: int = 1
    port_base: int | None = None
    truth_file: Path | None = None
    first_episode_s: float = 6.0
    episode_interval_s: float = 3.5
    faults: frozenset[str] = frozenset()
    fault_seed: int = 1
    first_fault_s: float = 8.0
    last_fault_s: float = math.inf
    fault_truth_file: Path | None = None
    history_updates_max: int = 1024
    send_queue_frames_max: int = 4096
    binance_spot_ping_s: float = 20.0
    binance_perp_ping_s: float = 180.0
    binance_pong_timeout_s: float = 60.0
    bybit_idle_s: float = 600.0
    connection_life_s: float | None = None  # at this age every websocket is closed; None for never

    def __post_init__(self) -> None:
        if not 1 <= self.pairs <= PAIRS_MAX:
            raise SettingsError(f"pairs: {self.pairs} is not between 1 and {PAIRS_MAX}; give a number in that range")
        if self.port_base is not None and not 1024 <= self.port_base <= 65000:
            raise SettingsError(
                f"port_base: {self.port_base} is not between 1024 and 65000; leave it out for free ports"
            )
        unknown = sorted(self.faults - CATALOG.keys())
        if unknown:
            raise SettingsError(f"faults: {', '.join(unknown)} is not known; the known ones are {', '.join(CATALOG)}")
        if self.connection_life_s is not None and self.connection_life_s <= 0:
            raise SettingsError(
                f"connection_life_s: {self.connection_life_s} is not above 0; leave it out for no limit"
            )
        if self.first_fault_s < 0:
            raise SettingsError(f"first_fault_s: {self.first_fault_s} is negative; give seconds from the start")
        if self.first_episode_s < 0 or self.episode_interval_s <= 0:
            raise SettingsError("first_episode_s, episode_interval_s: times of episodes cannot be negative; raise them")
