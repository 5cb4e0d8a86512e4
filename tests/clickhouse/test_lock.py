"""One process migrates at a time, and a dead one does not keep the others out."""

import asyncio
from pathlib import Path

import pytest

from mts_stream.clickhouse.lock import EXPIRES_S, MigrationLock, migration_lock
from mts_stream.clickhouse.runner import apply_migrations, read_migrations
from mts_stream.settings import Settings
from mts_stream.sinks.clickhouse import Store, StoreUnavailableError

COUNTED = """
CREATE TABLE IF NOT EXISTS counted (x UInt8) ENGINE = MergeTree ORDER BY x;
INSERT INTO counted SELECT 1
"""


@pytest.fixture
async def database(store: Store) -> Store:
    """The store, its database made."""
    await store.command(f"CREATE DATABASE IF NOT EXISTS {store.database}", in_database=False)
    return store


async def test_several_that_start_at_once_apply_each_migration_once(settings: Settings, tmp_path: Path) -> None:
    """Without a lock, statements that are not idempotent would run as often as there are processes."""
    for number in (1, 2, 3):
        (tmp_path / f"{number:04d}_counted.sql").write_text(COUNTED)
    stores = [Store(settings) for _ in range(4)]

    applied = await asyncio.gather(*(apply_migrations(store, tmp_path, wait_s=60) for store in stores))

    assert sorted(name for names in applied for name in names) == ["0001_counted", "0002_counted", "0003_counted"]
    assert await stores[0].query("SELECT count() FROM counted") == [(3,)]
    await asyncio.gather(*(store.close() for store in stores))


async def test_who_waits_too_long_is_told_who_migrates(database: Store) -> None:
    """The sink tries again later, for it is no refusal of the database."""
    async with migration_lock(database) as held:
        with pytest.raises(StoreUnavailableError, match=f"somebody else migrates this database: {held.holder}"):
            await apply_migrations(database, wait_s=0)

    assert await apply_migrations(database) == [migration.name for migration in read_migrations()]


async def test_the_lock_is_released_after_a_failure(database: Store) -> None:
    """The next one need not wait for it to expire."""
    with pytest.raises(ZeroDivisionError):
        async with migration_lock(database):
            raise ZeroDivisionError

    async with migration_lock(database, wait_s=0) as lock:
        assert await lock.other() is None


async def test_a_lock_that_is_not_renewed_expires(database: Store) -> None:
    """A process that was killed while it migrated is waited for no longer than its lock stands."""
    async with migration_lock(database):
        dead = f"SELECT 'dead', 0, now64(3) - {EXPIRES_S + 1}"
        await database.command(f"INSERT INTO schema_migrations_lock {dead}")
    lock = MigrationLock(database)

    assert await lock.other() is None
    await database.command("INSERT INTO schema_migrations_lock SELECT 'alive', 0, now64(3)")
    assert str(await lock.other()).startswith("alive, last heard of ")


def test_a_lock_outlives_every_statement() -> None:
    """It is renewed before each statement, and none may take longer than it stands."""
    (longest,) = (rule.le for rule in Settings.model_fields["clickhouse_timeout_s"].metadata if hasattr(rule, "le"))
    assert 2 * longest < EXPIRES_S
