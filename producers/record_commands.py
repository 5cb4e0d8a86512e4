"""`python -m producers record` and `import`: the raw log, or third-party captures, as capture files."""

import asyncio
import signal
import sys
import time
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from pathlib import Path
from types import FrameType
from typing import Any

import click
import orjson
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TransferSpeedColumn,
)

from mts_stream.logs import configure_logging
from mts_stream.settings import Settings, load_settings
from producers.captures import Rotation
from producers.importers import FORMATS
from producers.importers.assembly import Listed
from producers.importers.importing import ImportOptions, check_output, import_capture
from producers.loop import run_async
from producers.recorder import KafkaRecorder, LiveRecorder, prepare_directory
from producers.told import told

MIB = 2**20


def _print(line: dict[str, Any]) -> None:
    click.echo(orjson.dumps(line).decode())
    sys.stdout.flush()


class RecordingView:
    """Records, bytes on disk and records per second, in a terminal."""

    def __init__(self, duration_s: float | None, *, hidden: bool) -> None:
        self._duration_s, self._began_s = duration_s, time.monotonic()
        columns = (TextColumn("recording"), BarColumn(), TextColumn("{task.fields[told]}"), TimeElapsedColumn())
        console = Console(stderr=True)
        self._progress = Progress(*columns, console=console, transient=True, disable=hidden or not console.is_terminal)
        self._task: TaskID = self._progress.add_task("record", total=duration_s, told="waiting")
        self._last = self._began_s, 0
        self._rate = 0.0

    def update(self, records: int, size_bytes: int) -> None:
        """Show the newest counts."""
        now_s = time.monotonic()
        if now_s - self._last[0] >= 1:
            self._rate = (records - self._last[1]) / (now_s - self._last[0])
            self._last = now_s, records
        told = f"{records:,} records  {size_bytes / MIB:,.1f} MiB  {self._rate:,.0f} records/s"
        self._progress.update(self._task, completed=now_s - self._began_s, told=told)

    def __enter__(self) -> "RecordingView":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()


@click.command()
@click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder for the captures.")
@click.option(
    "--from", "origin", type=click.Choice(["kafka", "live"]), default="kafka", show_default=True,
    help="The raw log in Kafka, or the venues' own feeds without Kafka.",
)  # fmt: skip
@click.option("--from-beginning", is_flag=True, help="From Kafka: everything it still has, not from now on alone.")
@click.option("--duration", type=click.FloatRange(min=0, min_open=True), help="Seconds; without it until Ctrl-C.")
@click.option("--rotate-mb", type=click.FloatRange(min=0, min_open=True), help="A new file at so many MiB on disk.")
@click.option("--rotate-s", type=click.FloatRange(min=0, min_open=True), help="A new file after so many seconds.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON line when ready and one at the end.")
def record(
    out: Path, origin: str, from_beginning: bool, duration: float | None, rotate_mb: float | None,
    rotate_s: float | None, as_json: bool,
) -> None:  # fmt: skip
    """Write the raw log into capture files: one row of files per partition, capture-<partition>-<nnnn>.jsonl.zst.

    The files of a partition, joined in their order (cat), are one capture. A pair's records before its first
    registry record (it comes every 60 s) are dead letters in a replay.
    """
    if from_beginning and origin == "live":
        raise click.UsageError("--from-beginning goes with --from kafka alone")
    rotation = Rotation(None if rotate_mb is None else int(rotate_mb * MIB), rotate_s)
    with told():
        settings = load_settings()
        configure_logging(settings, "recorder")
        prepare_directory(out)
        with RecordingView(duration, hidden=as_json) as view:
            if origin == "kafka":
                recorder = KafkaRecorder(settings, out, rotation, from_beginning)
                summary = _record_kafka(recorder, duration, _ready(origin, out, as_json), view)
            else:
                live = LiveRecorder(settings, out, rotation)
                summary = run_async(_record_live(live, duration, _ready(origin, out, as_json), view))
    if as_json:
        _print({"event": "done"} | summary)
    else:
        click.echo(f"{summary['records']} records in {summary['files']} files, {summary['bytes']} bytes, in {out}")


def _ready(origin: str, out: Path, as_json: bool) -> Callable[[], None]:
    def ready() -> None:
        if as_json:
            _print({"event": "ready", "from": origin, "out": str(out)})

    return ready


