"""A worker's name in its group, of its own and kept in its data directory, so that after a kill it is known again.

A member without one that is killed is waited for: its partitions, and whoever comes, stand still until its session
has timed out. Two workers of one directory cannot have one name: the second one goes without.
"""

import fcntl
import os
import uuid
from pathlib import Path

from mts_stream.logs import get_logger

NAME_FILE = "instance-id"
NAME_BYTES_MAX = 200

log = get_logger("mts_stream.instance")


class OwnInstanceId:
    """Holds the name for as long as this object, or its process, lives; `name` is empty where it could not be had."""

    def __init__(self, directory: Path) -> None:
        self.name = ""
        self._file: int | None = None
        try:
            self._file = os.open(directory / NAME_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.name = self._read_or_write()
        except OSError as error:
            log.warning("no name of its own in the group", directory=str(directory), error=str(error))

    def close(self) -> None:
        """Let another process have the name."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _read_or_write(self) -> str:
        assert self._file is not None
        name = os.read(self._file, NAME_BYTES_MAX).decode(errors="replace").strip()
        if not name:
            name = f"mts-{uuid.uuid4().hex}"
            os.write(self._file, name.encode())
        return name
