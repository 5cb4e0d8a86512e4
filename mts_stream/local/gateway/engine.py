"""The embedded ClickHouse: one path per process, a bounded pool of connections, a bounded number of queries at once.

chdb hands what a failed query had already produced to the next query of the same connection, so a connection that
raised is thrown away (a session's own is drained). Settings are put on a connection before its query and taken off
before the next.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from mts_stream.errors import LocalPartError
from mts_stream.local.extra import missing_extra
from mts_stream.local.gateway.errors import TOO_MANY_SIMULTANEOUS_QUERIES, from_engine, refused
from mts_stream.local.gateway.own_connection import Connection, OwnConnection
from mts_stream.local.gateway.policy import LIMITS
from mts_stream.local.gateway.sessions import Session
from mts_stream.local.gateway.sql import identifier, literal

DATABASE_DEFAULT = "default"
WORKERS_MAX = 4
IDLE_MAX = 8
WAITING_MAX = 64
MEMORY_BYTES_DEFAULT = 1_000_000_000
# Fewer threads and smaller caches than a server's, and fewer, larger merges.
ENGINE_OPTIONS = {
    "mark_cache_size": 64 << 20, "background_pool_size": 2, "background_schedule_pool_size": 4,
    "config-file": str(Path(__file__).with_name("tables.xml")),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Statement:
    """What the engine runs: text, output format, parameters, and the state of the connection it needs.

    `settings` are the request's `asked` ones and the user's bounds; an empty `database` is the session's or `default`.
    """

    sql: str
    format: str = "TabSeparated"
    params: Mapping[str, str] = field(default_factory=dict)
    database: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    asked: frozenset[str] = frozenset()
    readonly: int = 0  # ClickHouse's setting: 1 reads only, 2 reads and may change settings
    changes_session: bool = False
    session: Session | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """A statement's output and its figures."""

    data: bytes
    rows_read: int
    bytes_read: int
    elapsed_ns: int


@dataclass(slots=True)
class _Pooled:
    """A connection and the state that it is in."""

    connection: Connection
    database: str = DATABASE_DEFAULT
    settings: dict[str, str] = field(default_factory=dict)
    readonly: int = 0


