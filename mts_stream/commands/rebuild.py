"""`mts-stream rebuild`."""

import asyncio
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from mts_stream.errors import UsageError
from mts_stream.settings import load_settings

if TYPE_CHECKING:
    from mts_stream.clickhouse.rebuild import Outcome, Rebuilt


@click.command()
@click.option("--from", "since", metavar="DATE", help="Read the topics from this UTC date or time on; older rows stay.")
@click.option("--table", "tables", multiple=True, metavar="T", help="This table alone; can be said again.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def rebuild(since: str | None, tables: tuple[str, ...], as_json: bool) -> None:
    """Make ClickHouse's tables anew out of the result topics, and put them in the place of the old ones.

    Stop the sink first. Rows that are past the topics' retention are carried over. Shown are the rows and the checksum
    of each table before and after: they are equal where the store held exactly what it should.
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
    columns = (TextColumn("rebuild"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=as_json or not console.is_terminal) as progress:
        task = progress.add_task("rebuild", total=None)
        outcome = asyncio.run(
            rebuilding.rebuild(
                settings, frozenset(tables or known), from_ms=None if since is None else _milliseconds(since),
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
        "tables": {
            each.table: {
                "rows_before": each.before.rows, "checksum_before": each.before.checksum, "rows_read": each.read,
                "rows_after": each.after.rows, "checksum_after": each.after.checksum, "equal": each.equal,
            }
            for each in outcome.tables
        },
    }  # fmt: skip


def _text(outcome: "Outcome") -> str:
    head = f"{'table':<19}{'before':>11}  {'checksum':<18}{'after':>11}  {'checksum':<18}{'from topics':>11}"
    refused = f", {outcome.refused} of them fit no table" if outcome.refused else ""
    return "\n".join([head, *map(_line, outcome.tables), f"{outcome.records} messages read{refused}"])


def _line(each: "Rebuilt") -> str:
    before, after = (f"{digest.rows:>11}  {digest.checksum:<18}" for digest in (each.before, each.after))
    return f"{each.table:<19}{before}{after}{each.read:>11}  {'equal' if each.equal else 'changed'}"
