"""What a download of one artifact is, whoever does it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

DOWNLOAD_TIMEOUT_S = 10  # of a connection, and of a silence within one

Advance = Callable[[int], None]


class Fetcher(Protocol):
    """Downloads one artifact into the repository directory it was made for."""

    @property
    def origin(self) -> str:
        """Where the artifacts come from, for messages."""

    def fetch(self, coordinate: str, advance: Advance) -> Path:
        """Download `group:artifact:version` and give the path of its jar."""
