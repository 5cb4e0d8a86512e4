"""The table of all commands, each imported when it is asked for, and how a command's end becomes an exit code."""

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NamedTuple

import click

from mts_stream import __version__
from mts_stream.errors import MtsError

FAILED, INTERRUPTED = 1, 130


class Place(NamedTuple):
    """Where a command lives, and its line in the help."""

    module: str
    name: str
    about: str


COMMANDS = {
    "demo": Place("mts_stream.local.demo.command", "demo", "The whole system on this machine, with one command."),
    "local": Place(
        "mts_stream.local.commands", "local", "Kafka and ClickHouse alone, for developing: up, down, status."
    ),
    "web": Place("mts_stream.web.commands", "web", "The live page."),
    "replay": Place(
        "mts_stream.replay.command", "replay_command", "Captured records through the engine, without Kafka."
    ),
    "explain": Place("mts_stream.explain.command", "explain_command", "Why there was a signal, or none, step by step."),
    "signals": Place("mts_stream.commands.signals", "signals", "What the signals topic carries: tail."),
    "pairs": Place("mts_stream.commands.pairs", "pairs", "The pairs of the registry and their listings."),
    "doctor": Place("mts_stream.commands.doctor", "doctor", "What works here, and what to do about what does not."),
    "topics": Place("mts_stream.commands.topics", "topics", "The Kafka topics: create, list."),
    "migrate": Place("mts_stream.commands.store", "migrate", "Bring ClickHouse's tables up to date."),
    "rebuild": Place("mts_stream.commands.rebuild", "rebuild", "ClickHouse's tables anew, out of the result topics."),
    "schema": Place("mts_stream.commands.schema", "schema", "The contract of the signals: export."),
    "show-config": Place("mts_stream.commands.config", "show_config", "The settings in force, secrets masked."),
}


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports one only to run it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        place = COMMANDS.get(cmd_name)
        if place is None:
            return None
        command: click.Command = getattr(import_module(place.module), place.name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, place.about) for name, place in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(__version__, prog_name="mts-stream")
def root() -> None:
    """Net arbitrage between exchanges, from raw market data to signals that anybody can recompute."""


def run(arguments: Sequence[str]) -> int:
    """Run one command line; every expected error is one line on standard error, and its exit code the answer."""
    try:
        code = root.main(list(arguments), prog_name="mts-stream", standalone_mode=False)
        _flush()
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except MtsError as error:
        click.echo(f"mts-stream: {one_line(error)}", err=True)
        return error.exit_code
    except BrokenPipeError:
        return _reader_left()
    return code if isinstance(code, int) else 0


def _flush() -> None:
    try:
        sys.stdout.flush()
    except OSError as error:
        raise BrokenPipeError from error  # a terminal that has gone says EIO


def one_line(error: BaseException) -> str:
    """The error's text without line breaks."""
    return " ".join(str(error).split())


def _reader_left() -> int:
    """Whoever read our output has gone (`| head`): nothing more can be said, not even at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return FAILED