class _Stop:
    """Set by Ctrl-C or SIGTERM, or when the time is over."""

    def __init__(self, duration_s: float | None) -> None:
        self._duration_s = duration_s
        self._end_s: float | None = None
        self._is_asked = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._ask)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self._is_asked = True

    def begin(self) -> None:
        """The time runs from now on."""
        if self._duration_s is not None:
            self._end_s = time.monotonic() + self._duration_s

    def is_due(self) -> bool:
        """Whether to end."""
        return self._is_asked or (self._end_s is not None and time.monotonic() >= self._end_s)


def _record_kafka(
    recorder: KafkaRecorder, duration_s: float | None, ready: Callable[[], None], view: RecordingView
) -> dict[str, Any]:
    stop = _Stop(duration_s)

    def on_ready() -> None:
        stop.begin()
        ready()

    recorder.run(stop.is_due, on_ready, view.update)
    return recorder.summary()


async def _record_live(
    recorder: LiveRecorder, duration_s: float | None, ready: Callable[[], None], view: RecordingView
) -> dict[str, Any]:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)

    def on_ready() -> None:
        if duration_s is not None:
            loop.call_later(duration_s, stop.set)
        ready()

    await recorder.run(stop, on_ready, view.update)
    return recorder.summary()


class _Positive(click.ParamType):
    name = "decimal"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Decimal:
        """A decimal above 0."""
        try:
            number = Decimal(value)
        except InvalidOperation:
            number = Decimal("NaN")
        if not number.is_finite() or number <= 0:
            self.fail(f"{value!r} is no number above 0", param, ctx)
        return number


@click.command("import")
@click.argument("path", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--format", "format_name", required=True, type=click.Choice(sorted(FORMATS)), help="What PATH is.")
@click.option("--out", required=True, type=click.Path(path_type=Path, dir_okay=False), help="The capture to write.")
@click.option("--market", type=click.Choice(["spot", "perp"]), help="What PATH holds; seen from it where possible.")
@click.option("--pair", help="Our name of the pair, such as BTC-USDT; read from the symbol where possible.")
@click.option("--tick-size", type=_Positive(), help="As the venue lists it; else the finest decimal of the first book.")
@click.option("--lot-size", type=_Positive(), help="As the venue lists it; else the finest decimal of the first book.")
@click.option("--min-notional", type=_Positive(), default="0.01", show_default=True, help="As the venue lists it.")
@click.option("--funding-interval-hours", type=click.IntRange(1, 24), help="As the venue lists it.")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON instead of the summary.")
def import_command(
    path: Path, format_name: str, out: Path, market: str | None, pair: str | None, tick_size: Decimal | None,
    lot_size: Decimal | None, min_notional: Decimal, funding_interval_hours: int | None, as_json: bool,
) -> None:  # fmt: skip
    """Turn a third-party capture into one of ours, which `mts-stream replay` reads."""
    with told():
        settings = load_settings()
        configure_logging(_quiet(settings), "import")
        check_output(out)
        listed = Listed(pair, tick_size, lot_size, min_notional, funding_interval_hours)
        options = ImportOptions(market, listed, settings.keyframe_interval_s)
        columns = (TextColumn("import"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        console = Console(stderr=True)
        is_hidden = as_json or not console.is_terminal
        with Progress(*columns, console=console, transient=True, disable=is_hidden) as progress:
            task = progress.add_task("import", total=path.stat().st_size)
            counts = import_capture(FORMATS[format_name], path, out, options, lambda n: progress.advance(task, n))
    if counts["broken"]:
        click.echo(f"warning: {path}: {counts['broken']}", err=True)
    if as_json:
        _print({"event": "done"} | counts)
    else:
        click.echo(_text(counts, out))


def _quiet(settings: Settings) -> Settings:
    """An import looks back: what a live feed would announce at INFO is no news."""
    return settings.model_copy(update={"log_level": "WARNING"}) if settings.log_level == "INFO" else settings


def _text(counts: dict[str, Any], out: Path) -> str:
    what = f"{counts['venue']} {counts['market']} {counts['symbol']} = {counts['pair']}"
    lines = [f"{what}: {counts['lines']} lines, {counts['records']} records in {out}"]
    lines += [f"{number:>9} {kind} written" for kind, number in counts["by_kind"].items()]
    lines += [f"{number:>9} {kind} dropped" for kind, number in counts["dropped"].items()]
    lines.append(f"{counts['resyncs']:>9} times out of step, {counts['frames_without_book']} frames without a book")
    return "\n".join(lines)
