"""The mix as a whole: every class in a minute of market time, its record, and its options."""

import json
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from producers.simulator.commands import fault_options, fault_settings
from producers.simulator.faults.catalog import MIX
from producers.simulator.settings import STEP_MS, SimulatorSettings
from producers.simulator.simulator import Simulator
from tests.producers.simulator.clients import get, poll

MINUTE_STEPS = 60_000 // STEP_MS


async def test_a_minute_of_the_mix_has_every_class(tmp_path: Path) -> None:
    """Stepped without waiting, nothing fails, every class has begun, and each line of the file is one fault."""
    path = tmp_path / "faults.jsonl"
    settings = SimulatorSettings(pairs=2, faults=MIX, fault_seed=2, fault_truth_file=path)
    now_ns = 1_800_000_000_000_000_000
    simulator = Simulator(settings, lambda: now_ns)
    await simulator.start()
    assert simulator._driver is not None
    simulator._driver.cancel()
    for _ in range(MINUTE_STEPS):
        now_ns += STEP_MS * 1_000_000
        await simulator._step(now_ns)
    assert {row["name"] for row in simulator.fault_truth} == MIX
    await simulator.stop()

    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert sorted(row["id"] for row in rows) == [row["id"] for row in simulator.fault_truth]
    assert all(row["kind"] == "fault" and row["start_ns"] <= row["end_ns"] for row in rows)
    assert not simulator._world.faults.frames.release()


async def test_the_control_port_tells_faults_and_books(simulator: Simulator) -> None:
    """/faults as they run, /book in each epoch that holds a sequence, 404 for what is not there."""
    book = simulator._world.market.legs["binance", "spot", "BTCUSDT"].book
    sequence = book.last_id
    simulator.inject("crossed_book", "binance", "spot", "BTCUSDT", duration_s=0.1)
    await poll(lambda: simulator.fault_truth[0]["end_ns"])

    served, _ = await get(simulator.control_url + "/faults")
    assert served["faults"] == simulator.fault_truth
    query = f"/book?venue=binance&market=spot&symbol=BTCUSDT&sequence={sequence}"
    books, _ = await get(simulator.control_url + query)
    assert [tuple(level) for level in books["books"][0]["bids"]] == simulator.true_book(
        "binance", "spot", "BTCUSDT", sequence
    ).bids
    assert books["multiplier"] == 1
    for wrong in ("/book?venue=binance", query.replace("BTCUSDT", "NOPE"), query + "x"):
        with pytest.raises(AssertionError):
            await _not_json(simulator.control_url + wrong)


async def _not_json(url: str) -> None:
    import aiohttp

    async with aiohttp.ClientSession() as http, http.get(url) as response:
        assert response.status != 404


async def test_named_faults_are_played_by_the_clock() -> None:
    """The schedule of a running simulator begins its faults after `first_fault_s`."""
    settings = SimulatorSettings(pairs=2, faults=frozenset({"crossed_book"}), first_fault_s=0.1)
    async with Simulator(settings) as simulator:
        await poll(lambda: simulator.fault_truth)
    assert simulator.fault_truth[0]["name"] == "crossed_book"


async def test_it_can_be_calm_again() -> None:
    """No fault begins after `last_fault_s`, and `on_step` is told of every step."""
    settings = SimulatorSettings(
        pairs=2, faults=frozenset({"crossed_book", "lost_frames"}), first_fault_s=1.0, last_fault_s=9.0
    )
    steps: list[int] = []
    simulator = Simulator(settings, lambda: 1_800_000_000_000_000_000, steps.append)
    await simulator.start()
    assert simulator._driver is not None
    simulator._driver.cancel()
    for now_ns in range(MINUTE_STEPS):
        await simulator._step(now_ns)
    await simulator.stop()

    assert [row["start_ns"] * STEP_MS // 1000 for row in simulator.fault_truth] == [1, 7]
    assert len(steps) >= MINUTE_STEPS


def test_the_options_become_settings(tmp_path: Path) -> None:
    """--faults is the mix, --fault adds names, the schedule's seed is the market's unless it is given."""
    seen: list[dict[str, Any]] = []

    @click.command()
    @fault_options
    def command(**options: Any) -> None:
        seen.append(fault_settings(5, **options))

    runner, path = CliRunner(), tmp_path / "faults.jsonl"
    given = ["--fault-seed", "9", "--fault-truth", str(path), "--connection-life-s", "3"]
    for arguments in ([], ["--faults", "--fault", "region_451"], given):
        assert runner.invoke(command, arguments).exit_code == 0
    plain = {"faults": frozenset(), "fault_seed": 5, "fault_truth_file": None, "connection_life_s": None}
    assert seen[0] == plain
    assert seen[1]["faults"] == MIX | {"region_451"}
    assert seen[2] == plain | {"fault_seed": 9, "fault_truth_file": path, "connection_life_s": 3}
    assert runner.invoke(command, ["--fault", "nope"]).exit_code == 2
