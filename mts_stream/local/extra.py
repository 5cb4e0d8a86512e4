"""The optional packages of the extra `[local]`."""

from __future__ import annotations

from mts_stream.errors import LocalPartError


def missing_extra(package: str) -> LocalPartError:
    """The error for a package of the extra that is not installed."""
    return LocalPartError(
        f"the local Kafka and ClickHouse need the Python package `{package}`, which is not installed here: "
        "`pip install 'mts-stream[local]'`"
    )
