"""How long each table keeps its rows, by setting: the tables' own TTL is brought to what the settings say.

A row's age is counted from when it was stored, so what is stored late, or anew, stays as long as any other.
"""

import re
from typing import NamedTuple

from mts_stream.clickhouse.cluster import for_cluster
from mts_stream.settings import Settings
from mts_stream.sinks.clickhouse import Store

SETTINGS = {
    "spreads_1s": "store_spreads_days",
    "feed_quality": "store_quality_days",
    "funding_rates": "store_funding_days",
    "signals": "store_signals_days",
    "opportunity_events": "store_opportunities_days",
    "opportunities": "store_opportunities_days",
}
"""The setting of each table."""

IN_FORCE = re.compile(r"TTL toDateTime\(stored_at\) \+ toIntervalDay\((\d+)\)")


class Change(NamedTuple):
    """A table that keeps its rows for another time than the settings want."""

    table: str
    days: int


def wanted(settings: Settings) -> dict[str, int]:
    """Days by table."""
    return {table: getattr(settings, name) for table, name in SETTINGS.items()}


async def retention_changes(store: Store) -> list[Change]:
    """What has to be changed in the tables that stand."""
    if not await store.exists():
        return []
    found = await store.query(
        "SELECT name, create_table_query FROM system.tables WHERE database = {database:String} ORDER BY name",
        {"database": store.database},
    )
    days = wanted(store.settings)
    return [Change(name, days[name]) for name, create in found if name in days and _in_force(create) != days[name]]


async def change_retention(store: Store, changes: list[Change]) -> None:
    """Give the tables the TTL that the settings want."""
    for table, days in changes:
        statement = f"ALTER TABLE {table} MODIFY TTL toDateTime(stored_at) + INTERVAL {days} DAY"
        await store.command(for_cluster(statement, store.settings.clickhouse_cluster))


def _in_force(create: str) -> int | None:
    found = IN_FORCE.search(create)
    return int(found[1]) if found else None
