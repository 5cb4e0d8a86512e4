"""`mts-stream doctor`."""

import json
from collections.abc import Iterator
from typing import NamedTuple

import click

from mts_stream.commands.checks import CHECKS
from mts_stream.errors import MtsError
from mts_stream.settings import Settings, load_settings


class Finding(NamedTuple):
    """One line of the doctor: what was looked at, whether it is well, and what was seen or is to be done."""

    name: str
    ok: bool
    text: str


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_context
def doctor(ctx: click.Context, as_json: bool) -> None:
    """Look at everything MTS Stream needs, one line each; exit 1 when something is wrong."""
    all_well = True
    for finding in findings(load_settings()):
        all_well &= finding.ok
        click.echo(json.dumps(finding._asdict()) if as_json else line_of(finding))
    ctx.exit(0 if all_well else 1)


def findings(settings: Settings) -> Iterator[Finding]:
    """Every check in turn; one that raises is not well, and its error says what to do."""
    for name, check in CHECKS.items():
        try:
            yield Finding(name, True, check(settings))
        except MtsError as error:
            yield Finding(name, False, " ".join(str(error).split()))


def line_of(finding: Finding) -> str:
    """One finding for people."""
    return f"{'ok  ' if finding.ok else 'FAIL'} {finding.name:<16} {finding.text}"
