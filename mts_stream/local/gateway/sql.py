"""What the gateway has to know of a statement before the engine sees it: its kind, its data, what it must not do.

The scanner knows ClickHouse's comments, strings and quoted names. Refusals are conservative: they look at the raw text,
so a banned phrase inside a string literal is refused too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

TOKEN = re.compile(
    rb"""(?P<skip>\s+|--[^\n]*|\#[ !][^\n]*|/\*.*?\*/)
    |(?P<string>'(?:[^'\\]|\\.|'')*')
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*|"(?:[^"\\]|\\.)*"|`(?:[^`\\]|\\.)*`)
    |(?P<heredoc>\$(?P<tag>\w*)\$.*?\$(?P=tag)\$)
    |(?P<number>\d\w*)
    |(?P<other>.)""",
    re.S | re.X,
)
GAP = rb"(?:\s|--[^\n]*\n|\#[^\n]*\n|/\*.*?\*/)"
FILE_CLAUSE = re.compile(rb"\bINTO" + GAP + rb"+OUTFILE\b|\bFROM" + GAP + rb"+INFILE\b", re.I | re.S)

READ_KEYWORDS = frozenset({b"SELECT", b"WITH", b"SHOW", b"DESCRIBE", b"DESC", b"EXPLAIN", b"EXISTS"})
SESSION_KEYWORDS = frozenset({b"SET", b"USE"})
# What a reader may call behind FROM besides tables: nothing that opens a file or a connection.
SAFE_TABLE_FUNCTIONS = frozenset(
    {"format", "generate_series", "generaterandom", "generateseries", "merge", "null", "numbers", "numbers_mt"}
    | {"primes", "values", "view", "viewexplain", "viewifpermitted", "zeros", "zeros_mt"}
)
# Functions that read files of this machine, though the engine's readonly mode lets them pass.
FILE_FUNCTIONS = frozenset({"file", "python"})


@dataclass(frozen=True, slots=True)
class Token:
    """A word or sign of a statement and where it stands."""

    kind: str
    text: bytes
    start: int
    end: int

    @property
    def word(self) -> bytes:
        """The text in capitals when it is a bare word, else empty."""
        return self.text.upper() if self.kind == "name" and self.text[:1] not in b'"`' else b""


@dataclass(frozen=True, slots=True)
class Insert:
    """An `INSERT ... FORMAT name` taken apart: what stands before FORMAT, its SETTINGS clause, and the data."""

    head: bytes
    settings: bytes
    format: bytes
    data: bytes


def tokens(sql: bytes) -> Iterator[Token]:
    """The tokens of a statement without spaces and comments."""
    for match in TOKEN.finditer(sql):
        kind = match.lastgroup or "other"
        if kind != "skip":
            yield Token("heredoc" if kind == "tag" else kind, match.group(), match.start(), match.end())


def keyword(sql: bytes) -> bytes:
    """The first word in capitals, empty when a statement does not begin with one; brackets before it do not count."""
    for token in tokens(sql):
        if token.text != b"(":
            return token.word
    return b""


def is_read(sql: bytes) -> bool:
    """Whether a statement by its first word only reads; `WITH ... INSERT` does not."""
    first = keyword(sql)
    return first in READ_KEYWORDS and not (first == b"WITH" and _inserts(sql))


def changes_session(sql: bytes) -> bool:
    """Whether a statement leaves something behind on its connection: a setting, a database, a temporary table."""
    first = keyword(sql)
    if first in SESSION_KEYWORDS:
        return True
    return first in (b"CREATE", b"REPLACE") and _has_before(sql, b"TEMPORARY", b"TABLE")


def is_several(sql: bytes) -> bool:
    """Whether something follows a semicolon: the HTTP interface takes one statement at a time."""
    ended = False
    for token in tokens(sql):
        if ended and token.text != b";":
            return True
        ended = ended or token.text == b";"
    return False


def names_files(sql: bytes) -> bool:
    """Whether a statement reads or writes a file of this machine by a clause that only a client may use."""
    return FILE_CLAUSE.search(sql) is not None


class Calls:
    """Finds calls of functions by name, however they are quoted and spaced."""

    def __init__(self, names: frozenset[str]) -> None:
        choices = b"|".join(re.escape(name.encode()) for name in sorted(names))
        self._pattern = re.compile(rb"(?<![\w.])[`\"]?(" + choices + rb")[`\"]?" + GAP + rb"*\(", re.I | re.S)

    def first(self, sql: bytes) -> str | None:
        """The first of the functions that a statement calls, None without one."""
        match = self._pattern.search(sql)
        return match.group(1).decode() if match else None


def output_format(sql: bytes) -> str | None:
    """The name in a FORMAT clause at a statement's end, None without one."""
    last = [token for token in tokens(sql) if token.text != b";"]
    for index in range(len(last) - 2, -1, -1):
        if last[index].word == b"FORMAT" and last[index + 1].kind == "name":
            return last[index + 1].text.decode()
        if last[index].word in (b"SELECT", b"FROM", b"WHERE"):
            break
    return None


def split_insert(sql: bytes) -> Insert | None:
    """Take an `INSERT ... FORMAT name data` apart; None for any other, also `INSERT ... VALUES` and `... SELECT`."""
    if keyword(sql) != b"INSERT":
        return None
    depth, settings_start, found = 0, 0, None
    for token in tokens(sql):
        if found is not None:
            return _insert(sql, settings_start, found, token)
        depth += (token.text == b"(") - (token.text == b")")
        if depth == 0 and token.word in (b"SELECT", b"WITH", b"VALUES", b"WATCH"):
            return None
        if depth == 0 and token.word == b"SETTINGS":
            settings_start = token.start
        if depth == 0 and token.word == b"FORMAT":
            found = token
    return None


def _insert(sql: bytes, settings_start: int, format_word: Token, name: Token) -> Insert | None:
    if name.word == b"VALUES" or name.kind != "name":
        return None
    head_end = settings_start or format_word.start
    settings = sql[settings_start + len(b"SETTINGS") : format_word.start].strip() if settings_start else b""
    data = sql[name.end :]
    # One line end, or one space, separates the name of the format from the data.
    data = re.sub(rb"\A[ \t]*\r?\n|\A ", b"", data, count=1)
    return Insert(sql[:head_end].strip(), settings, name.text, data)


def _inserts(sql: bytes) -> bool:
    depth = 0
    for token in tokens(sql):
        depth += (token.text == b"(") - (token.text == b")")
        if depth == 0 and token.word == b"INSERT":
            return True
    return False


def _has_before(sql: bytes, wanted: bytes, end: bytes) -> bool:
    """Whether a word stands before the first occurrence of another."""
    for token in tokens(sql):
        if token.word in (wanted, end):
            return token.word == wanted
    return False


def literal(value: str) -> str:
    """A string literal."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def identifier(name: str) -> str:
    """A quoted identifier."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"
