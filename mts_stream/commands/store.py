"""`mts-stream migrate`."""

import asyncio
import json
from typing import TYPE_CHECKING

import click

from mts_stream.errors import StoreError, UsageError
from mts_stream.settings import Settings, load_settings

if TYPE_CHECKING:
    from mts_stream.clickhouse.runner import Difference

LOCK_WAIT_S = 120.0  # longer than the lock of a process that died stands


@click.command()
@click.option("--check", is_flag=True, help="Only say what lacks; exit code 1 where anything does.")
@click.option("--to", type=click.IntRange(min=1), metavar="N", help="Apply no migration beyond number N.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def migrate(check: bool, to: int | None, as_json: bool) -> int:
    """Apply the numbered migrations that ClickHouse does not have yet, and the retention that the settings want.

    One process at a time: others wait. A migration that failed halfway says how far it came, and is run again.
    """
    from mts_stream.clickhouse import runner
    from mts_stream.logs import configure_logging

    settings = load_settings()
    configure_logging(settings, "migrate")
    known = len(runner.read_migrations())
    if to is not None and to > known:
        raise UsageError(f"--to {to}: the last migration is number {known}")
    if check:
        return _tell(asyncio.run(runner.check(settings, to)), settings, as_json)
    return _apply(settings, to, as_json)


def _apply(settings: Settings, to: int | None, as_json: bool) -> int:
    from mts_stream.clickhouse import runner

    applied: list[str] = []
    try:
        asyncio.run(runner.migrate(settings, to=to, wait_s=LOCK_WAIT_S, on_applied=applied.append))
    except StoreError as error:
        if as_json:
            click.echo(json.dumps({"applied": applied, "failed": str(error)}))
        elif applied:
            click.echo(f"applied {', '.join(applied)}, then failed")
        raise
    if as_json:
        click.echo(json.dumps({"applied": applied}))
    else:
        upto = "" if to is None else f" as far as {to:04d}"
        done = f"{settings.clickhouse_database} is up to date{upto}"
        click.echo(f"applied {', '.join(applied)}" if applied else done)
    return 0


def _tell(lacks: "Difference", settings: Settings, as_json: bool) -> int:
    if as_json:
        click.echo(json.dumps({"pending": lacks.pending, "retention": lacks.retention}))
    elif not lacks:
        click.echo(f"{settings.clickhouse_database} is up to date")
    else:
        lines = [f"{name} is not applied" for name in lacks.pending]
        lines += [f"{table} should keep its rows for {days} days" for table, days in lacks.retention.items()]
        click.echo("\n".join(lines))
    return 1 if lacks else 0
