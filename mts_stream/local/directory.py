"""The one directory that the local parts live in: their data and logs, who runs them, and at which addresses.

`kafka/`, `clickhouse/`, `logs/`; `lock`, held by the one process that runs the parts; `state.json`, which says who that
is, its children and their addresses; `ended`, the line that says why the parts ended when nobody had asked for it.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from mts_stream.errors import LocalPartError
from mts_stream.local.disk import disk_errors
from mts_stream.local.identity import ProcessIdentity


@dataclass(frozen=True, slots=True)
class RunState:
    """Who runs the parts of a directory, and where they answer; the addresses are empty until they do."""

    owner: ProcessIdentity
    children: Mapping[str, ProcessIdentity] = field(default_factory=dict)
    kafka: str = ""
    clickhouse: str = ""

    @property
    def ready(self) -> bool:
        """Whether the owner lives and the parts have answered."""
        return bool(self.kafka and self.clickhouse) and self.owner.alive


class DataDirectory:
    """The paths under one directory, its lock and its state file."""

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().resolve()
        self._lock_file: IO[str] | None = None

    @property
    def kafka(self) -> Path:
        """Where the broker keeps its files."""
        return self.path / "kafka"

    @property
    def clickhouse(self) -> Path:
        """Where the tables are."""
        return self.path / "clickhouse"

    @property
    def logs(self) -> Path:
        """Where every process writes its log."""
        return self.path / "logs"

    @property
    def supervisor_log(self) -> Path:
        """Where the supervisor of `mts-stream local up` writes."""
        return self.logs / "supervisor.log"

    def acquire(self) -> None:
        """Take the directory for this process; ends what a killed run left; `LocalPartError` when somebody has it."""
        with disk_errors(self.path):
            self.logs.mkdir(parents=True, exist_ok=True)
            # The kernel drops the lock with its holder, however that ends, so a killed run leaves none behind.
            lock_file = (self.path / "lock").open("a")
        try:
            fcntl.flock(lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock_file.close()
            raise LocalPartError(self._in_use()) from error
        self._lock_file = lock_file
        self._end_leftovers()
        with disk_errors(self.path):
            self._ended_path.unlink(missing_ok=True)
        self.write_state(RunState(_own_identity()))

    def release(self) -> None:
        """Give the directory back."""
        if self._lock_file is not None:
            self._state_path.unlink(missing_ok=True)
            self._lock_file.close()
            self._lock_file = None

    def write_state(self, state: RunState) -> None:
        """Replace the state file."""
        with disk_errors(self._state_path):
            temporary = self._state_path.with_suffix(".new")
            temporary.write_text(json.dumps(asdict(state)))
            temporary.replace(self._state_path)

    def publish(self, children: Mapping[str, int], *, kafka: str, clickhouse: str) -> None:
        """Write down the children of this process and their addresses."""
        known = {name: ProcessIdentity.of(pid) for name, pid in children.items()}
        alive = {name: identity for name, identity in known.items() if identity is not None}
        self.write_state(RunState(_own_identity(), alive, kafka, clickhouse))

    def read_state(self) -> RunState | None:
        """What the state file says, None when there is none; an unreadable one is none."""
        try:
            with disk_errors(self._state_path):
                text = self._state_path.read_text() if self._state_path.exists() else ""
            return _parse_state(json.loads(text))
        except (ValueError, KeyError, TypeError, AttributeError):
            # Written whole or not at all by us: what cannot be read is somebody else's and says nothing.
            return None

    def write_unasked_end(self, reason: str) -> None:
        """Keep why the parts have ended unasked, until they run again."""
        with disk_errors(self._ended_path):
            self._ended_path.write_text(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC, {reason}\n")

    def unasked_end(self) -> str | None:
        """When and why the parts of the last run have ended, where nobody had asked for it; None else."""
        state = self.read_state()
        if state is not None and not state.owner.alive:
            return f"process {state.owner.pid}, which ran them, was killed (or the machine was restarted)"
        with disk_errors(self._ended_path):
            text = self._ended_path.read_text(errors="replace") if self._ended_path.exists() else ""
        return text.strip() or None

    @property
    def _ended_path(self) -> Path:
        return self.path / "ended"

    @property
    def _state_path(self) -> Path:
        return self.path / "state.json"

    def _end_leftovers(self) -> None:
        """End the children of a run that was killed, where they have not died with it."""
        state = self.read_state()
        for identity in state.children.values() if state else ():
            identity.end()

    def _in_use(self) -> str:
        state = self.read_state()
        holder = f"process {state.owner.pid}" if state else "another process"
        return (
            f"{self.path} is in use by {holder}: end it (`mts-stream local down --data {self.path}` "
            "if it is one of `local up`) or choose another directory with --data"
        )


def _own_identity() -> ProcessIdentity:
    identity = ProcessIdentity.of(os.getpid())
    assert identity is not None, "this process runs"
    return identity


def _parse_state(content: dict[str, object]) -> RunState:
    owner, children = content["owner"], content["children"]
    if not isinstance(owner, dict) or not isinstance(children, dict):
        raise TypeError("owner and children are objects")
    return RunState(
        owner=ProcessIdentity(**owner),
        children={name: ProcessIdentity(**identity) for name, identity in children.items()},
        kafka=str(content["kafka"]),
        clickhouse=str(content["clickhouse"]),
    )
