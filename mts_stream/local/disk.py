"""What the operating system refuses when files are written, in one line that says where and what to do."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mts_stream.errors import LocalPartError

NO_SPACE_TEXT = "No space left on device"
DATA_REMEDY = "or choose another directory with --data"


@contextmanager
def disk_errors(path: Path, remedy: str = DATA_REMEDY) -> Iterator[None]:
    """Turn an `OSError` of the block into a `LocalPartError` about `path`."""
    try:
        yield
    except OSError as error:
        raise LocalPartError(describe(error, path, remedy)) from error


def describe(error: OSError, path: Path, remedy: str = DATA_REMEDY) -> str:
    """One line about an error met while writing at `path`."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return no_space(path, remedy)
    return f"cannot write {path}: {error.strerror or error}; make it writable, {remedy}"


def no_space(path: Path, remedy: str = DATA_REMEDY) -> str:
    """The line for a full disk."""
    return f"no space left on the disk of {path}: free some room there, {remedy}"
