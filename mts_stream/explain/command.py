"""`mts-stream explain`."""

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from mts_stream.explain.answering import as_data
from mts_stream.explain.asking import Moment, OnRecord, ask_captures, ask_kafka
from mts_stream.explain.verdict import summary
from mts_stream.explain.view import show
from mts_stream.replay import check_captures
from mts_stream.settings import ECONOMIC_VARIABLES, load_settings

SETTINGS_FILE = "settings.json"
PIPE_WIDTH = 140
TOLD_EVERY = 1000
ISO_TIME = re.compile(r"(.*?\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:?\d\d)?")


class TimeNs(click.ParamType):
    """Unix ns, or a time as ISO 8601 writes it, with up to nine decimals; without an offset it is UTC."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The time in ns."""
        if isinstance(value, int) or value.isdigit():
            return int(value)
        parts = ISO_TIME.fullmatch(value.strip())
        whole, decimals, offset = parts.groups(default="") if parts else ("", "", "")
        try:
            moment = datetime.fromisoformat(f"{whole}{offset}")
        except ValueError:
            self.fail(f"{value!r} is no time such as 2026-11-25T04:00:00.123Z or Unix ns", param, ctx)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return int(moment.timestamp()) * 10**9 + int(decimals.ljust(9, "0"))


@click.command("explain")
@click.argument("wanted", metavar="[ID]", required=False)
@click.option(
    "--capture", "captures", multiple=True, type=click.Path(path_type=Path), help="A capture; may be repeated."
)
@click.option(
    "--kafka", "from_kafka", is_flag=True, help="The topics at KAFKA_BOOTSTRAP_SERVERS; so without --capture."
)
@click.option("--pair", help="Instead of an ID: of this pair ...")
@click.option("--direction", help="... this direction, such as 'binance:perp>bybit:perp' ...")
@click.option(
    "--at", "at_ns", type=TimeNs(), help="... its last evaluation at or before this time (ISO 8601 or Unix ns)."
)
@click.option("--levels", type=click.IntRange(1, 20), default=8, show_default=True, help="Levels shown of each side.")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON.")
def explain_command(
    wanted: str | None, captures: tuple[Path, ...], from_kafka: bool, pair: str | None, direction: str | None,
    at_ns: int | None, levels: int, as_json: bool,
) -> None:  # fmt: skip
    """Take a signal apart, or say why there was none.

    ID is a signal's id or an opportunity's. With --pair, --direction and --at it is the direction's last evaluation
    until then. Of a recording with settings.json beside it, those settings hold where the environment sets none.
    """
    asked = _asked(wanted, pair, direction, at_ns)
    if from_kafka and captures:
        raise click.UsageError("--capture and --kafka exclude each other")
    check_captures(captures)
    settings = load_settings(**recorded_settings(list(captures)))
    with _reading() as on_record:
        if captures:
            answer = ask_captures(captures, asked, settings.economics(), on_record)
        else:
            answer = ask_kafka(settings, asked, on_record)
    if as_json:
        click.echo(json.dumps({"verdict": summary(answer)} | as_data(answer)))
        return
    console = Console()
    if not console.is_terminal:
        console = Console(width=PIPE_WIDTH)
    show(answer, console, levels)


def _asked(wanted: str | None, pair: str | None, direction: str | None, at_ns: int | None) -> str | Moment:
    if wanted is not None and pair is None and direction is None and at_ns is None:
        return wanted
    if wanted is None and pair is not None and direction is not None and at_ns is not None:
        return Moment(pair, direction, at_ns)
    raise click.UsageError("give an ID, or --pair, --direction and --at together")


def recorded_settings(captures: list[Path]) -> dict[str, str]:
    """The economic settings that a recording keeps beside its captures, but for those the environment sets."""
    for path in sorted({capture.parent / SETTINGS_FILE for capture in captures}):
        try:
            recorded = json.loads(path.read_text())
        except (OSError, ValueError):
            continue
        if isinstance(recorded, dict) and set(recorded) <= set(ECONOMIC_VARIABLES):
            return {k.lower(): v for k, v in recorded.items() if v and not os.environ.get(k)}
    return {}


@contextmanager
def _reading() -> Iterator[OnRecord]:
    """Show how many records were read while they are."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda: None
        return
    count = 0
    with console.status("reading the log") as status:

        def on_record() -> None:
            nonlocal count
            count += 1
            if count % TOLD_EVERY == 0:
                status.update(f"reading the log: {count:,} records")

        yield on_record
