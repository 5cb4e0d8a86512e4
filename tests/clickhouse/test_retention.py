"""How long tables keep their rows is a setting, and a change of it is brought to the tables."""

import re
from pathlib import Path

from mts_stream.clickhouse.retention import SETTINGS, Change, retention_changes, wanted
from mts_stream.clickhouse.runner import apply_migrations, check
from mts_stream.settings import Settings, load_settings
from mts_stream.sinks.clickhouse import Store
from mts_stream.sinks.rows import COLUMNS


async def kept_days(store: Store) -> dict[str, int]:
    """The TTL of each table, as the engine has it."""
    found = await store.query(
        "SELECT name, create_table_query FROM system.tables WHERE database = {database:String}",
        {"database": store.database},
    )
    return {
        name: int(days[1])
        for name, create in found
        if (days := re.search(r"stored_at\) \+ toIntervalDay\((\d+)", create))
    }


async def test_the_defaults_are_those_of_the_migrations(settings: Settings, store: Store) -> None:
    """A new database needs no change after its migrations; every table that the sink fills has a setting."""
    await apply_migrations(store)

    assert set(SETTINGS) == set(COLUMNS)
    assert await kept_days(store) == wanted(settings)
    assert await retention_changes(store) == []


async def test_a_setting_changes_tables_that_stand(settings: Settings, store: Store) -> None:
    """Without a migration, at the next start of the sink or the next `migrate`; other tables stay as they are."""
    await apply_migrations(store)
    shorter = settings.model_copy(update={"store_spreads_days": 7, "store_opportunities_days": 30})
    other = Store(shorter)

    assert (await check(shorter)).retention == {"opportunities": 30, "opportunity_events": 30, "spreads_1s": 7}
    assert await apply_migrations(other) == []
    assert await kept_days(store) == wanted(shorter)
    assert not await check(shorter)
    assert await retention_changes(store) == [
        Change("opportunities", 1095), Change("opportunity_events", 1095), Change("spreads_1s", 90),
    ]  # fmt: skip
    await other.close()


async def test_rows_that_are_too_old_go(settings: Settings, store: Store) -> None:
    """The engine drops them by itself, from when they were stored, whatever their event time."""
    await apply_migrations(store)
    columns = "pair, direction, window_start, stored_at"
    for day in (1, 5):
        row = f"SELECT 'BTC-USDT', 'a:perp>b:perp', now64(9) - {day}, now64(3) - INTERVAL {day} DAY"
        await store.command(f"INSERT INTO spreads_1s ({columns}) {row}")
    short = Store(
        load_settings(**settings.model_dump(include={"clickhouse_url", "clickhouse_database"}), store_spreads_days=3)
    )
    await apply_migrations(short)
    await short.command("OPTIMIZE TABLE spreads_1s FINAL")

    assert await store.query("SELECT dateDiff('day', stored_at, now64(3)) FROM spreads_1s") == [(1,)]
    await short.close()


def test_no_retention_stands_anywhere_else() -> None:
    """The migrations' own TTL is the default of the settings: one form, which the runner can read."""
    folder = Path(__file__).parents[2] / "mts_stream" / "clickhouse" / "migrations"
    found = [line for path in folder.glob("*.sql") for line in path.read_text().splitlines() if line.startswith("TTL")]

    assert found and all(re.fullmatch(r"TTL toDateTime\(stored_at\) \+ INTERVAL \d+ DAY", line) for line in found)
