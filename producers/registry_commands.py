"""`python -m producers pairs` and `funding-history`: what the venues list now, and what their perpetuals have paid."""

import sys
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import aiohttp
import click
import orjson
from msgspec import to_builtins
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mts_stream.domain.instrument import Instrument
from mts_stream.errors import UsageError
from mts_stream.exchanges.catalogue import row_line
from mts_stream.exchanges.venue import FundingSettlement
from mts_stream.logs import configure_logging
from mts_stream.settings import Settings, load_settings
from producers.clock import SlewedClock
from producers.funding_history import HOUR_MS, requests_needed, settlements
from producers.loop import run_async
from producers.registry import Registry
from producers.rest import RestClient, rest_clients
from producers.told import told

NS_PER_MS = 1_000_000


class _Nowhere:
    """Takes the records of a registry that publishes nothing."""

    def send(self, topic: str, key: bytes, value: bytes, kind: str, partition: int = -1, *, must: bool = False) -> bool:
        """Nothing is kept."""
        return True


@click.command("pairs")
@click.option("--pair", "text", default="", metavar="TEXT", help="Only what has this in its pair or symbol.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per instrument.")
def pairs_command(text: str, as_json: bool) -> None:
    """Ask the venues what they list: each instrument with its pair, or why it is none (PAIRS, PAIRS_TOP).

    `mts-stream pairs --explain` tells the same of producers that run.
    """
    _run(_explain(_settings(), text.upper(), as_json))


@click.command("funding-history")
@click.option("--pair", "pairs", multiple=True, required=True, help="Such as BTC-USDT; may be repeated.")
@click.option("--days", type=click.FloatRange(min=0, min_open=True, max=3650), default=30, show_default=True)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="File; standard output without it.")
def funding_history_command(pairs: tuple[str, ...], days: float, out: Path | None) -> None:
    """Write what the perpetuals of these pairs have paid, one JSON object per settlement, oldest first per leg."""
    with _output(out) as file:
        count = _run(_write_history(_settings(), ",".join(pairs), days, file))
    click.echo(f"{count:,} settlements", err=True)


def _settings() -> Settings:
    with told():
        settings = load_settings()
        configure_logging(settings, "producers")
        return settings


def _run(work: Coroutine[Any, Any, Any]) -> Any:
    with told():
        return run_async(work)


@contextmanager
def _output(path: Path | None) -> Iterator[TextIO]:
    if path is None:
        yield sys.stdout
        return
    with told():
        try:
            file = path.open("w")
        except OSError as error:
            raise UsageError(f"--out {path}: {error.strerror}; give a path that can be written") from error
    with file:
        yield file


async def _explain(settings: Settings, text: str, as_json: bool) -> None:
    async with aiohttp.ClientSession() as session:
        registry = Registry(rest_clients(settings, session), _Nowhere(), SlewedClock())
        await registry.look(settings.pairs, settings.pairs_top)
    for market in registry.explain():
        for row in market.instruments:
            if text not in row.pair and text not in row.symbol:
                continue
            whole = {"venue": market.venue, "market": market.market} | to_builtins(row)
            click.echo(orjson.dumps(whole).decode() if as_json else row_line(market.venue, market.market, row))


async def _write_history(settings: Settings, pairs: str, days: float, file: TextIO) -> int:
    end_ms = time.time_ns() // NS_PER_MS
    start_ms = end_ms - int(days * 24 * HOUR_MS)
    count = 0
    async with aiohttp.ClientSession() as session:
        clients = rest_clients(settings, session)
        registry = Registry(clients, _Nowhere(), SlewedClock())
        await registry.look(pairs, 0, "--pair")
        legs = [(listing.pair, leg) for listing in registry.listings for leg in listing.legs if leg.market == "perp"]
        asked = {(client.market.venue, client.market.market): client for client in clients}
        with _progress() as progress:
            task = progress.add_task("legs", total=_total(asked, legs, start_ms, end_ms), leg="")
            for pair, leg in legs:
                progress.update(task, leg=f"{leg.venue} {leg.symbol}")
                async for rows in settlements(asked[leg.venue, leg.market], leg.symbol, start_ms, end_ms):
                    file.writelines(f"{_line(pair, leg, row)}\n" for row in rows)
                    count += len(rows)
                    progress.advance(task)
    return count


def _total(
    asked: dict[tuple[str, str], RestClient], legs: list[tuple[str, Instrument]], start_ms: int, end_ms: int
) -> int:
    return sum(requests_needed(asked[leg.venue, leg.market], start_ms, end_ms) for _, leg in legs)


def _progress() -> Progress:
    console = Console(stderr=True)
    columns = TextColumn("{task.fields[leg]}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def _line(pair: str, leg: Instrument, row: FundingSettlement) -> str:
    fields = {
        "pair": pair, "venue": leg.venue, "market": leg.market, "symbol": leg.symbol,
        "settled_ns": row.settled_ms * NS_PER_MS, "rate": row.rate, "rate_type": row.rate_type,
        "mark_price": row.mark_price or None,
    }  # fmt: skip
    return orjson.dumps(fields).decode()
