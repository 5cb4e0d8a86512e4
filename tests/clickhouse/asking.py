"""Plain SQL over plain HTTP, as a person with curl asks."""

import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

ANSWER_S = 60.0
Rows = list[dict[str, Any]]


class RefusedError(Exception):
    """The engine's own words on what it does not answer."""


def ask(url: str, sql: str, database: str = "default", user: str = "default", password: str = "") -> str:
    """The answer's text; raises RefusedError."""
    address = f"{url}/?{urllib.parse.urlencode({'database': database})}"
    who = {"X-ClickHouse-User": user, "X-ClickHouse-Key": password}
    try:
        with urllib.request.urlopen(urllib.request.Request(address, sql.encode(), who), timeout=ANSWER_S) as answer:
            return answer.read().decode()
    except urllib.error.HTTPError as error:
        raise RefusedError(error.read().decode().strip()) from error


def lines(url: str, sql: str, database: str, user: str = "mts_reader") -> tuple[list[str], list[list[str]]]:
    """The names of an answer's columns, and its rows as text; asked as the reader, who may do nothing else."""
    names, *rows = ask(url, f"{sql.strip()}\nFORMAT TabSeparatedWithNames", database, user).splitlines()
    return names.split("\t"), [row.split("\t") for row in rows]


def table(url: str, sql: str, database: str, user: str = "mts_reader") -> tuple[dict[str, str], Rows]:
    """The columns of an answer with their types, and its rows; asked as the reader, who may do nothing else."""
    answer = json.loads(ask(url, f"{sql.strip().rstrip(';')}\nFORMAT JSON", database, user))
    return {column["name"]: column["type"] for column in answer["meta"]}, answer["data"]
