"""ClickHouse's HTTP interface over the embedded engine, for unmodified clients on this machine."""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import os
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from aiohttp import web

from mts_stream.local.gateway.compression import ANSWER_BYTES_MIN, choose, compress
from mts_stream.local.gateway.engine import Engine, Result, Statement
from mts_stream.local.gateway.errors import (
    BAD_ARGUMENTS,
    NOT_ENOUGH_SPACE,
    SYNTAX_ERROR,
    TOO_MANY_SIMULTANEOUS_QUERIES,
    UNKNOWN_EXCEPTION,
    QueryError,
    refused,
)
from mts_stream.local.gateway.instance import INSTANCE_HEADER
from mts_stream.local.gateway.policy import READERS_AT_ONCE, READERS_MAX, Policy, User, find_user
from mts_stream.local.gateway.request import BODY_BYTES_MAX, Query, query_id, read_query
from mts_stream.local.gateway.sessions import Session, Sessions
from mts_stream.local.gateway.sql import (
    Insert,
    changes_session,
    is_read,
    keyword,
    literal,
    output_format,
    split_insert,
)

SERVER_NAME = "mts-gateway"
LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "::1"})
CONTENT_TYPES = {
    "TabSeparated": "text/tab-separated-values; charset=UTF-8",
    "CSV": "text/csv; charset=UTF-8",
    "JSON": "application/json; charset=UTF-8",
    "JSONCompact": "application/json; charset=UTF-8",
    "JSONEachRow": "application/x-ndjson; charset=UTF-8",
    "Native": "application/octet-stream",
    "RowBinary": "application/octet-stream",
    "Arrow": "application/vnd.apache.arrow.file",
    "ArrowStream": "application/vnd.apache.arrow.stream",
    "Parquet": "application/vnd.apache.parquet",
}
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    """A query's result and what its headers say."""

    result: Result
    format: str | None  # None when the statement gives no rows
    written: bool


class Server:
    """Answers the requests of one engine; `scratch` is a directory for the data of inserts under way.

    `instance` is what /ping says in a header, for a parent to know it by.
    """

    def __init__(self, engine: Engine, scratch: Path, instance: str = "") -> None:
        self._instance = instance
        self._engine = engine
        self._scratch = scratch
        self._policy = Policy(engine.settings, engine.table_functions)
        self._sessions = Sessions(time.monotonic)
        self._reader_turns = asyncio.Semaphore(READERS_AT_ONCE)
        self._readers = 0

    def application(self) -> web.Application:
        """The aiohttp application."""
        application = web.Application(client_max_size=BODY_BYTES_MAX)
        application.router.add_get("/ping", self._ping)
        application.router.add_route("*", "/", self._handle)
        return application

    def close(self) -> None:
        """End all sessions; to be called when nothing runs, and before the engine is closed."""
        self._sessions.close()

    async def _ping(self, _: web.Request) -> web.Response:
        return web.Response(text="Ok.\n", headers={INSTANCE_HEADER: self._instance})

    async def _handle(self, request: web.Request) -> web.Response:
        identity = query_id(request)
        try:
            _refuse_foreign_pages(request)
            query = await read_query(request)
            if not query.sql.strip():
                return _empty(query)
            answer = await self._answer(query)
            return await self._respond(request, identity, answer)
        except QueryError as error:
            return self._failure(identity, error)
        except Exception as error:  # a bug of ours must reach the log and the client, and not end the gateway
            log.exception("a request failed inside the gateway")
            text = f"Code: {UNKNOWN_EXCEPTION}. DB::Exception: {error}. (UNKNOWN_EXCEPTION)"
            return self._failure(identity, QueryError(UNKNOWN_EXCEPTION, text))

    async def _answer(self, query: Query) -> Answer:
        user = find_user(query.user)
        sql = query.sql + b"\n" + query.data if query.data else query.sql
        insert = split_insert(sql)
        readonly = self._policy.readonly(query.settings, user, may_write=query.may_write)
        self._policy.check_statement(insert.head if insert else sql, user, may_write=not readonly)
        settings = self._policy.settings(query.settings, user)
        with self._data_file(insert) as file, self._session(user, query) as session:
            statement = Statement(
                sql=_text(_from_file(insert, file) if insert and file else sql),
                format=query.format,
                params=query.params,
                database="" if keyword(sql) == b"USE" else query.database,
                settings=settings,
                asked=frozenset(query.settings),
                readonly=readonly,
                changes_session=changes_session(sql),
                session=session,
            )
            if session is not None and statement.changes_session:
                self._sessions.check_room(session)
            async with self._turn(user):
                result = await self._engine.run(statement)
        rows = is_read(sql)
        return Answer(result, (output_format(sql) or query.format) if rows else None, written=keyword(sql) == b"INSERT")

    def _session(self, user: User, query: Query) -> AbstractContextManager[Session | None]:
        return nullcontext() if query.session is None else self._sessions.held(user.name, query.session)

    @asynccontextmanager
    async def _turn(self, user: User) -> AsyncIterator[None]:
        """A reader waits here for its turn, so that the engine's queue is the writers'."""
        if not user.reader:
            yield
            return
        if self._readers >= READERS_MAX:
            text = f"Too many simultaneous queries for user {user.name}. Current: {self._readers}"
            raise refused(TOO_MANY_SIMULTANEOUS_QUERIES, text, "TOO_MANY_SIMULTANEOUS_QUERIES")
        self._readers += 1
        try:
            async with self._reader_turns:
                yield
        finally:
            self._readers -= 1

    def _data_file(self, insert: Insert | None) -> AbstractContextManager[IO[bytes] | None]:
        """The data of an insert in a file, because the engine takes text only; None when there is none.

        In memory where the system has such files: making one on a disk is a good part of what a small insert costs.
        """
        if insert is None or not insert.data:
            return nullcontext()
        try:
            file = _memory_file() or tempfile.NamedTemporaryFile(dir=self._scratch, prefix="insert-")  # noqa: SIM115
            file.write(insert.data)
            file.flush()
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                text = f"No space left on the disk of {self._scratch}"
                raise refused(NOT_ENOUGH_SPACE, text, "NOT_ENOUGH_SPACE") from error
            raise
        return file

    async def _respond(self, request: web.Request, identity: str, answer: Answer) -> web.Response:
        data = answer.result.data
        headers = {**self._headers(identity), "X-ClickHouse-Summary": _summary(answer)}
        if answer.format is not None:
            headers["X-ClickHouse-Format"] = answer.format
        headers["Content-Type"] = CONTENT_TYPES.get(answer.format or "", "text/plain; charset=UTF-8")
        encoding = choose(request.headers.get("Accept-Encoding", ""))
        if encoding and len(data) >= ANSWER_BYTES_MIN:
            data = await asyncio.to_thread(compress, data, encoding)
            headers["Content-Encoding"] = encoding
        return web.Response(body=data, headers=headers)

    def _failure(self, identity: str, error: QueryError) -> web.Response:
        headers = {
            **self._headers(identity),
            "X-ClickHouse-Exception-Code": str(error.code),
            "Content-Type": "text/plain; charset=UTF-8",
        }
        return web.Response(status=error.status, text=error.text.rstrip() + "\n", headers=headers)

    def _headers(self, identity: str) -> dict[str, str]:
        return {
            "X-ClickHouse-Query-Id": _header_safe(identity),
            "X-ClickHouse-Server-Display-Name": SERVER_NAME,
            "X-ClickHouse-Timezone": self._engine.timezone,
        }


