"""`mts-stream demo`."""

import asyncio
import sys
from pathlib import Path

import click

from mts_stream.local.demo.options import UNATTENDED_S, DemoOptions
from mts_stream.local.extra import missing_extra

PAIRS_MAX = 50
WORKERS_MAX = 6


@click.command()
@click.option(
    "--duration", "duration_s", type=click.FloatRange(min=0, min_open=True),
    help=f"Seconds to run once results flow; without it until Ctrl-C in a terminal, else {UNATTENDED_S:.0f}.",
)  # fmt: skip
@click.option("--pairs", type=click.IntRange(1, PAIRS_MAX), default=5, show_default=True, help="Pairs to simulate.")
@click.option("--seed", type=int, default=1, show_default=True, help="Which market is simulated.")
@click.option("--faults", is_flag=True, help="Let the simulated exchanges break in every way that they can, in 60 s.")
@click.option(
    "--workers", type=click.IntRange(1, WORKERS_MAX), default=1, show_default=True, help="Workers to share the work."
)
@click.option("--record", type=click.Path(file_okay=False, path_type=Path), help="Leave the records and results here.")
@click.option("--data", type=click.Path(file_okay=False, path_type=Path), help="Keep all data here.")
@click.option("--json", "as_json", is_flag=True, help="Two JSON lines: ready, done.")
@click.pass_context
def demo(
    ctx: click.Context, duration_s: float | None, pairs: int, seed: int, faults: bool, workers: int,
    record: Path | None, data: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Run the whole system on this machine: Kafka, ClickHouse, simulated exchanges, worker, sink and live page."""
    try:
        from mts_stream.local.demo.children import PartEndedError
        from mts_stream.local.demo.run import run_demo
        from mts_stream.local.demo.voice import Voice
    except ModuleNotFoundError as error:
        raise missing_extra(error.name or str(error)) from error

    if duration_s is None and not sys.stdout.isatty():
        duration_s = UNATTENDED_S
    options = DemoOptions(duration_s, pairs, seed, record, data, as_json, faults, workers)
    try:
        code = asyncio.run(run_demo(options, Voice(as_json)))
    except PartEndedError as error:
        click.echo(error.last_words, err=True)
        raise
    ctx.exit(code)
