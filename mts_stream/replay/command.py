"""`mts-stream replay`."""

import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from mts_stream.errors import MtsError
from mts_stream.kernels import chosen_kernel
from mts_stream.replay.captures import check_captures
from mts_stream.replay.replaying import replay
from mts_stream.replay.running import DEAD_LETTERS_FILE, FILES, Summary
from mts_stream.settings import Settings, load_settings

FAILED = 1
HINTS = {"unknown_instrument": "the capture does not begin with a registry record of these pairs"}


@click.command("replay")
@click.argument("captures", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder for the results.")
@click.option("--check", is_flag=True, help="Replay twice, in other batches and with restarts, and compare.")
@click.option("--strict", is_flag=True, help="Exit 1 where anything of a capture could not be read.")
@click.option("--jobs", type=click.IntRange(min=1), help="Captures replayed at once; without it one per core.")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON instead of the summary.")
def replay_command(
    captures: tuple[Path, ...], out: Path, check: bool, strict: bool, jobs: int | None, as_json: bool
) -> None:
    """Run captures through the engine without Kafka.

    Each CAPTURE is the log of one partition (.jsonl, .jsonl.gz or .jsonl.zst). The settings of the environment apply.
    """
    loaded = load_settings()
    check_captures(captures)
    with percent_bar(as_json) as progress:
        summary = replay_shown(captures, out, loaded, progress, jobs=jobs, check=check)
    for text in warnings_of(summary):
        click.echo(f"warning: {text}", err=True)
    checked: dict[str, object] = {"check": "equal"} if check else {}
    click.echo(json.dumps(summary.as_json() | checked) if as_json else _text(summary, out, check))
    if strict and summary.dead:
        click.get_current_context().exit(FAILED)


def percent_bar(as_json: bool) -> Progress:
    """How far something is, on stderr; hidden where that is no terminal, or a program reads the answer."""
    columns = (
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"), TimeRemainingColumn(),
    )  # fmt: skip
    console = Console(stderr=True)
    return Progress(*columns, console=console, transient=True, disable=as_json or not console.is_terminal)


def replay_shown(
    captures: tuple[Path, ...], out: Path, settings: Settings, progress: Progress, *, jobs: int | None = None,
    check: bool = False,
) -> Summary:  # fmt: skip
    """Replay captures into a folder with a line in a bar. Raises MtsError where the disk refuses."""
    economics, kernel = settings.economics(), chosen_kernel(settings.kernel).name
    task = progress.add_task("replay", total=sum(each.stat().st_size for each in captures) * (2 if check else 1))
    try:
        return replay(
            captures, out, economics, lambda n: progress.advance(task, n), processes=jobs or cores(), check=check,
            kernel=kernel,
        )  # fmt: skip
    except OSError as error:
        raise MtsError(f"replay: {error}; check the folder {out} and the captures") from error


def cores() -> int:
    """How many processes can run at once here."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def warnings_of(summary: Summary) -> list[str]:
    """What somebody should know of captures that could not be read whole."""
    return [*summary.truncated, *_dead_letters(summary)]


def _dead_letters(summary: Summary) -> Iterator[str]:
    """What most dead letters have in common, in one line, if there are any."""
    for reason, count in summary.dead_by_reason.most_common(1):
        hint = f": {HINTS[reason]}" if reason in HINTS else f": see {DEAD_LETTERS_FILE}"
        yield f"{summary.dead} dead letters, mostly {reason} ({count}){hint}"


def _text(summary: Summary, out: Path, check: bool) -> str:
    rest = summary.records - summary.evaluated - summary.dead
    lines = [f"{summary.records} records = {summary.evaluated} evaluated + {rest} not + {summary.dead} dead letters"]
    written = Counter(dict.fromkeys(FILES, 0)) | summary.written
    lines += [f"{written[name]:>9} in {out / name}" for name in sorted(FILES)]
    if check:
        lines.append("check: equal, byte for byte, in other batches and with restarts from checkpoints in between")
    return "\n".join(lines)
