"""Who may do what: the writers `default` and `mts_writer`, the reader `mts_reader`, and GET, which never writes.

The same bounds as the roles of a server have: deploy/clickhouse/roles.sql.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mts_stream.local.gateway.errors import (
    AUTHENTICATION_FAILED,
    BAD_ARGUMENTS,
    NOT_IMPLEMENTED,
    READONLY,
    SYNTAX_ERROR,
    UNKNOWN_SETTING,
    QueryError,
    refused,
)
from mts_stream.local.gateway.sql import (
    FILE_FUNCTIONS,
    SAFE_TABLE_FUNCTIONS,
    Calls,
    is_read,
    is_several,
    keyword,
    names_files,
)

DEFAULT, WRITER, READER = "default", "mts_writer", "mts_reader"
READONLY_VALUES = frozenset({"0", "1", "2"})
PYTHON_CALL = Calls(frozenset({"python"}))
# Bounds of every query; a writer may set others, a reader smaller ones.
LIMITS: dict[str, int] = {"max_execution_time": 300, "max_result_bytes": 256 << 20}
READER_LIMITS: dict[str, int] = {
    "max_execution_time": 30,
    "max_result_bytes": 64 << 20,
    "max_result_rows": 1_000_000,
    "max_rows_to_read": 2_000_000_000,
    "max_memory_usage": 500_000_000,
    "max_threads": 2,
}
# Of readers together: the rest of the engine's workers stays free for inserts.
READERS_AT_ONCE = 2
READERS_MAX = 8  # with those that wait; max_concurrent_queries_for_user of the server's role
# What a reader may set besides: how results look, never what a query may do or use.
READER_SETTINGS_PREFIXES = ("output_format_", "format_csv_", "date_time_", "session_timezone", "final", "extremes")


@dataclass(frozen=True, slots=True)
class User:
    """Somebody that the gateway knows."""

    name: str
    reader: bool


USERS = {name: User(name, reader=name == READER) for name in (DEFAULT, WRITER, READER)}


def find_user(name: str) -> User:
    """The user of a name, `default` when it is empty; `QueryError` for anybody else."""
    user = USERS.get(name or DEFAULT)
    if user is None:
        raise refused(AUTHENTICATION_FAILED, f"{name}: Authentication failed: no such user", "AUTHENTICATION_FAILED")
    return user


class Policy:
    """Refuses what a user may not do; made for the settings and table functions that the engine has."""

    def __init__(self, known_settings: frozenset[str], table_functions: frozenset[str]) -> None:
        self._known_settings = known_settings
        outward = frozenset(name for name in table_functions if name.lower() not in SAFE_TABLE_FUNCTIONS)
        self._reader_calls = Calls(outward | FILE_FUNCTIONS)

    def check_statement(self, sql: bytes, user: User, *, may_write: bool) -> None:
        """`QueryError` for a statement that is not allowed: not for anybody, not for this user, or not by GET."""
        if names_files(sql) or PYTHON_CALL.first(sql):
            raise refused(NOT_IMPLEMENTED, "INTO OUTFILE, FROM INFILE and Python() are not served", "NOT_IMPLEMENTED")
        if keyword(sql) != b"INSERT" and is_several(sql):
            raise refused(SYNTAX_ERROR, "Multi-statements are not allowed", "SYNTAX_ERROR")
        if (user.reader or not may_write) and not is_read(sql):
            raise _readonly("Cannot execute query in readonly mode")
        if user.reader and (name := self._reader_calls.first(sql)):
            raise _readonly(f"Function {name} is not for readers")

    def settings(self, asked: Mapping[str, str], user: User) -> dict[str, str]:
        """The settings to run with: those asked for, and the bounds."""
        for name in asked:
            if name not in self._known_settings:
                text = f"Setting {name} is neither a builtin setting nor started with the prefix 'custom_'"
                raise refused(UNKNOWN_SETTING, text, "UNKNOWN_SETTING")
        if not user.reader:
            wanted = {name: value for name, value in asked.items() if name != "readonly"}
            return {**{name: str(value) for name, value in LIMITS.items()}, **wanted}
        return {**{name: str(value) for name, value in READER_LIMITS.items()}, **_reader_settings(asked)}

    def readonly(self, asked: Mapping[str, str], user: User, *, may_write: bool) -> int:
        """The engine's own `readonly` for a user and a request; more than it has to be where the request asks so."""
        if user.reader:
            return 1
        wanted = asked.get("readonly", "0")
        if wanted not in READONLY_VALUES:
            raise refused(BAD_ARGUMENTS, f"readonly is 0, 1 or 2, not '{wanted}'", "BAD_ARGUMENTS")
        return int(wanted) or (0 if may_write else 2)


def _reader_settings(asked: Mapping[str, str]) -> dict[str, str]:
    allowed: dict[str, str] = {}
    for name, value in asked.items():
        if name == "readonly":
            continue  # a reader is that already
        if name in READER_LIMITS:
            if not value.isdecimal() or not 0 < int(value) <= READER_LIMITS[name]:
                raise _readonly(f"Setting {name} is at most {READER_LIMITS[name]} for readers")
        elif not name.startswith(READER_SETTINGS_PREFIXES):
            raise _readonly(f"Cannot modify '{name}' setting in readonly mode")
        allowed[name] = value
    return allowed


def _readonly(message: str) -> QueryError:
    return refused(READONLY, message, "READONLY")
