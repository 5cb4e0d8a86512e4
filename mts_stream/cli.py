"""`mts-stream`: one command for everything that is not a worker or a producer."""

import click


@click.group()
def main() -> None:
    """MTS Stream."""
