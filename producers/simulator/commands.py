"""`python -m producers simulate`: the simulator on its own, until it is told to end."""

import asyncio
import signal
from pathlib import Path

import click
import orjson

from mts_stream.errors import MtsError
from producers.simulator.settings import SimulatorSettings
from producers.simulator.simulator import Simulator
from producers.simulator.universe import PAIRS_MAX


@click.command()
@click.option("--pairs", type=click.IntRange(1, PAIRS_MAX), default=5, show_default=True, help="Pairs to list.")
@click.option(
    "--seed", type=int, default=1, show_default=True, help="Seed of the market; the same seed, the same path."
)
@click.option("--port-base", type=click.IntRange(1024, 65000), help="First of four ports; free ones without it.")
@click.option("--truth", type=click.Path(dir_okay=False, path_type=Path), help="File for the episodes as JSON lines.")
@click.option("--json", "as_json", is_flag=True, help="Print the addresses as one JSON line.")
def simulate(pairs: int, seed: int, port_base: int | None, truth: Path | None, as_json: bool) -> None:
    """Serve simulated Binance and Bybit on loopback until Ctrl-C or SIGTERM."""
    try:
        settings = SimulatorSettings(pairs=pairs, seed=seed, port_base=port_base, truth_file=truth)
        asyncio.run(_serve(settings, as_json))
    except MtsError as error:
        click.echo(f"error: {error}", err=True)
        raise SystemExit(error.exit_code) from error


async def _serve(settings: SimulatorSettings, as_json: bool) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    async with Simulator(settings) as simulator:
        click.echo(_addresses(simulator, as_json))
        await simulator.wait(ended)


def _addresses(simulator: Simulator, as_json: bool) -> str:
    addresses = simulator.urls | {"SIMULATOR_CONTROL_URL": simulator.control_url}
    if as_json:
        return orjson.dumps(addresses).decode()
    return "\n".join(f"{name}={url}" for name, url in addresses.items())
