"""`mts-stream schema export`."""

import json
from pathlib import Path

import click

from mts_stream.errors import UsageError


@click.group()
def schema() -> None:
    """The contract of the result topics."""


@schema.command()
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), help="Where to; without it where they are checked in."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def export(out: Path | None, as_json: bool) -> None:
    """Write the JSON Schemas of all messages, and the AsyncAPI document."""
    from mts_stream.wire.schema_export import SCHEMAS, export_schemas

    folder = out or SCHEMAS
    try:
        paths = export_schemas(folder)
    except OSError as error:
        raise UsageError(
            f"--out {folder}: {error.strerror or error}; choose a directory that can be written"
        ) from error
    if as_json:
        click.echo(json.dumps({"written": [str(path) for path in paths]}))
    else:
        click.echo(f"wrote {len(paths)} files to {folder}")
