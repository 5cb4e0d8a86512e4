"""How the producers' commands tell an error of ours."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from mts_stream.errors import MtsError


@contextmanager
def told() -> Iterator[None]:
    """An error of ours is one line and its exit code."""
    try:
        yield
    except MtsError as error:
        click.echo(f"producers: {error}", err=True)
        sys.exit(error.exit_code)
