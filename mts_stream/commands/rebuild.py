"""`mts-stream rebuild`."""

import asyncio
import json
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click

from mts_stream.errors import UsageError
from mts_stream.replay.captures import check_captures
from mts_stream.replay.command import percent_bar, replay_shown, warnings_of
from mts_stream.settings import load_settings

if TYPE_CHECKING:
    from mts_stream.clickhouse.rebuild import Outcome, Rebuilt


@click.command()
@click.argument("captures", nargs=-1, type=click.Path(path_type=Path))
@click.option("--from", "since", metavar="DATE", help="Read the topics from this UTC date or time on; older rows stay.")
@click.option("--table", "tables", multiple=True, metavar="T", help="This table alone; can be said again.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def rebuild(captures: tuple[Path, ...], since: str | None, tables: tuple[str, ...], as_json: bool) -> None:
    """Make ClickHouse's tables anew out of the result topics, and put them in the place of the old ones.

    Stop the sink first. Rows that are past the topics' retention are carried over, or come out of CAPTURES, which run
    through the engine under the settings of the environment; what a topic has too is taken from there. Shown are the
    rows and the checksum of each table before and after: they are equal where the store held exactly what it should.
    """
    from mts_stream.clickhouse import rebuild as rebuilding
    from mts_stream.logs import configure_logging
    from mts_stream.sinks.rows import FEEDS

    settings = load_settings()
    configure_logging(settings, "rebuild")
    known = [table for filled in FEEDS.values() for table in filled]
    for table in tables:
        if table not in known:
            raise UsageError(f"--table {table}: there are {', '.join(known)}")
    from_ms = None if since is None else _milliseconds(since)
    check_captures(captures)
    with percent_bar(as_json) as progress, ExitStack() as stack:
        replayed = None
        if captures:
            rebuilding.refuse_while_the_sink_runs(settings)  # before the long work
            replayed = Path(stack.enter_context(TemporaryDirectory(prefix="mts-rebuild-")))
            for text in warnings_of(replay_shown(captures, replayed, settings, progress)):
                click.echo(f"warning: {text}", err=True)
        task = progress.add_task("rebuild", total=None)
        outcome = asyncio.run(
            rebuilding.rebuild(
                settings, frozenset(tables or known), from_ms=from_ms, replayed=replayed,
                on_progress=lambda read, of: progress.update(task, completed=read, total=of),
            )
        )  # fmt: skip
    click.echo(json.dumps(_as_json(outcome)) if as_json else _text(outcome))


def _milliseconds(text: str) -> int:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--from {text}: not a date or time, such as 2026-11-30 or 2026-11-30T08:00") from None
    return int((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() * 1000)


def _as_json(outcome: "Outcome") -> dict[str, Any]:
    return {
        "records": outcome.records,
        "refused": outcome.refused,
        "replayed": outcome.replayed,
        "tables": {
            each.table: {
                "rows_before": each.before.rows, "checksum_before": each.before.checksum, "rows_read": each.read,
                "rows_after": each.after.rows, "checksum_after": each.after.checksum, "equal": each.equal,
            }
            for each in outcome.tables
        },
    }  # fmt: skip


def _text(outcome: "Outcome") -> str:
    head = f"{'table':<19}{'before':>11}  {'checksum':<18}{'after':>11}  {'checksum':<18}{'read':>11}"
    refused = f", {outcome.refused} of them fit no table" if outcome.refused else ""
    replayed = f" and {outcome.replayed} results of captures" if outcome.replayed else ""
    return "\n".join([head, *map(_line, outcome.tables), f"{outcome.records} messages{replayed} read{refused}"])


def _line(each: "Rebuilt") -> str:
    before, after = (f"{digest.rows:>11}  {digest.checksum:<18}" for digest in (each.before, each.after))
    return f"{each.table:<19}{before}{after}{each.read:>11}  {'equal' if each.equal else 'changed'}"