class Engine:
    """Runs statements on one chdb path; several at once, each on a connection of its own.

    `BACKUP ... TO File('name')` and `RESTORE` find their copies in `backups`, and nowhere else.
    """

    def __init__(self, path: Path, backups: Path, *, memory_bytes: int = MEMORY_BYTES_DEFAULT) -> None:
        self._path = os.path.realpath(path)
        allowed = {"backups.allowed_path": os.path.realpath(backups)}
        options = {"max_server_memory_usage": memory_bytes, **allowed, **ENGINE_OPTIONS}
        self._root = _connect(f"{self._path}?{urlencode(options)}", path)
        self._idle: list[_Pooled] = []
        self._lock = threading.Lock()
        self._executor = ThreadPoolExecutor(WORKERS_MAX, "chdb")
        self._in_flight = 0
        self.version = self._ask("SELECT version()")[0]
        self.timezone = self._ask("SELECT timezone()")[0]
        self.settings = frozenset(self._ask("SELECT name FROM system.settings"))
        self.table_functions = frozenset(self._ask("SELECT name FROM system.table_functions"))

    async def run(self, statement: Statement) -> Result:
        """Run a statement in a worker thread; `QueryError` when it fails or too many wait already."""
        if self._in_flight >= WORKERS_MAX + WAITING_MAX:
            code = TOO_MANY_SIMULTANEOUS_QUERIES
            raise refused(code, f"Too many simultaneous queries: {self._in_flight}", "TOO_MANY_SIMULTANEOUS_QUERIES")
        self._in_flight += 1
        task = asyncio.get_running_loop().run_in_executor(self._executor, self._run, statement)
        task.add_done_callback(self._finished)
        return await asyncio.shield(task)

    @property
    def busy(self) -> bool:
        """Whether a statement is running or waiting."""
        return self._in_flight > 0

    def close(self) -> None:
        """Give up all connections; to be called when nothing runs."""
        self._executor.shutdown(wait=False, cancel_futures=True)
        for pooled in self._idle:
            pooled.connection.close()
        self._idle.clear()
        self._root.close()

    def _finished(self, _: object) -> None:
        self._in_flight -= 1

    def _ask(self, sql: str) -> list[str]:
        text: bytes = self._root.query(sql, "TabSeparated").bytes()
        return text.decode().splitlines()

    def _run(self, statement: Statement) -> Result:
        session = statement.session
        if session is not None and (session.own is not None or statement.changes_session):
            return self._run_in_session(statement, session)
        pooled = self._take(statement)
        try:
            self._prepare(pooled, statement)
            answer = pooled.connection.query(statement.sql, statement.format, params=dict(statement.params))
            result = _result(answer)
        except BaseException as error:
            with suppress(Exception):
                pooled.connection.close()
            raise from_engine(error) from error
        self._give_back(pooled, keep=not statement.changes_session)
        return result

    def _run_in_session(self, statement: Statement, session: Session) -> Result:
        own = session.own
        try:
            if own is None:
                own = session.own = OwnConnection(_connect(self._path, Path(self._path)), LIMITS)
            asked = {name: value for name, value in statement.settings.items() if name in statement.asked}
            answer = own.run(statement.sql, statement.format, statement.params, asked, statement.database)
            return _result(answer)
        except BaseException as error:
            raise from_engine(error) from error
        finally:
            session.lost = own is not None and not own.usable

    def _take(self, statement: Statement) -> _Pooled:
        """An idle connection that can be brought into the state wanted, else a new one."""
        with self._lock:
            # Read-only is for ever, and so are the settings of a read-only connection: those have to fit exactly.
            fitting = [
                pooled
                for pooled in self._idle
                if pooled.readonly == statement.readonly
                and (not pooled.readonly or _state(pooled) == (_database(statement), dict(statement.settings)))
            ]
            if fitting:
                self._idle.remove(fitting[-1])
                return fitting[-1]
        return _Pooled(_connect(self._path, Path(self._path)))

    def _prepare(self, pooled: _Pooled, statement: Statement) -> None:
        if pooled.readonly:
            return
        query = pooled.connection.query
        if pooled.database != _database(statement):
            query(f"USE {identifier(_database(statement))}")
            pooled.database = _database(statement)
        for name in pooled.settings.keys() - statement.settings.keys():
            query(f"SET {name} = DEFAULT")
            del pooled.settings[name]
        for name, value in statement.settings.items():
            if pooled.settings.get(name) != value:
                query(f"SET {name} = {literal(value)}")
                pooled.settings[name] = value
        if statement.readonly:
            query(f"SET readonly = {statement.readonly}")
            pooled.readonly = statement.readonly

    def _give_back(self, pooled: _Pooled, *, keep: bool) -> None:
        dropped: _Pooled | None = pooled
        with self._lock:
            if keep:
                self._idle.append(pooled)
                dropped = self._idle.pop(0) if len(self._idle) > IDLE_MAX else None
        if dropped is not None:
            dropped.connection.close()


def _database(statement: Statement) -> str:
    return statement.database or DATABASE_DEFAULT


def _result(answer: Any) -> Result:
    data = answer.bytes() or b""
    return Result(data, answer.rows_read(), answer.bytes_read(), int(answer.elapsed() * 1e9))


def _state(pooled: _Pooled) -> tuple[str, dict[str, str]]:
    return pooled.database, pooled.settings


def _connect(address: str, path: Path) -> Connection:
    try:
        import chdb
    except ImportError as error:
        raise missing_extra("chdb") from error
    try:
        connection: Connection = chdb.connect(address)
    except Exception as error:
        raise _cannot_open(path, error) from error
    return connection


def _cannot_open(path: Path, error: Exception) -> LocalPartError:
    # The engine gives no reason when another process has the path: "Error initializing EmbeddedServer: .".
    lines = str(error).splitlines() or [type(error).__name__]
    return LocalPartError(
        f"ClickHouse cannot open {path}: another process uses it, or it cannot be written ({lines[0][:200]}); "
        "end the other one or choose another directory with --data"
    )
