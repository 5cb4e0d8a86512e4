"""Applies the numbered SQL files of `migrations/` in order, each once, and refuses when a landed one was edited.

Why not clickhouse-migrations: it pulls in a second ClickHouse client with its own connections, its lock needs Keeper,
and we need the sink's one client and `wait while the server is down`. There are no transactions: statements are
idempotent, so a migration that failed halfway is simply run again. Who migrates holds a lock (`lock.py`).
"""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mts_stream.clickhouse.cluster import for_cluster
from mts_stream.clickhouse.lock import WAIT_S, MigrationLock, migration_lock
from mts_stream.clickhouse.retention import change_retention, retention_changes
from mts_stream.errors import StoreError
from mts_stream.logs import get_logger
from mts_stream.settings import Settings
from mts_stream.sinks.clickhouse import Store

MIGRATIONS = Path(__file__).parent / "migrations"
FILE_NAME = re.compile(r"^(\d{4})_[a-z0-9_]+\.sql$")
LEDGER = """
CREATE TABLE IF NOT EXISTS schema_migrations
(
    version UInt32,
    name String,
    checksum String,
    applied_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree ORDER BY version
"""
log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered file: its statements, and the checksum that shows whether it was edited."""

    version: int
    name: str
    text: str

    @property
    def checksum(self) -> str:
        """sha256 of the file, in hexadecimal."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def statements(self) -> list[str]:
        """The statements, without comments; none of them holds a semicolon inside."""
        code = "\n".join(line for line in self.text.splitlines() if not line.lstrip().startswith("--"))
        return [statement.strip() for statement in code.split(";") if statement.strip()]


def read_migrations(folder: Path = MIGRATIONS) -> list[Migration]:
    """The migrations in their order; raises StoreError for a name that is none and a number that is missing."""
    found = []
    for number, path in enumerate(sorted(folder.glob("*.sql")), start=1):
        match = FILE_NAME.match(path.name)
        if match is None or int(match[1]) != number:
            raise StoreError(f"{path}: migrations are numbered 0001_name.sql, 0002_name.sql, without a hole")
        found.append(Migration(number, path.stem, path.read_text()))
    return found


async def pending(store: Store, migrations: list[Migration]) -> list[Migration]:
    """Those not applied yet; raises StoreError when an applied one was edited or is unknown here."""
    if not await store.exists() or not await _ledger_stands(store):
        return migrations
    applied = {int(v): str(c) for v, c in await store.query("SELECT version, checksum FROM schema_migrations FINAL")}
    for version in sorted(applied.keys() - {m.version for m in migrations}):
        raise StoreError(f"database {store.database} has migration {version}, which this release does not know")
    for migration in migrations:
        if applied.get(migration.version, migration.checksum) != migration.checksum:
            raise StoreError(
                f"migration {migration.name} was edited after it was applied to {store.database}; "
                "restore the file and put the change into a new one"
            )
    return [migration for migration in migrations if migration.version not in applied]


async def apply_migrations(
    store: Store,
    folder: Path = MIGRATIONS,
    *,
    to: int | None = None,
    wait_s: float = WAIT_S,
    on_applied: Callable[[str], None] = lambda _: None,
) -> list[str]:
    """Bring the database up to date, or up to migration `to`; returns the names of what was applied.

    `on_applied` hears of each when it is done. Raises StoreError, StoreUnavailableError while another migrates.
    """
    migrations = read_migrations(folder)
    if not _up_to(await pending(store, migrations), to) and not await retention_changes(store):
        return []
    cluster = store.settings.clickhouse_cluster
    create = f"CREATE DATABASE IF NOT EXISTS {store.database}"
    await store.command(for_cluster(create, cluster), in_database=False)
    async with migration_lock(store, wait_s=wait_s) as lock:
        await store.command(for_cluster(LEDGER, cluster))
        waiting = _up_to(await pending(store, migrations), to)  # another may have done it meanwhile
        for migration in waiting:
            await _apply(store, lock, migration)
            on_applied(migration.name)
        await change_retention(store, await retention_changes(store))
    return [migration.name for migration in waiting]


async def _ledger_stands(store: Store) -> bool:
    return bool(
        await store.query(
            "SELECT 1 FROM system.tables WHERE database = {database:String} AND name = 'schema_migrations'",
            {"database": store.database},
        )
    )


def _up_to(migrations: list[Migration], to: int | None) -> list[Migration]:
    return [migration for migration in migrations if to is None or migration.version <= to]


async def _apply(store: Store, lock: MigrationLock, migration: Migration) -> None:
    statements = migration.statements()
    for number, statement in enumerate(statements, start=1):
        try:
            await lock.renew()
            await store.command(for_cluster(statement, store.settings.clickhouse_cluster))
        except StoreError as error:
            where = f"migration {migration.name}, statement {number} of {len(statements)}"
            raise type(error)(f"{where}: {error}; those before it stand, run it again") from error
    row = (migration.version, migration.name, migration.checksum)
    await store.insert("schema_migrations", ("version", "name", "checksum"), [row], f"migration-{migration.name}")
    log.info("migration_applied", migration=migration.name, statements=len(statements))


async def migrate(settings: Settings, **how: Any) -> list[str]:
    """Bring the configured database up to date, as `apply_migrations` does. Raises StoreError."""
    store = Store(settings)
    try:
        return await apply_migrations(store, **how)
    finally:
        await store.close()


@dataclass(frozen=True, slots=True)
class Difference:
    """What a database lacks of what this release and its settings want."""

    pending: list[str]
    retention: dict[str, int]

    def __bool__(self) -> bool:
        return bool(self.pending or self.retention)


async def check(settings: Settings, to: int | None = None) -> Difference:
    """What `migrate` would do; changes nothing. Raises StoreError."""
    store = Store(settings)
    try:
        waiting = _up_to(await pending(store, read_migrations()), to)
        return Difference([migration.name for migration in waiting], dict(await retention_changes(store)))
    finally:
        await store.close()
