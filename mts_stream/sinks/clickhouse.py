"""The one client of ClickHouse: statements, columnar inserts, and what an error means for the rows."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import clickhouse_connect
from clickhouse_connect.datatypes.base import ClickHouseType
from clickhouse_connect.driver.asyncclient import AsyncClient
from clickhouse_connect.driver.exceptions import ClickHouseError, DataError

from mts_stream.errors import StoreError
from mts_stream.settings import Settings
from mts_stream.sinks.column_types import column_type

CONNECT_TIMEOUT_S = 5
CONNECTIONS_MAX = 8

# Said with every insert, for the defaults differ by server version (clickhouse.md 3).
INSERT_SETTINGS: Mapping[str, Any] = {
    "async_insert": 0,
    "insert_deduplicate": 1,
    "deduplicate_blocks_in_dependent_materialized_views": 1,
    "max_partitions_per_insert_block": 0,
}

# Codes of ClickHouse that a row is to blame for: type, range and format errors.
ROW_CODES = frozenset({6, 26, 27, 38, 41, 43, 53, 69, 70, 72, 117, 131, 190, 321, 349, 352, 407, 691})
# What no waiting cures: a missing table, column or database, wrong credentials or rights.
FATAL_CODES = frozenset({10, 16, 20, 47, 60, 62, 81, 115, 164, 192, 193, 194, 291, 497, 516})
MISSING_CODES = frozenset({60, 81})  # a table, a database: somebody dropped it

# Errors of the way to ClickHouse, or of ClickHouse with a code that is in neither set.
TRANSPORT_ERRORS = (aiohttp.ClientError, OSError, asyncio.TimeoutError, ClickHouseError)


class StoreUnavailableError(StoreError):
    """ClickHouse does not answer, or cannot for now: the same insert may succeed later."""


class RowsRefusedError(StoreError):
    """At least one of the rows cannot be stored as it is."""


class Store:
    """One pooled client of one database; connects at its first statement and stays good over restarts of the server.

    Raises StoreUnavailableError, RowsRefusedError, or StoreError for what no waiting cures.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.database = settings.clickhouse_database
        self._client: AsyncClient | None = None
        self._types: dict[str, dict[str, ClickHouseType]] = {}
        self._connecting = asyncio.Lock()
        self._closed = False

    async def command(self, sql: str, *, in_database: bool = True) -> None:
        """Run one statement that gives no rows."""
        client = await self._connected()
        try:
            await client.command(sql, use_database=in_database)
        except Exception as error:
            raise self._translated(error) from error

    async def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """The rows of one read."""
        client = await self._connected()
        try:
            answer = await client.query(sql, parameters=dict(parameters or {}))
        except Exception as error:
            raise self._translated(error) from error
        return [tuple(row) for row in answer.result_rows]

    async def exists(self) -> bool:
        """Whether the database is there; tables of it may lack all the same."""
        client = await self._connected()
        statement = f"SELECT count() FROM system.databases WHERE name = '{self.database}'"  # noqa: S608 (a name)
        try:
            return bool(await client.command(statement, use_database=False))
        except Exception as error:
            raise self._translated(error) from error

    async def insert(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], token: str) -> None:
        """Store rows as one block; the token makes a repetition of the same insert nothing."""
        client = await self._connected()
        types = await self._column_types(table, columns)
        try:
            await client.insert(
                table,
                list(zip(*rows, strict=True)),
                column_names=columns,
                column_types=types,
                column_oriented=True,
                settings={**INSERT_SETTINGS, "insert_deduplication_token": token},
            )
        except Exception as error:
            raise self._translated(error, of_rows=True) from error

    async def close(self) -> None:
        """Close the connections, for good: whoever still stores is told that it is unavailable."""
        self._closed = True
        if self._client is not None:
            await self._client.close()
            self._client = None

    async def _connected(self) -> AsyncClient:
        async with self._connecting:
            if self._closed:
                raise StoreUnavailableError("the connection to ClickHouse is closed: this process ends")
            if self._client is None:
                try:
                    self._client = await self._connect()
                except Exception as error:
                    raise self._translated(error) from error
            return self._client

    async def _connect(self) -> AsyncClient:
        url = urlsplit(self.settings.clickhouse_url)
        client = await clickhouse_connect.get_async_client(
            interface=url.scheme,
            host=url.hostname,
            port=url.port or (8443 if url.scheme == "https" else 8123),
            username=self.settings.clickhouse_user,
            password=self.settings.clickhouse_password.get_secret_value(),
            connect_timeout=CONNECT_TIMEOUT_S,
            send_receive_timeout=self.settings.clickhouse_timeout_s,
            connector_limit=CONNECTIONS_MAX,
            connector_limit_per_host=CONNECTIONS_MAX,
            tz_mode="aware",
        )
        # Not at the connection: the database may be made by the first migration.
        client.database = self.database
        return client

    async def _column_types(self, table: str, columns: Sequence[str]) -> list[ClickHouseType]:
        """Read for all tables at once, so that an insert need not ask; again only for what was not seen before."""
        if not self._types.get(table, {}).keys() >= set(columns):
            found = await self.query(
                "SELECT table, name, type FROM system.columns WHERE database = {database:String}",
                {"database": self.database},
            )
            for name, column, type_name in found:
                self._types.setdefault(name, {})[column] = column_type(type_name)
        if table not in self._types:
            raise StoreError(f"table {self.database}.{table} does not exist; run `mts-stream migrate`")
        missing = [name for name in columns if name not in self._types[table]]
        if missing:
            raise StoreError(f"table {self.database}.{table} has no column {missing[0]}; run `mts-stream migrate`")
        return [self._types[table][name] for name in columns]

    def _translated(self, error: Exception, *, of_rows: bool = False) -> StoreError:
        """What an error means; the text is its first line, without the addresses of frames.

        Of an insert itself it may be about the rows; whatever else was asked on its way says nothing about them.
        """
        text = str(error).strip().split("\n", 1)[0][:500] or type(error).__name__
        said = f"ClickHouse at {self.settings.clickhouse_url} (CLICKHOUSE_URL): {text}"
        if isinstance(error, StoreError):
            return error
        code = getattr(error, "code", None)
        if code in MISSING_CODES:
            name = f"database {self.database} (CLICKHOUSE_DATABASE)"
            return StoreError(f"{said}; make {name} and its tables with `mts-stream migrate`, then start again")
        of_values = code in ROW_CODES or (code is None and _is_about_values(error))
        if of_rows and of_values:
            return RowsRefusedError(text)
        if code in FATAL_CODES or code in ROW_CODES:
            return StoreError(said)
        if of_values or isinstance(error, TRANSPORT_ERRORS):
            return StoreUnavailableError(said)
        return StoreError(f"{type(error).__name__} at an insert, which is a fault of ours: {text}")


def _is_about_values(error: Exception) -> bool:
    """True where the client could not encode the rows: nothing was sent."""
    if isinstance(error, DataError):
        return True
    return isinstance(error, (ArithmeticError, TypeError, ValueError)) and not isinstance(error, TRANSPORT_ERRORS)
