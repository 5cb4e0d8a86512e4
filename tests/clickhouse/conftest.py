"""A database of the test's own on a real engine."""

import secrets
from collections.abc import AsyncIterator

import pytest

from mts_stream.settings import Settings, load_settings
from mts_stream.sinks.clickhouse import Store


@pytest.fixture
def settings(clickhouse: str) -> Settings:
    """Names a database that nobody has made yet."""
    return load_settings(clickhouse_url=clickhouse, clickhouse_database=f"t_{secrets.token_hex(6)}")


@pytest.fixture
async def store(settings: Settings) -> AsyncIterator[Store]:
    """A store of that database."""
    store = Store(settings)
    yield store
    await store.close()
