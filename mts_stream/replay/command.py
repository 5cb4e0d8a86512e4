"""A capture through the engine without Kafka: the same results as the live worker's, byte for byte."""

import gzip
import io
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from mts_stream.domain.economics import EconomicSettings
from mts_stream.domain.engine import PartitionEngine
from mts_stream.domain.evaluation import MissingFeeError
from mts_stream.errors import BadRecordError, MtsError, SettingsError, UsageError
from mts_stream.settings import load_settings
from mts_stream.wire.codec import dead_letter, decode_record, encode_message, topic_of
from mts_stream.wire.topics import FUNDING, QUALITY, RAW, SIGNALS, SPREADS

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

FILE_OF = {
    SIGNALS: "signals.jsonl",
    SPREADS: "spreads.jsonl",
    FUNDING: "funding.jsonl",
    QUALITY: "quality.jsonl",
}
DEAD_LETTERS_FILE = "dlq.jsonl"
FILES = (*FILE_OF.values(), DEAD_LETTERS_FILE)
HINTS = {"unknown_instrument": "the capture does not begin with a registry record of these pairs"}
SUFFIXES = (".jsonl", ".jsonl.gz", ".jsonl.zst")


@dataclass
class Summary:
    """What a replay read and wrote."""

    records: int = 0
    evaluated: int = 0
    dead_by_reason: Counter[str] = field(default_factory=Counter)
    truncated: list[str] = field(default_factory=list)
    written: Counter[str] = field(default_factory=Counter)

    @property
    def dead(self) -> int:
        """Records that are dead letters."""
        return self.dead_by_reason.total()

    def as_json(self) -> dict[str, object]:
        """For programs."""
        return {
            "event": "done",
            "records": self.records,
            "evaluated": self.evaluated,
            "not_evaluated": self.records - self.evaluated - self.dead,
            "dead": self.dead,
            "dead_by_reason": dict(sorted(self.dead_by_reason.items())),
            "truncated": self.truncated,
            "written": dict(sorted(self.written.items())),
        }


def replay(
    captures: Iterable[Path], out: Path, settings: EconomicSettings, on_bytes: Callable[[int], None] = lambda _: None
) -> Summary:
    """Write `signals.jsonl`, `spreads.jsonl`, `quality.jsonl`, `funding.jsonl` and `dlq.jsonl` of captures, in order.

    Each capture is a partition of its own. `on_bytes` is told how many bytes of the files were read.
    Raises UsageError for a capture that cannot be opened, SettingsError for a fee that the table lacks.
    """
    summary = Summary()
    out.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        files = {name: stack.enter_context((out / name).open("wb")) for name in FILES}
        for partition, capture in enumerate(captures):
            _replay_capture(capture, partition, files, settings, summary, on_bytes)
    return summary


def _replay_capture(
    capture: Path,
    partition: int,
    files: dict[str, io.BufferedWriter],
    settings: EconomicSettings,
    summary: Summary,
    on_bytes: Callable[[int], None],
) -> None:
    engine = PartitionEngine(settings)
    for offset, line in enumerate(read_lines(capture, on_bytes, summary.truncated.append)):
        if not line:
            continue
        summary.records += 1
        try:
            handled = engine.on_event(decode_record(line), offset)
        except BadRecordError as error:
            summary.dead_by_reason[error.reason] += 1
            letter = dead_letter(
                origin="worker", reason=error.reason, detail=error.detail, topic=RAW, partition=partition,
                offset=offset, venue=None, stream=None, payload=line,
            )  # fmt: skip
            files[DEAD_LETTERS_FILE].write(letter + b"\n")
            continue
        except MissingFeeError as error:
            raise SettingsError(str(error.args[0])) from error
        summary.evaluated += handled.evaluated
        for message in handled.messages:
            name = FILE_OF[topic_of(message)]
            files[name].write(encode_message(message) + b"\n")
            summary.written[name] += 1


def read_lines(capture: Path, on_bytes: Callable[[int], None], on_truncated: Callable[[str], None]) -> Iterator[bytes]:
    """The lines of a capture without their ends; a compressed file that breaks off gives what can be read of it."""
    number = 0
    with capture.open("rb") as raw:
        told = 0
        try:
            for line in _opened(capture, raw):
                number += 1
                if number % 1000 == 0:
                    on_bytes(raw.tell() - told)
                    told = raw.tell()
                yield line.rstrip(b"\r\n")
        except (EOFError, OSError, zstd.ZstdError) as error:
            on_truncated(f"{capture}: broken after line {number}: {error}")
        on_bytes(raw.tell() - told)


def _opened(capture: Path, raw: BinaryIO) -> Iterable[bytes]:
    if capture.name.endswith(".gz"):
        return gzip.GzipFile(fileobj=raw)
    if capture.name.endswith(".zst"):
        return zstd.ZstdFile(raw)
    return raw


def check_captures(captures: Iterable[Path]) -> None:
    """Refuse what is no capture, by name; raises UsageError."""
    for capture in captures:
        if not capture.is_file():
            raise UsageError(f"{capture}: there is no such file; give captures ({', '.join(SUFFIXES)})")
        if not capture.name.endswith(SUFFIXES):
            raise UsageError(f"{capture}: a capture's name ends in {', '.join(SUFFIXES)}")
        if capture.stat().st_size == 0:
            raise UsageError(f"{capture}: the file is empty")


@click.command("replay")
@click.argument("captures", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder for the results.")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON instead of the summary.")
def replay_command(captures: tuple[Path, ...], out: Path, as_json: bool) -> None:
    """Run captures through the engine without Kafka.

    Each CAPTURE is the log of one partition (.jsonl, .jsonl.gz or .jsonl.zst). The settings of the environment apply.
    """
    settings = load_settings().economics()
    check_captures(captures)
    columns = (TextColumn("replay"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"), TimeRemainingColumn())
    console = Console(stderr=True)
    is_hidden = as_json or not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=is_hidden) as progress:
        task = progress.add_task("replay", total=sum(capture.stat().st_size for capture in captures))
        try:
            summary = replay(captures, out, settings, lambda count: progress.advance(task, count))
        except OSError as error:
            raise MtsError(f"replay: {error}; check the folder {out} and the captures") from error
    for text in (*summary.truncated, *_dead_letters(summary)):
        click.echo(f"warning: {text}", err=True)
    click.echo(json.dumps(summary.as_json()) if as_json else _text(summary, out))


def _dead_letters(summary: Summary) -> Iterator[str]:
    """What most dead letters have in common, in one line, if there are any."""
    for reason, count in summary.dead_by_reason.most_common(1):
        hint = f": {HINTS[reason]}" if reason in HINTS else f": see {DEAD_LETTERS_FILE}"
        yield f"{summary.dead} dead letters, mostly {reason} ({count}){hint}"


def _text(summary: Summary, out: Path) -> str:
    rest = summary.records - summary.evaluated - summary.dead
    lines = [f"{summary.records} records = {summary.evaluated} evaluated + {rest} not + {summary.dead} dead letters"]
    written = summary.written + Counter({DEAD_LETTERS_FILE: summary.dead})
    lines += [f"{written[name]:>9} in {out / name}" for name in sorted(FILES)]
    return "\n".join(lines)
