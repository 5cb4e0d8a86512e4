"""Databases on a real engine: one of the test's own, one with the known rows, one without any."""

import asyncio
import secrets
from collections.abc import AsyncIterator

import pytest

from mts_stream.clickhouse.runner import migrate
from mts_stream.settings import Settings, load_settings
from mts_stream.sinks.clickhouse import Store
from tests.clickhouse.known import store_known_rows


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


def _migrated(url: str, name: str) -> str:
    asyncio.run(migrate(load_settings(clickhouse_url=url, clickhouse_database=name)))
    return name


@pytest.fixture(scope="session")
def known(clickhouse: str) -> str:
    """A database with the rows of known.py; not to be written to."""
    database = _migrated(clickhouse, f"known_{secrets.token_hex(4)}")
    store_known_rows(clickhouse, database)
    return database


@pytest.fixture(scope="session")
def empty(clickhouse: str) -> str:
    """A migrated database without any rows; not to be written to."""
    return _migrated(clickhouse, f"empty_{secrets.token_hex(4)}")
