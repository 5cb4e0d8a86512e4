"""The clients, each behind the same three verbs: write rows, read rows, and say by which code it was refused.

Nothing of a client is changed or replaced: an adapter only calls it, and brings what it gives into plain Python values.
"""

import asyncio
import json
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, ClassVar, TypeVar
from urllib.parse import urlencode, urlsplit

import clickhouse_connect
import pandas as pd
import pyarrow as pa
from clickhouse_connect.driver.exceptions import DatabaseError

ANSWER_S = 60
Rows = Sequence[Sequence[Any]]
Named = Mapping[str, Any]
NONE: Named = {}
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Server:
    """Where ClickHouse is, and as whom to ask there."""

    url: str
    user: str
    password: str
    database: str

    def connection(self) -> dict[str, Any]:
        """What clickhouse-connect wants to know."""
        address = urlsplit(self.url)
        return {
            "host": address.hostname, "port": address.port, "interface": address.scheme, "username": self.user,
            "password": self.password, "database": self.database,
        }  # fmt: skip


class RefusedError(Exception):
    """ClickHouse's number for a failure, as the client tells it."""

    def __init__(self, code: int | None) -> None:
        super().__init__(f"code {code}")
        self.code = code


def plain(value: Any) -> Any:
    """A value as every client can be held to: times and numbers as ClickHouse writes them, pairs as a dictionary."""
    match value:
        case pd.Timestamp() | datetime():
            return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
        case Decimal():
            return f"{value:f}"
        case dict():
            return {key: plain(each) for key, each in value.items()}
        case list() | tuple() if value and isinstance(value[0], tuple):
            return plain(dict(value))
        case list() | tuple():
            return [plain(each) for each in value]
        case float() if value != value:
            return None
        case bool() | None:
            return value
        case _:
            return str(value)


class Client(ABC):
    """One way to use ClickHouse."""

    name: ClassVar[str]

    def __init__(self, server: Server) -> None:
        self.server = server

    @abstractmethod
    def write(self, table: str, columns: Sequence[str], rows: Rows, settings: Named = NONE) -> None:
        """Insert rows the way that the client is made for."""

    @abstractmethod
    def read(self, sql: str, parameters: Named = NONE, settings: Named = NONE) -> list[list[Any]]:
        """The rows of a query, as the client has them; raises RefusedError."""

    @abstractmethod
    def close(self) -> None:
        """End it."""


class Sync(Client):
    """clickhouse-connect, row by row."""

    name = "sync"

    def __init__(self, server: Server) -> None:
        super().__init__(server)
        self._client = clickhouse_connect.get_client(**server.connection(), tz_mode="aware")

    def write(self, table: str, columns: Sequence[str], rows: Rows, settings: Named = NONE) -> None:
        """`insert`."""
        self._client.insert(table, rows, column_names=columns, settings=dict(settings))

    def read(self, sql: str, parameters: Named = NONE, settings: Named = NONE) -> list[list[Any]]:
        """`query`."""
        try:
            return self._rows(sql, dict(parameters), dict(settings))
        except DatabaseError as error:
            raise RefusedError(error.code) from error

    def _rows(self, sql: str, parameters: dict[str, Any], settings: dict[str, Any]) -> list[list[Any]]:
        return [list(row) for row in self._client.query(sql, parameters=parameters, settings=settings).result_rows]

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


class Pandas(Sync):
    """clickhouse-connect with data frames."""

    name = "pandas"

    def write(self, table: str, columns: Sequence[str], rows: Rows, settings: Named = NONE) -> None:
        """`insert_df`."""
        self._client.insert_df(table, pd.DataFrame(rows, columns=list(columns)), settings=dict(settings))

    def _rows(self, sql: str, parameters: dict[str, Any], settings: dict[str, Any]) -> list[list[Any]]:
        frame = self._client.query_df(sql, parameters=parameters, settings=settings)
        return [list(row) for row in frame.itertuples(index=False, name=None)]


class Arrow(Sync):
    """clickhouse-connect with Arrow tables."""

    name = "arrow"
    TYPES: ClassVar[Mapping[str, pa.DataType]] = {
        "id": pa.int64(), "at": pa.timestamp("us", "UTC"), "price": pa.decimal128(38, 18), "name": pa.string(),
        "score": pa.float64(), "tags": pa.list_(pa.string()), "counts": pa.map_(pa.string(), pa.uint32()),
    }  # fmt: skip

    def write(self, table: str, columns: Sequence[str], rows: Rows, settings: Named = NONE) -> None:
        """`insert_arrow`."""
        values = zip(*rows, strict=True)
        arrays = {
            name: pa.array(
                [list(each.items()) if isinstance(each, dict) else each for each in column], self.TYPES[name]
            )
            for name, column in zip(columns, values, strict=True)
        }
        self._client.insert_arrow(table, pa.table(arrays), settings=dict(settings))

    def _rows(self, sql: str, parameters: dict[str, Any], settings: dict[str, Any]) -> list[list[Any]]:
        table = self._client.query_arrow(sql, parameters=parameters, settings=settings, use_strings=True)
        return [list(row.values()) for row in table.to_pylist()]


