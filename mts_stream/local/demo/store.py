"""ClickHouse as a user of the demo sees it: plain HTTP, one statement a request."""

from collections.abc import AsyncIterator, Mapping

import aiohttp

from mts_stream.errors import StoreError
from mts_stream.settings import Settings

ANSWER_S = 30.0
LINE_BYTES_MAX = 1 << 20


class StoreQuery:
    """Asks questions over one HTTP session; answers are TSV lines."""

    def __init__(self, settings: Settings) -> None:
        self.url = settings.clickhouse_url
        self._database = settings.clickhouse_database
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=ANSWER_S),
            read_bufsize=LINE_BYTES_MAX,
            headers={
                "X-ClickHouse-User": settings.clickhouse_user,
                "X-ClickHouse-Key": settings.clickhouse_password.get_secret_value(),
            },
        )

    async def lines(self, statement: str, values: Mapping[str, str] | None = None) -> AsyncIterator[str]:
        """The answer's lines as they come, with `values` for the statement's `{name:Type}`; raises StoreError."""
        params = {"database": self._database} | {f"param_{name}": value for name, value in (values or {}).items()}
        try:
            async with self._session.post(self.url, params=params, data=statement.encode()) as answer:
                if answer.status != 200:
                    raise StoreError(f"ClickHouse at {self.url} refuses: {(await answer.text())[:300]}")
                async for line in answer.content:
                    yield line.decode().rstrip("\n")
        except (aiohttp.ClientError, TimeoutError) as error:
            raise StoreError(f"ClickHouse does not answer at {self.url}: {error or type(error).__name__}") from error

    async def number(self, statement: str, values: Mapping[str, str] | None = None) -> int:
        """The one number that the statement answers; raises StoreError."""
        async for line in self.lines(statement, values):
            return int(line)
        raise StoreError(f"ClickHouse at {self.url} gave no answer to {statement!r}")

    async def count_or_none(self, statement: str, values: Mapping[str, str] | None = None) -> int | None:
        """The same, None while the table is not there or ClickHouse does not answer."""
        try:
            return await self.number(statement, values)
        except StoreError:
            return None

    async def close(self) -> None:
        """End the session."""
        await self._session.close()