def _refuse_foreign_pages(request: web.Request) -> None:
    """Refuse a browser that asks on behalf of a page from elsewhere: loopback does not keep those out."""
    host = urlsplit(f"//{request.host}").hostname
    origin = request.headers.get("Origin")
    same_site = request.headers.get("Sec-Fetch-Site", "none") != "cross-site"
    if host not in LOOPBACK_NAMES or not same_site:
        raise refused(516, "Only programs and pages of this machine are served", "AUTHENTICATION_FAILED")
    if origin is not None and urlsplit(origin).hostname not in LOOPBACK_NAMES:
        raise refused(516, "Only programs and pages of this machine are served", "AUTHENTICATION_FAILED")


def _empty(query: Query) -> web.Response:
    if query.may_write:
        raise refused(SYNTAX_ERROR, "Empty query", "SYNTAX_ERROR")
    return web.Response(text="Ok.\n")


def _memory_file() -> IO[bytes] | None:
    if not hasattr(os, "memfd_create"):
        return None
    return os.fdopen(os.memfd_create("insert"), "wb")


def _from_file(insert: Insert, file: IO[bytes]) -> bytes:
    path = f"/proc/self/fd/{file.fileno()}" if isinstance(file.name, int) else file.name
    source = f" FROM INFILE {literal(path)} COMPRESSION 'none'".encode()
    settings = b" SETTINGS " + insert.settings if insert.settings else b""
    return insert.head + source + settings + b" FORMAT " + insert.format


def _text(sql: bytes) -> str:
    try:
        return sql.decode()
    except UnicodeDecodeError as error:
        raise refused(BAD_ARGUMENTS, f"The query is not UTF-8: {error}", "BAD_ARGUMENTS") from error


def _summary(answer: Answer) -> str:
    result = answer.result
    return json.dumps(
        {
            "read_rows": str(result.rows_read),
            "read_bytes": str(result.bytes_read),
            "written_rows": str(result.rows_read if answer.written else 0),
            "written_bytes": str(result.bytes_read if answer.written else 0),
            "result_bytes": str(len(result.data)),
            "elapsed_ns": str(result.elapsed_ns),
        }
    )


def _header_safe(text: str) -> str:
    return "".join(character for character in text if character.isprintable() and character.isascii())[:128]
