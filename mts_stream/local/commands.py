"""`mts-stream local up|down|status`: Kafka and ClickHouse on this machine, in the background."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from mts_stream.local.background import CLICKHOUSE_PORT, KAFKA_PORT, WantedPorts, running_state
from mts_stream.local.background import down as end_parts
from mts_stream.local.background import up as have_parts
from mts_stream.local.directory import DataDirectory, RunState
from mts_stream.local.download_view import download_view
from mts_stream.settings import load_settings

NOT_RUNNING = 1
Command = TypeVar("Command", bound=Callable[..., object])

PORT = click.IntRange(0, 65535)


def _common(command: Command) -> Command:
    """The two options that every command here has."""
    command = click.option("--json", "as_json", is_flag=True, help="One line of JSON.")(command)
    text = "Where data, logs and state are; DATA_DIR, else ~/.local/share/mts-stream."
    return click.option("--data", type=click.Path(path_type=Path, file_okay=False), help=text)(command)


@click.group()
def local() -> None:
    """Kafka and ClickHouse alone, for developing."""


@local.command()
@click.option("--kafka-port", type=PORT, help=f"Default: {KAFKA_PORT}, or a free one; 0: any free one.")
@click.option("--clickhouse-port", type=PORT, help=f"Default: {CLICKHOUSE_PORT}, or a free one; 0: any free one.")
@_common
def up(data: Path | None, as_json: bool, kafka_port: int | None, clickhouse_port: int | None) -> None:
    """Start both, and return when both answer; they go on in the background."""
    directory = _directory(data)
    view = download_view(_say)
    report = _say_nothing if as_json else _say
    state, was_up = have_parts(directory, WantedPorts(kafka_port, clickhouse_port), view, report)
    if as_json:
        click.echo(json.dumps(_as_dict(directory, state)))
        return
    click.echo("Kafka and ClickHouse run already." if was_up else "Kafka and ClickHouse run.")
    _show(directory, state)


@local.command()
@_common
def down(data: Path | None, as_json: bool) -> None:
    """End both and wait for it; their data stays."""
    directory = _directory(data)
    was_up = end_parts(directory)
    if as_json:
        click.echo(json.dumps({"up": False, "was_up": was_up}))
    else:
        click.echo("Kafka and ClickHouse have ended." if was_up else "Kafka and ClickHouse were not running.")


@local.command()
@_common
def status(data: Path | None, as_json: bool) -> int:
    """Say whether both run, and where; exit code 1 when they do not."""
    directory = _directory(data)
    state = running_state(directory)
    if state is not None and state.ready:
        if as_json:
            click.echo(json.dumps({"up": True, **_as_dict(directory, state)}))
        else:
            _show(directory, state)
        return 0
    reason = None if state else directory.unasked_end()
    if as_json:
        click.echo(json.dumps({"up": False, "data": str(directory.path), "reason": reason}))
    else:
        click.echo(f"Kafka and ClickHouse {'are starting' if state else 'do not run'} in {directory.path}.")
        if reason:
            click.echo(f"The last run ended unasked: {reason}")
    return NOT_RUNNING


def _say(text: str) -> None:
    click.echo(text, err=True)


def _say_nothing(_: str) -> None:
    """For a program, which waits for its one line."""


def _directory(data: Path | None) -> DataDirectory:
    """The directory asked for, else DATA_DIR, else the place that XDG_DATA_HOME gives."""
    settings = load_settings()
    shared = os.environ.get("XDG_DATA_HOME")
    if data is None and shared and "data_dir" not in settings.model_fields_set:
        data = Path(shared) / "mts-stream"
    return DataDirectory(data or settings.data_dir)


def _as_dict(directory: DataDirectory, state: RunState) -> dict[str, object]:
    return {
        "kafka": state.kafka,
        "clickhouse": state.clickhouse,
        "data": str(directory.path),
        "logs": str(directory.logs),
        "pid": state.owner.pid,
        "pids": {name: identity.pid for name, identity in state.children.items()},
    }


def _show(directory: DataDirectory, state: RunState) -> None:
    rows = [
        ("Kafka", state.kafka),
        ("ClickHouse", state.clickhouse),
        ("data", directory.path),
        ("logs", directory.logs),
    ]
    for name, value in rows:
        click.echo(f"  {name:<11} {value}")
    click.echo(f"\nexport KAFKA_BOOTSTRAP_SERVERS={state.kafka}\nexport CLICKHOUSE_URL={state.clickhouse}")
