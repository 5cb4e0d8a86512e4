"""A session's own connection: what its statements leave behind stays, what a request brings along goes again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Protocol

from mts_stream.local.gateway.sql import identifier, literal

DRAINS_MAX = 3
DRAIN_SQL, DRAINED = "SELECT 'drained'", b"drained\n"


class Connection(Protocol):
    """What is used of a chdb connection."""

    def query(self, sql: str, output_format: str = ..., /, *, params: Mapping[str, str] | None = ...) -> Any:
        """Run a statement."""

    def close(self) -> None:
        """Give it up."""


class OwnConnection:
    """Runs one session's statements; `usable` is False once an error has left it in a state that nobody knows."""

    def __init__(self, connection: Connection, bounds: Mapping[str, object]) -> None:
        self._connection = connection
        self.usable = True
        for name, value in bounds.items():
            connection.query(_set(name, str(value)))

    def run(
        self, sql: str, output_format: str, params: Mapping[str, str], settings: Mapping[str, str], database: str
    ) -> Any:
        """Run a statement with settings and, unless empty, a database that are this request's alone."""
        undo: list[str] = []
        try:
            if settings:
                undo += self._settings_now(settings)
            for name, value in settings.items():
                self._connection.query(_set(name, value))
            if database:
                now = self._connection.query("SELECT currentDatabase()", "TSVRaw").bytes().decode().rstrip("\n")
                undo.append(f"USE {identifier(now)}")
                self._connection.query(f"USE {identifier(database)}")
            return self._connection.query(sql, output_format, params=dict(params))
        except BaseException:
            self.usable = self._is_drained()
            raise
        finally:
            self._undo(undo)

    def close(self) -> None:
        """Give it up, with all that was left behind."""
        self._connection.close()

    def _settings_now(self, names: Mapping[str, str]) -> list[str]:
        """The statements that bring these settings back to what they are."""
        listed = ", ".join(literal(name) for name in names)
        asked = f"SELECT name, value, changed FROM system.settings WHERE name IN ({listed})"  # noqa: S608 (literals)
        lines = self._connection.query(asked, "JSONCompactEachRow").bytes().splitlines()
        return [_set(name, value if changed else None) for name, value, changed in map(json.loads, lines)]

    def _is_drained(self) -> bool:
        """Take what a failed query had already produced, which chdb hands to the connection's next one."""
        try:
            answers = (self._connection.query(DRAIN_SQL, "TSVRaw").bytes() for _ in range(DRAINS_MAX))
            return any(answer == DRAINED for answer in answers)
        except Exception:
            return False

    def _undo(self, statements: list[str]) -> None:
        try:
            for statement in statements if self.usable else ():
                self._connection.query(statement)
        except Exception:  # what the statement itself answered counts; the session ends with it
            self.usable = False


def _set(name: str, value: str | None) -> str:
    return f"SET {name} = {'DEFAULT' if value is None else literal(value)}"
