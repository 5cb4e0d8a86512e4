"""Migrations on a real engine: in order, once, again after a failure, and never after an edit."""

import shutil
from pathlib import Path

import pytest

from mts_stream.clickhouse.runner import (
    MIGRATIONS,
    Difference,
    apply_migrations,
    check,
    migrate,
    pending,
    read_migrations,
)
from mts_stream.errors import StoreError
from mts_stream.settings import Settings
from mts_stream.sinks.clickhouse import Store
from mts_stream.sinks.rows import COLUMNS


async def tables(store: Store) -> dict[str, str]:
    """Tables and views with their engines."""
    found = await store.query(
        "SELECT name, engine FROM system.tables WHERE database = {database:String}", {"database": store.database}
    )
    return {str(name): str(engine) for name, engine in found}


async def test_an_empty_server_gets_every_table_and_view(settings: Settings, store: Store) -> None:
    """All migrations are applied in order; a second run has nothing to do."""
    applied = await migrate(settings)

    assert applied == [migration.name for migration in read_migrations()]
    assert await migrate(settings) == []
    found = await tables(store)
    assert {name for name in COLUMNS if found[name] == "ReplacingMergeTree"} == set(COLUMNS)
    assert {name for name, engine in found.items() if engine == "View"} == {"arbitrage_opportunities", "rejections_1s"}


async def test_every_column_that_is_written_stands_in_its_table(settings: Settings, store: Store) -> None:
    """What the sink leaves out has a default: only the clock of the store."""
    await migrate(settings)
    found = await store.query(
        "SELECT table, name FROM system.columns WHERE database = {database:String}", {"database": store.database}
    )

    for table, columns in COLUMNS.items():
        assert {str(name) for t, name in found if t == table} == {*columns, "stored_at"}


async def test_the_view_has_exactly_the_promised_columns(settings: Settings, store: Store) -> None:
    """symbol, exchange_buy, exchange_sell, buy_price, sell_price, profit_usd, profit_percentage, timestamp."""
    await migrate(settings)
    found = await store.query(
        "SELECT name FROM system.columns WHERE database = {database:String} AND table = 'arbitrage_opportunities' "
        "ORDER BY position",
        {"database": store.database},
    )

    assert [name for (name,) in found] == [
        "symbol", "exchange_buy", "exchange_sell", "buy_price", "sell_price", "profit_usd", "profit_percentage",
        "timestamp",
    ]  # fmt: skip


@pytest.mark.parametrize("table", sorted(COLUMNS))
async def test_every_table_drops_a_repeated_insert(table: str, settings: Settings, store: Store) -> None:
    """A token alone does nothing: each table keeps a window of the last inserts."""
    await migrate(settings)
    ((create,),) = await store.query(f"SHOW CREATE TABLE {table}")

    assert "non_replicated_deduplication_window = 5000" in str(create)
    assert "TTL toDateTime(stored_at)" in str(create)


async def test_an_edited_migration_is_refused(store: Store, tmp_path: Path) -> None:
    """A landed file never changes: the change goes into a new one."""
    folder = Path(shutil.copytree(MIGRATIONS, tmp_path / "migrations"))
    await apply_migrations(store, folder)
    edited = folder / "0003_arbitrage_opportunities.sql"
    edited.write_text(edited.read_text() + "-- edited\n")

    with pytest.raises(StoreError, match="0003_arbitrage_opportunities was edited after it was applied"):
        await apply_migrations(store, folder)


async def test_a_database_of_a_newer_release_is_refused(store: Store, tmp_path: Path) -> None:
    """An older release must not write into a schema that it does not know."""
    folder = Path(shutil.copytree(MIGRATIONS, tmp_path / "migrations"))
    newer = folder / f"{len(read_migrations()) + 1:04d}_newer.sql"
    newer.write_text("CREATE TABLE IF NOT EXISTS newer (a UInt8) ENGINE = MergeTree ORDER BY a")
    await apply_migrations(store, folder)

    with pytest.raises(StoreError, match="which this release does not know"):
        await apply_migrations(store)


async def test_a_migration_that_fails_says_how_far_it_came_and_runs_again(store: Store, tmp_path: Path) -> None:
    """Statements are idempotent, so the repaired file is simply applied."""
    good = "CREATE TABLE IF NOT EXISTS a (x UInt8) ENGINE = MergeTree ORDER BY x"
    bad = tmp_path / "0001_two_tables.sql"
    bad.write_text(f"-- two tables\n{good};\nCREATE TABEL b (x UInt8)")

    with pytest.raises(StoreError, match=r"migration 0001_two_tables, statement 2 of 2: .*run it again"):
        await apply_migrations(store, tmp_path)
    bad.write_text(f"-- two tables\n{good};\nCREATE TABLE b (x UInt8) ENGINE = MergeTree ORDER BY x")
    assert await apply_migrations(store, tmp_path) == ["0001_two_tables"]
    assert {"a", "b"} <= set(await tables(store))


async def test_migrations_stop_where_they_are_told_to(store: Store) -> None:
    """`to` names the last one wanted; the rest is pending, and comes with the next run."""
    names = [migration.name for migration in read_migrations()]

    assert await apply_migrations(store, to=2) == names[:2]
    assert [migration.name for migration in await pending(store, read_migrations())] == names[2:]
    assert await apply_migrations(store, to=1) == []
    assert await apply_migrations(store) == names[2:]


async def test_a_failure_names_what_was_applied_before_it(store: Store, tmp_path: Path) -> None:
    """Whole migrations before the broken one stand, and whoever asked has heard of them."""
    (tmp_path / "0001_good.sql").write_text("CREATE TABLE IF NOT EXISTS a (x UInt8) ENGINE = MergeTree ORDER BY x")
    (tmp_path / "0002_bad.sql").write_text("CREATE TABEL b")
    heard: list[str] = []

    with pytest.raises(StoreError, match="migration 0002_bad, statement 1 of 1"):
        await apply_migrations(store, tmp_path, on_applied=heard.append)
    assert heard == ["0001_good"]


async def test_a_check_changes_nothing(settings: Settings, store: Store) -> None:
    """It names what lacks, on a server without the database too, and makes nothing."""
    names = [migration.name for migration in read_migrations()]

    assert await check(settings) == Difference(names, {})
    assert not await store.exists()
    await apply_migrations(store, to=3)
    assert (await check(settings)).pending == names[3:]
    assert not await check(settings, to=3)


@pytest.mark.parametrize("name", ["0002_first.sql", "1_first.sql", "0001_First.sql", "0001-first.sql"])
def test_a_file_that_is_not_numbered_in_order_is_refused(name: str, tmp_path: Path) -> None:
    """0001, 0002 and so on, without a hole."""
    (tmp_path / name).write_text("SELECT 1")

    with pytest.raises(StoreError, match="without a hole"):
        read_migrations(tmp_path)
