"""Applies the numbered SQL files of `migrations/` in order, each once, and refuses when a landed one was edited.

Why not clickhouse-migrations: it pulls in a second ClickHouse client with its own connections, and we need the sink's
one client and `wait while the server is down`. Statements are idempotent, so two processes that apply at the same time
do no harm, and a migration that failed halfway is simply run again.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

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
    if not await store.query(
        "SELECT 1 FROM system.tables WHERE database = {database:String} AND name = 'schema_migrations'",
        {"database": store.database},
    ):
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


async def apply_migrations(store: Store, folder: Path = MIGRATIONS) -> list[str]:
    """Bring the database up to date; returns the names of what was applied."""
    migrations = read_migrations(folder)
    await store.command(f"CREATE DATABASE IF NOT EXISTS {store.database}", in_database=False)
    await store.command(LEDGER)
    waiting = await pending(store, migrations)
    for migration in waiting:
        await _apply(store, migration)
    return [migration.name for migration in waiting]


async def _apply(store: Store, migration: Migration) -> None:
    statements = migration.statements()
    for number, statement in enumerate(statements, start=1):
        try:
            await store.command(statement)
        except StoreError as error:
            where = f"migration {migration.name}, statement {number} of {len(statements)}"
            raise type(error)(f"{where}: {error}; those before it stand, run it again") from error
    row = (migration.version, migration.name, migration.checksum)
    await store.insert("schema_migrations", ("version", "name", "checksum"), [row], f"migration-{migration.name}")
    log.info("migration_applied", migration=migration.name, statements=len(statements))


async def migrate(settings: Settings) -> list[str]:
    """Bring the configured database up to date; returns the names of what was applied. Raises StoreError."""
    store = Store(settings)
    try:
        return await apply_migrations(store)
    finally:
        await store.close()