class Async(Client):
    """clickhouse-connect on asyncio, as the sink uses it."""

    name = "async"

    def __init__(self, server: Server) -> None:
        super().__init__(server)
        self._loop = asyncio.new_event_loop()
        made = clickhouse_connect.get_async_client(**server.connection(), tz_mode="aware")
        self._client = self._run(made)

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._loop.run_until_complete(work)

    def write(self, table: str, columns: Sequence[str], rows: Rows, settings: Named = NONE) -> None:
        """`await insert`."""
        self._run(self._client.insert(table, rows, column_names=columns, settings=dict(settings)))

    def read(self, sql: str, parameters: Named = NONE, settings: Named = NONE) -> list[list[Any]]:
        """`await query`."""
        try:
            answer = self._run(self._client.query(sql, parameters=dict(parameters), settings=dict(settings)))
        except DatabaseError as error:
            raise RefusedError(error.code) from error
        return [list(row) for row in answer.result_rows]

    def close(self) -> None:
        """Close the connections."""
        self._run(self._client.close())
        self._loop.close()


class Curl(Client):
    """curl, a process for each question."""

    name = "curl"

    def write(self, table: str, columns: Sequence[str], rows: Rows, settings: Named = NONE) -> None:
        """POST lines of JSON, packed."""
        sql = f"INSERT INTO {table} ({', '.join(columns)}) FORMAT JSONCompactEachRow"
        self._asked({"query": sql, **settings}, "\n".join(json.dumps(plain(list(row))) for row in rows))

    def read(self, sql: str, parameters: Named = NONE, settings: Named = NONE) -> list[list[Any]]:
        """POST the query, its parameters in the address."""
        asked = {f"param_{name}": str(value) for name, value in parameters.items()}
        how = {"default_format": "JSONCompactEachRow", "output_format_json_quote_decimals": "1"}
        answer = self._asked({**how, **asked, **settings}, sql)
        return [json.loads(line) for line in answer.splitlines()]

    def _asked(self, arguments: Named, body: str) -> str:
        address = urlencode({"database": self.server.database, **arguments})
        who = f"{self.server.user}:{self.server.password}"
        done = subprocess.run(
            ["curl", "-sS", "--compressed", "--data-binary", "@-", "--user", who,
             "--write-out", "%{stderr}%header{x-clickhouse-exception-code}", f"{self.server.url}/?{address}"],
            input=body, capture_output=True, text=True, timeout=ANSWER_S,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        if done.stderr.strip():
            raise RefusedError(int(done.stderr))
        return done.stdout

    def close(self) -> None:
        """Nothing of it is left."""


class JavaScript(Client):
    """The official client for Node.js, in one process that is told line by line."""

    name = "javascript"

    def __init__(self, server: Server, program: Sequence[str]) -> None:
        super().__init__(server)
        command = [*program, server.url, server.user, server.password, server.database]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def write(self, table: str, columns: Sequence[str], rows: Rows, settings: Named = NONE) -> None:
        """`insert`."""
        self._asked(verb="write", table=table, columns=list(columns), rows=[plain(list(row)) for row in rows],
                    settings=dict(settings))  # fmt: skip

    def read(self, sql: str, parameters: Named = NONE, settings: Named = NONE) -> list[list[Any]]:
        """`query`."""
        rows: list[list[Any]] = self._asked(verb="read", sql=sql, parameters=dict(parameters), settings=dict(settings))
        return rows

    def _asked(self, **told: Any) -> Any:
        into, out = self._process.stdin, self._process.stdout
        assert into is not None and out is not None
        into.write(json.dumps(told) + "\n")
        into.flush()
        line = out.readline()
        assert line, f"the client ended with {self._process.wait(ANSWER_S)}"
        said = json.loads(line)
        if "code" in said:
            assert said["code"], said["text"]
            raise RefusedError(said["code"])
        return said["rows"]

    def close(self) -> None:
        """End its process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(ANSWER_S)


PYTHON = (Sync, Async, Pandas, Arrow)
