"""Tables that are made anew beside those that stand, compared with them, and put in their place.

Everything goes partition by partition of a table, so that no statement takes longer than the last day did.
"""

from dataclasses import dataclass

from mts_stream.clickhouse.cluster import for_cluster
from mts_stream.sinks.clickhouse import Store
from mts_stream.sinks.rows import COLUMNS, SOURCE

FRESH = "_rebuild"
HASH_BITS = 64


@dataclass(frozen=True, slots=True)
class Digest:
    """What a table holds, whatever was stored twice and when: two tables of one digest hold the same results."""

    rows: int
    checksum: str


class Swap:
    """A fresh table beside `table`, and its way into its place."""

    def __init__(self, store: Store, table: str) -> None:
        self._store = store
        self.table = table
        self.fresh = f"{table}{FRESH}"

    async def make(self) -> None:
        """An empty table of the same kind; what an earlier run left is dropped."""
        await self.drop()
        await self._command(f"CREATE TABLE {self.fresh} AS {self.table}")

    async def drop(self) -> None:
        """Give up what stands beside the table: the fresh one, or after the exchange the old one."""
        await self._command(f"DROP TABLE IF EXISTS {self.fresh}")

    async def exchange(self) -> None:
        """Each takes the other's name, at once: no reader ever misses the table."""
        await self._command(f"EXCHANGE TABLES {self.table} AND {self.fresh}")

    async def carry_over(self) -> None:
        """Rows whose natural key the fresh table lacks: those that are past the topics' retention."""
        ((key,),) = await self._store.query(
            "SELECT sorting_key FROM system.tables WHERE database = {database:String} AND name = {table:String}",
            {"database": self._store.database, "table": self.table},
        )
        columns = ", ".join((*COLUMNS[self.table], "stored_at"))
        for part in await self._partitions(self.table):
            here = f"_partition_id = '{part}'"
            known = f"SELECT {key} FROM {self.fresh} WHERE {here}"  # noqa: S608 (the schema's own names)
            missing = f"SELECT {columns} FROM {self.table} FINAL WHERE {here} AND ({key}) NOT IN ({known})"  # noqa: S608
            await self._store.command(f"INSERT INTO {self.fresh} ({columns}) {missing}")

    async def digest(self, name: str) -> Digest:
        """Of the table or of the fresh one: all columns but where a row came from and when it was stored."""
        hashed = ", ".join(column for column in COLUMNS[self.table] if column not in SOURCE)
        rows = total = 0
        for part in await self._partitions(name):
            ((count, some),) = await self._store.query(
                f"SELECT count(), sumWithOverflow(cityHash64(({hashed}))) "  # noqa: S608
                f"FROM {name} FINAL WHERE _partition_id = '{part}'"
            )
            rows, total = rows + int(count), (total + int(some)) % 2**HASH_BITS
        return Digest(rows, f"{total:016x}")

    async def _partitions(self, name: str) -> list[str]:
        found = await self._store.query(
            "SELECT DISTINCT partition_id FROM system.parts "
            "WHERE database = {database:String} AND table = {table:String} AND active ORDER BY partition_id",
            {"database": self._store.database, "table": name},
        )
        return [str(part) for (part,) in found]

    async def _command(self, statement: str) -> None:
        await self._store.command(for_cluster(statement, self._store.settings.clickhouse_cluster))
