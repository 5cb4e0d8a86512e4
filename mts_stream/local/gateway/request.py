"""One HTTP request as ClickHouse understands it: address, headers and body become a `Query`."""

from __future__ import annotations

import base64
import binascii
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import BodyPartReader, MultipartReader, web

from mts_stream.local.gateway.compression import body_too_large, decompress
from mts_stream.local.gateway.errors import (
    AUTHENTICATION_FAILED,
    BAD_ARGUMENTS,
    INVALID_SESSION_TIMEOUT,
    NOT_IMPLEMENTED,
    refused,
)
from mts_stream.local.gateway.sessions import TIMEOUT_DEFAULT_S, TIMEOUT_MAX_S, Wanted

BODY_BYTES_MAX = 64 << 20
# Of the transport, not of the query: read here, or without meaning for one process.
TRANSPORT_PARAMETERS = frozenset(
    {"query", "database", "default_format", "query_id", "user", "password", "session_id", "session_timeout"}
    | {"session_check", "quota_key", "role", "buffer_size", "wait_end_of_query", "client_protocol_version"}
    | {"compress", "decompress", "stacktrace", "close_session", "enable_http_compression"}
    | {"http_zlib_compression_level", "send_progress_in_http_headers", "http_headers_progress_interval_ms"}
    | {"cancel_http_readonly_queries_on_client_close", "framing", "output_format"}
)


@dataclass(frozen=True, slots=True)
class Query:
    """What a request asks for."""

    sql: bytes
    data: bytes
    params: Mapping[str, str]
    settings: Mapping[str, str]
    database: str  # empty where the request names none: the session's, or `default`
    format: str
    user: str
    session: Wanted | None
    may_write: bool


def query_id(request: web.Request) -> str:
    """The query id that the client gave, else a new one."""
    return request.query.get("query_id") or str(uuid.uuid4())


async def read_query(request: web.Request) -> Query:
    """Read a request whole; `QueryError` when it is too large, damaged or asks for what is not served."""
    arguments = dict(request.query)
    body = b""
    if request.content_type.startswith("multipart/"):
        arguments.update(await _read_form(request))
    elif request.can_read_body:
        body = await _read_body(request)
    for name in ("compress", "decompress"):
        if arguments.get(name, "0") not in ("", "0"):
            text = f"{name}=1 (ClickHouse's own block compression) is not served: use Content-Encoding"
            raise refused(NOT_IMPLEMENTED, text, "NOT_IMPLEMENTED")
    in_address = arguments.get("query", "").encode()
    headers = request.headers
    return Query(
        sql=in_address or body,
        data=body if in_address else b"",
        params={name[6:]: value for name, value in arguments.items() if name.startswith("param_")},
        settings={name: value for name, value in arguments.items() if _is_setting(name)},
        database=arguments.get("database") or headers.get("X-ClickHouse-Database") or "",
        format=arguments.get("default_format") or headers.get("X-ClickHouse-Format") or "TabSeparated",
        user=_user(request, arguments),
        session=_session(arguments),
        may_write=request.method == "POST",
    )


def _is_setting(name: str) -> bool:
    return name not in TRANSPORT_PARAMETERS and not name.startswith("param_")


def _session(arguments: Mapping[str, str]) -> Wanted | None:
    """What a request says of its session, None without a session's id."""
    identity = arguments.get("session_id", "")
    if not identity:
        return None
    timeout = arguments.get("session_timeout") or str(TIMEOUT_DEFAULT_S)
    if not timeout.isdecimal():
        raise refused(INVALID_SESSION_TIMEOUT, f"Invalid session timeout: '{timeout}'", "INVALID_SESSION_TIMEOUT")
    if int(timeout) > TIMEOUT_MAX_S:
        text = f"Session timeout '{timeout}' is larger than the maximum session timeout, {TIMEOUT_MAX_S}"
        raise refused(INVALID_SESSION_TIMEOUT, text, "INVALID_SESSION_TIMEOUT")
    return Wanted(
        identity,
        int(timeout),
        must_exist=arguments.get("session_check") == "1",
        is_last=arguments.get("close_session") == "1",
    )


def _user(request: web.Request, arguments: Mapping[str, str]) -> str:
    scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return request.headers.get("X-ClickHouse-User") or arguments.get("user", "")
    try:
        return base64.b64decode(credentials, validate=True).decode().partition(":")[0]
    except (binascii.Error, UnicodeDecodeError) as error:
        text = "Authentication failed: the Authorization header cannot be read"
        raise refused(AUTHENTICATION_FAILED, text, "AUTHENTICATION_FAILED") from error


async def _read_body(request: web.Request) -> bytes:
    return decompress(await _bounded(request), request.headers.get("Content-Encoding", "").lower(), BODY_BYTES_MAX)


async def _bounded(request: web.Request) -> bytes:
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge as error:
        raise body_too_large(BODY_BYTES_MAX) from error


async def _read_form(request: web.Request) -> dict[str, str]:
    """The text fields of a multipart form; files (external tables) are not served."""
    fields: dict[str, str] = {}
    size = 0
    reader: MultipartReader = await request.multipart()
    while (part := await reader.next()) is not None:
        if not isinstance(part, BodyPartReader) or part.name is None or part.filename is not None:
            raise refused(NOT_IMPLEMENTED, "External tables are not served", "NOT_IMPLEMENTED")
        value = await _read_field(part, BODY_BYTES_MAX - size)
        size += len(value)
        try:
            fields[part.name] = value.decode()
        except UnicodeDecodeError as error:
            raise refused(BAD_ARGUMENTS, f"Field {part.name} is not UTF-8", "BAD_ARGUMENTS") from error
    return fields


async def _read_field(part: BodyPartReader, bytes_max: int) -> bytes:
    value = bytearray()
    while chunk := await part.read_chunk():
        value += chunk
        if len(value) > bytes_max:
            raise body_too_large(BODY_BYTES_MAX)
    return bytes(value)
