"""What stands in ClickHouse against what must: the same results, stored beside it without any disturbance."""

import asyncio
import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

from mts_stream.clickhouse.runner import apply_migrations
from mts_stream.settings import Settings
from mts_stream.sinks.batching import Batch, Delivery
from mts_stream.sinks.clickhouse import Store
from mts_stream.sinks.rows import COLUMNS, PRIMARY, SOURCE
from mts_stream.sinks.writer import Writer
from mts_stream.wire import topics
from mts_stream.wire.kafka import Reader, Record
from tests.clickhouse.asking import ask
from tests.integration.sink_parts import dead_letters

Key = tuple[str, ...]
Row = tuple[str, ...]
Letter = tuple[str, int, int, str, bytes]  # topic, partition, offset, reason, value


class Comparison(NamedTuple):
    """Distinct results sent and rows stored of the primary tables; what is wrong in all tables and the dead letters."""

    sent: int
    repeats: int
    stored: int
    letters: int
    lost: list[str]
    doubled: list[str]
    wrong: list[str]


def compare(settings: Settings, refused: Mapping[bytes, str]) -> Comparison:
    """Hold the store against the topics; `refused` are the values that no table takes, with the reason."""
    with Reader(settings, topics.STORED_TOPICS) as reader:
        records = list(reader.read_to_end())
    good = [record for record in records if record.value not in refused]
    calm = settings.model_copy(update={"clickhouse_database": f"{settings.clickhouse_database}_calm"})
    store_calmly(calm, good)
    sent = stored = 0
    lost, doubled, wrong = [], [], []
    for table in (Table.read(calm, name) for name in COLUMNS):
        want, rows = {table.key(row): row for row in table.rows(calm)}, table.rows(settings)
        have = {table.key(row): row for row in rows}
        lost += [f"{table.name} {key}" for key in want.keys() - have.keys()]
        doubled += [f"{table.name}: {len(rows) - len(have)} keys twice"] if len(rows) > len(have) else []
        doubled += [f"{table.name} {key}: of no result" for key in have.keys() - want.keys()]
        wrong += [f"{want[key]}\n  {have[key]}" for key in want.keys() & have.keys() if want[key] != have[key]]
        if table.name in PRIMARY.values():
            sent, stored = sent + len(want), stored + len(rows)
    letters, wanted_letters = _letters(settings), _wanted_letters(records, refused)
    lost += [f"dead letter {letter}" for letter in wanted_letters - letters]
    doubled += [f"dead letter {letter}: of no refusal" for letter in letters - wanted_letters]
    return Comparison(sent, len(good) - sent, stored, len(letters), sorted(lost), doubled, wrong)


def store_calmly(settings: Settings, records: Iterable[Record]) -> None:
    """Store results that tables take, by the sink's own writer, with nothing that disturbs it."""

    async def refuse(letter: bytes) -> None:
        raise AssertionError(f"a result that no table takes: {letter!r}")

    async def run() -> None:
        store = Store(settings)
        writer = Writer(store, prepare=apply_migrations, send_dead_letter=refuse, retry_max_s=1)
        for (topic, partition), group in groupby(sorted(records), lambda record: record[:2]):
            deliveries = (Delivery(partition, record.offset, record.value) for record in group)
            await writer.store(Batch(topic, tuple(deliveries)), "calm")
        await store.close()

    asyncio.run(run())


@dataclass(frozen=True)
class Table:
    """A table as the database describes it: all columns but where a row came from and when it was stored."""

    name: str
    columns: tuple[str, ...]
    in_key: tuple[bool, ...]

    @classmethod
    def read(cls, settings: Settings, name: str) -> "Table":
        """Ask for its columns."""
        about = f"database = '{settings.clickhouse_database}' AND table = '{name}'"
        found = _rows(settings, f"SELECT name, is_in_sorting_key FROM system.columns WHERE {about}")
        ours = [(column, key == "1") for column, key in found if column in COLUMNS[name] and column not in SOURCE]
        return cls(name, tuple(column for column, _ in ours), tuple(key for _, key in ours))

    def key(self, row: Row) -> Key:
        """The natural key of a row."""
        return tuple(value for value, key in zip(row, self.in_key, strict=True) if key)

    def rows(self, settings: Settings) -> list[Row]:
        """Everything that a query with FINAL sees."""
        return _rows(settings, f"SELECT {', '.join(self.columns)} FROM {self.name} FINAL")


def _wanted_letters(records: Iterable[Record], refused: Mapping[bytes, str]) -> set[Letter]:
    """What each refused record becomes in mts.dlq."""
    return {(r.topic, r.partition, r.offset, refused[r.value], r.value) for r in records if r.value in refused}


def _letters(settings: Settings) -> set[Letter]:
    """What stands in mts.dlq; a sink that was killed before its commit says it again."""
    return {
        (each["topic"], each["partition"], each["offset"], each["reason"], base64.b64decode(each["payload_base64"]))
        for each in dead_letters(settings)
    }


def _rows(settings: Settings, sql: str) -> list[Row]:
    answer = ask(settings.clickhouse_url, sql, settings.clickhouse_database)
    return [tuple(line.split("\t")) for line in answer.splitlines()]
