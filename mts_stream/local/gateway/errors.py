"""Failures as ClickHouse's HTTP interface reports them: a code, a text and an HTTP status."""

from __future__ import annotations

import re

BAD_ARGUMENTS = 36
NOT_IMPLEMENTED = 48
SYNTAX_ERROR = 62
UNKNOWN_SETTING = 115
READONLY = 164
TOO_MANY_SIMULTANEOUS_QUERIES = 202
NOT_ENOUGH_SPACE = 243
CANNOT_DECOMPRESS = 271
TOO_MANY_BYTES = 307
AUTHENTICATION_FAILED = 516
UNKNOWN_EXCEPTION = 1002

# The server's own table (HTTPHandler, exceptionCodeToHTTPStatus); everything else is 500.
HTTP_STATUS: dict[int, int] = {
    **dict.fromkeys((192, 193, 516), 403),  # unknown user, wrong password, authentication failed
    194: 401,  # password required
    **dict.fromkeys((6, 25, 26, 27, 36, 38, 41, 53, 62, 72, 117, 168, 271, 427), 400),  # cannot parse, bad arguments
    **dict.fromkeys((46, 47, 50, 56, 60, 73, 78, 81, 110, 115), 404),  # unknown function, identifier, table, ...
    **dict.fromkeys((223, 307), 413),  # query or body too large
    48: 501,  # not implemented
    **dict.fromkeys((76, 209), 503),  # cannot open file, socket timeout
    202: 503,  # too many queries: the gateway's own choice, so that clients try again
    159: 408,  # timeout exceeded
    164: 403,  # read only: not in that table, but no fault of the server
}
CODE_PATTERN = re.compile(r"Code: (\d+)\. ")


class QueryError(Exception):
    """A query that failed or was refused, with ClickHouse's number for the reason."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text

    @property
    def status(self) -> int:
        """The HTTP status that goes with the code."""
        return HTTP_STATUS.get(self.code, 500)


def refused(code: int, message: str, name: str) -> QueryError:
    """An error of the gateway's own, worded as the server words its errors."""
    return QueryError(code, f"Code: {code}. DB::Exception: {message}. ({name})")


def from_engine(error: BaseException) -> QueryError:
    """The error that the engine raised, with the code found in its text."""
    text = str(error)
    match = CODE_PATTERN.search(text)
    if match is None:
        return QueryError(UNKNOWN_EXCEPTION, f"Code: {UNKNOWN_EXCEPTION}. DB::Exception: {text}. (UNKNOWN_EXCEPTION)")
    return QueryError(int(match.group(1)), text[match.start() :])
