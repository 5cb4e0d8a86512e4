"""`mts-stream show-config`."""

import json
import shlex

import click
from pydantic import SecretStr

from mts_stream.settings import Settings, load_settings

MASK = "********"


@click.command("show-config")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def show_config(as_json: bool) -> None:
    """Show the settings in force, by their variables' names, as a shell reads them; secrets are masked."""
    values = shown_values(load_settings())
    if as_json:
        click.echo(json.dumps(values))
        return
    for name, value in values.items():
        click.echo(_line(name, value))


def shown_values(settings: Settings) -> dict[str, str]:
    """Every setting as text under its variable's name; a secret that is set shows as a mask."""
    return {name.upper(): _shown(getattr(settings, name)) for name in type(settings).model_fields}


def _line(name: str, value: str) -> str:
    """A masked secret is a comment: whoever sources the lines must not set the mask."""
    if value == MASK:
        return f"# {name}={MASK}"
    return f"{name}={shlex.quote(value) if value else ''}"


def _shown(value: object) -> str:
    if isinstance(value, SecretStr):
        return MASK if value.get_secret_value() else ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return "" if value is None else str(value)
