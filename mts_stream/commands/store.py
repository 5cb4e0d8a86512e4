"""`mts-stream migrate`."""

import asyncio
import json

import click

from mts_stream.settings import load_settings


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def migrate(as_json: bool) -> None:
    """Apply the numbered migrations that ClickHouse does not have yet."""
    from mts_stream.clickhouse import runner
    from mts_stream.logs import configure_logging

    settings = load_settings()
    configure_logging(settings, "migrate")
    applied = asyncio.run(runner.migrate(settings))
    if as_json:
        click.echo(json.dumps({"applied": applied}))
    else:
        click.echo(f"applied {', '.join(applied)}" if applied else f"{settings.clickhouse_database} is up to date")
