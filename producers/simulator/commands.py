"""`python -m producers simulate`: the simulator on its own, until it is told to end."""

import asyncio
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
import orjson

from mts_stream.errors import MtsError
from producers.simulator.faults.catalog import CATALOG, MIX
from producers.simulator.settings import SimulatorSettings
from producers.simulator.simulator import Simulator
from producers.simulator.universe import PAIRS_MAX


def fault_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options of every command that simulates: `--faults` and its kin, `--connection-life-s`."""
    options = (
        click.option("--faults", is_flag=True, help="Play every class of the mix, at least once in 60 s."),
        click.option(
            "--fault", "fault_names", multiple=True, metavar="NAME", type=click.Choice(sorted(CATALOG)),
            help=f"Play this class, again and again; may be repeated. Known: {', '.join(sorted(CATALOG))}.",
        ),
        click.option("--fault-seed", type=int, help="Seed of the faults' schedule; the market's seed without it."),
        click.option(
            "--fault-truth", type=click.Path(dir_okay=False, path_type=Path), help="File for the faults as JSON lines."
        ),
        click.option(
            "--connection-life-s", type=click.FloatRange(min=0, min_open=True),
            help="Close every websocket at this age, as Binance does after 24 hours.",
        ),
    )  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


def fault_settings(
    seed: int,
    faults: bool,
    fault_names: Sequence[str],
    fault_seed: int | None,
    fault_truth: Path | None,
    connection_life_s: float | None = None,
) -> dict[str, Any]:
    """What the options of `fault_options` say, as arguments of SimulatorSettings."""
    names = (MIX if faults else frozenset()) | frozenset(fault_names)
    return {
        "faults": names,
        "fault_seed": seed if fault_seed is None else fault_seed,
        "fault_truth_file": fault_truth,
        "connection_life_s": connection_life_s,
    }


@click.command()
@click.option("--pairs", type=click.IntRange(1, PAIRS_MAX), default=5, show_default=True, help="Pairs to list.")
@click.option(
    "--seed", type=int, default=1, show_default=True, help="Seed of the market; the same seed, the same path."
)
@click.option("--port-base", type=click.IntRange(1024, 65000), help="First of four ports; free ones without it.")
@click.option("--truth", type=click.Path(dir_okay=False, path_type=Path), help="File for the episodes as JSON lines.")
@fault_options
@click.option("--json", "as_json", is_flag=True, help="Print the addresses as one JSON line.")
def simulate(pairs: int, seed: int, port_base: int | None, truth: Path | None, as_json: bool, **options: Any) -> None:
    """Serve simulated Binance and Bybit on loopback until Ctrl-C or SIGTERM."""
    try:
        played = fault_settings(seed, **options)
        settings = SimulatorSettings(pairs=pairs, seed=seed, port_base=port_base, truth_file=truth, **played)
        asyncio.run(_serve(settings, as_json))
    except MtsError as error:
        click.echo(f"producers: {error}", err=True)
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
