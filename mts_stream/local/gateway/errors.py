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
SESSION_NOT_FOUND = 372
SESSION_IS_LOCKED = 373
INVALID_SESSION_TIMEOUT = 374
AUTHENTICATION_FAILED = 516
UNKNOWN_EXCEPTION = 1002

# The server's own table (exceptionCodeToHTTPStatus.cpp of 26.9); everything else is 500.
HTTP_STATUS: dict[int, int] = {
    **dict.fromkeys((6, 8, 15, 25, 26, 27, 36, 37, 38, 41, 44, 53, 62, 72, 117, 123, 167, 168, 223, 321), 400),
    **dict.fromkeys((376, 427, 441, 675, 676), 400),  # cannot parse, bad arguments, types that do not fit
    194: 401,  # password required
    **dict.fromkeys((192, 193, 497, 512, 516), 403),  # unknown user, wrong password, access denied
    **dict.fromkeys((46, 47, 50, 56, 60, 63, 73, 78, 81, 115, 152, 336, 511), 404),  # unknown table, function, ...
    159: 408,  # timeout exceeded
    381: 411,  # length required
    229: 413,  # query too large
    779: 415,  # unsupported media type
    48: 501,  # not implemented
    **dict.fromkeys((76, 209, 439), 503),  # cannot open file, socket timeout, cannot schedule
    # Not in that table, there 500:
    164: 403,  # read only is no fault of the server
    271: 400,  # a damaged body neither
    307: 413,  # nor one that is too large
    202: 503,  # too many queries: the gateway's own bound, so that clients try again
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
