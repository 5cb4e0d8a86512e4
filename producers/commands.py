"""`python -m producers`: the producers' commands."""

import asyncio
import signal
import sys
from pathlib import Path
from typing import Any

import click
import orjson

from mts_stream.errors import SettingsError, UsageError
from mts_stream.logs import configure_logging
from mts_stream.metrics import serve_metrics
from mts_stream.settings import Settings, load_settings
from producers.loop import run_async
from producers.record_commands import import_command, record
from producers.registry_commands import funding_history_command, pairs_command
from producers.service import ProducerService
from producers.simulator.commands import fault_options, fault_settings, simulate
from producers.simulator.settings import SimulatorSettings
from producers.simulator.simulator import Simulator
from producers.simulator.universe import PAIRS_MAX
from producers.told import told


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
def main() -> None:
    """Live or simulated venues into Kafka."""


@main.command()
@click.option("--live", "mode", flag_value="live", default="live", help="The venues at the configured addresses.")
@click.option("--simulate", "mode", flag_value="simulate", help="Simulated venues inside this process.")
@click.option(
    "--registry/--no-registry", default=True, show_default=True,
    help="Own the instrument registry, or follow the process that does.",
)  # fmt: skip
@click.option("--sim-pairs", type=click.IntRange(1, PAIRS_MAX), default=5, show_default=True, help="Simulated pairs.")
@click.option("--seed", type=int, default=1, show_default=True, help="Seed of the simulated market.")
@click.option("--truth", type=click.Path(dir_okay=False, path_type=Path), help="File for the simulated episodes.")
@click.option(
    "--control-file", type=click.Path(dir_okay=False, path_type=Path),
    help="File for the address of the simulator's truth: /truth, /faults, /book.",
)  # fmt: skip
@fault_options
@click.option("--metrics-port", type=click.IntRange(0, 65535), help="Port of /metrics; 0 for a free one.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON line when ready and one at the end.")
def run(
    mode: str, registry: bool, sim_pairs: int, seed: int, truth: Path | None, control_file: Path | None,
    metrics_port: int | None, as_json: bool, **faults: Any,
) -> None:  # fmt: skip
    """Publish depth, funding, status and registry to Kafka until Ctrl-C or SIGTERM."""
    played = fault_settings(seed, **faults)
    if mode == "live" and played["faults"]:
        raise click.UsageError("--faults and --fault need --simulate: the venues break by themselves")
    if mode == "live" and played["connection_life_s"]:
        raise click.UsageError("--connection-life-s needs --simulate: the venues close connections by themselves")
    simulated = None
    if mode == "simulate":
        simulated = SimulatorSettings(pairs=sim_pairs, seed=seed, truth_file=truth, **played)
    with told():
        settings = load_settings()
        configure_logging(settings, "producers")
        port = settings.producer_metrics_port if metrics_port is None else metrics_port
        metrics = f"http://{settings.metrics_host}:{_serve_metrics(settings, port)}/metrics"
        run_async(_run(settings, simulated, control_file, registry, metrics, as_json))


def _serve_metrics(settings: Settings, port: int) -> int:
    try:
        return serve_metrics(settings.metrics_host, port)
    except OSError as error:
        raise SettingsError(
            f"PRODUCER_METRICS_PORT={port}: cannot be used on {settings.metrics_host} ({error.strerror}); "
            "set another, or 0 for a free one"
        ) from error


async def _run(
    settings: Settings, simulated: SimulatorSettings | None, control_file: Path | None, owns_registry: bool,
    metrics: str, as_json: bool,
) -> None:  # fmt: skip
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    if simulated is None:
        await _produce(settings, owns_registry, {"metrics": metrics}, as_json, stop)
        return
    async with Simulator(simulated) as simulator:
        addresses = {"metrics": metrics, "simulator_control": simulator.control_url}
        _tell_control(simulator.control_url, control_file)
        await _produce(_simulated_settings(settings, simulator), owns_registry, addresses, as_json, stop)


def _tell_control(url: str, path: Path | None) -> None:
    """Write the address as a whole or not at all: whoever waits for the file may read it at once."""
    if path is None:
        return
    begun = path.with_name(f"{path.name}.part")
    try:
        begun.write_text(url + "\n")
        begun.replace(path)
    except OSError as error:
        raise UsageError(f"--control-file {path}: {error.strerror}; give a path that can be written") from error


def _simulated_settings(settings: Settings, simulator: Simulator) -> Settings:
    """The simulator's addresses, and all its pairs unless PAIRS names some."""
    changes: dict[str, Any] = {name.lower(): url for name, url in simulator.urls.items()}
    if not settings.pairs:
        changes["pairs_top"] = PAIRS_MAX
    return load_settings(**(settings.model_dump(exclude_unset=True) | changes))


async def _produce(
    settings: Settings, owns_registry: bool, addresses: dict[str, str], as_json: bool, stop: asyncio.Event
) -> None:
    service = ProducerService(settings, owns_registry=owns_registry)
    announcing = asyncio.create_task(_announce(service, addresses, as_json))
    try:
        await service.run(stop)
    finally:
        announcing.cancel()
    if as_json:
        _print({"event": "done"} | service.summary())


async def _announce(service: ProducerService, addresses: dict[str, str], as_json: bool) -> None:
    await service.ready.wait()
    if as_json:
        pairs = [listing.pair for listing in service.listings]
        _print({"event": "ready", "pairs": pairs, "connections": sorted(service.connections)} | addresses)


def _print(line: dict[str, Any]) -> None:
    click.echo(orjson.dumps(line).decode())
    sys.stdout.flush()


for command in (record, import_command, simulate, pairs_command, funding_history_command):
    main.add_command(command)
