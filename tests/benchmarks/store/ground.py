"""What the figures are measured on: a real broker, the local gateway, and the sink as a process."""

import asyncio
import secrets
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import psutil

from mts_stream.clickhouse.runner import migrate
from mts_stream.local.clickhouse import ClickHouseGateway
from mts_stream.settings import Settings, load_settings
from mts_stream.wire import topics
from mts_stream.wire.kafka import send_all
from tests.background import running
from tests.benchmarks.store.results import NS_PER_S, Made
from tests.clickhouse.asking import RefusedError, ask
from tests.integration.sink_parts import SinkProcess, clean, until
from tests.integration.worker_parts import admin_client, group_gone

DEADLINE_S = 900.0
POLL_S = 0.02
SEND_AT_ONCE = 50_000
MIB = 1 << 20


class Bench(NamedTuple):
    """Where the parts are, and whether the short form is asked for."""

    kafka: str
    clickhouse: str
    directory: Path
    quick: bool
    questions_millions: int

    def settings(self) -> Settings:
        """A database of its own, migrated; topics and offsets stay as they are."""
        name = f"bench_{secrets.token_hex(3)}"
        settings = load_settings(
            kafka_bootstrap_servers=self.kafka, clickhouse_url=self.clickhouse, clickhouse_database=name
        )
        with redirect_stdout(sys.stderr):  # the log's
            asyncio.run(migrate(settings))
        return settings

    def drop(self, settings: Settings) -> None:
        """Have the disk back."""
        ask(self.clickhouse, f"DROP DATABASE {settings.clickhouse_database} SYNC")

    def fill(self, settings: Settings, made: Iterator[Made]) -> int:
        """Results onto empty topics; gives how many."""
        clean(settings)
        count = 0
        while some := list(islice(made, SEND_AT_ONCE)):
            count += send_all(settings, some, DEADLINE_S)
        return count

    def sink(self, settings: Settings, **variables: str) -> SinkProcess:
        """The sink, as an operator starts it, with its defaults."""
        return SinkProcess(settings, self.directory, SINK_RETRY_MAX_S="30", **variables)


def forget_offsets(settings: Settings) -> None:
    """The next sink begins at the topics' beginning."""
    admin = admin_client(settings.kafka_bootstrap_servers)
    until("the group is gone", lambda: group_gone(admin, topics.SINK_GROUP))


@contextmanager
def gateway(directory: Path) -> Iterator[str]:
    """The URL of a gateway that ends with the block, with the memory that `mts-stream local up` gives it."""
    part = ClickHouseGateway(directory / "tables", log_path=directory / "clickhouse.log")
    with running(part):
        yield part.url


def number(settings: Settings, sql: str) -> int:
    """One number that a query gives; none yet where the table is not there yet."""
    try:
        return int(ask(settings.clickhouse_url, sql, settings.clickhouse_database) or 0)
    except RefusedError:
        return 0


def rows(settings: Settings, table: str) -> int:
    """How many rows a table has."""
    return number(settings, f"SELECT count() FROM {table}")


def ready(sink: SinkProcess) -> SinkProcess:
    """Return when it says that it is healthy."""
    until("the sink is healthy", lambda: sink.health()[0] == 200)
    return sink


def wait_for_rows(settings: Settings, table: str, count: int) -> float:
    """Return when so many rows can be queried: the moment, by the monotonic clock."""
    deadline_s = time.monotonic() + DEADLINE_S
    while (found := rows(settings, table)) < count:
        assert time.monotonic() < deadline_s, f"{found:,} of {count:,} rows in {table}"
        time.sleep(POLL_S)
    return time.monotonic()


def resident_mib(sink: SinkProcess) -> float:
    """The sink's resident memory."""
    return psutil.Process(sink.process.pid).memory_info().rss / MIB


def checksum(settings: Settings, table: str) -> str:
    """Rows and a sum over all of their columns but when they were stored, each natural key once."""
    names = f"SELECT groupArray(name) FROM system.columns WHERE database = currentDatabase() AND table = '{table}'"
    listed = ask(settings.clickhouse_url, f"{names} AND name != 'stored_at'", settings.clickhouse_database)
    columns = ", ".join(name.strip(" '") for name in listed.strip().strip("[]").split(","))
    sql = f"SELECT count(), sum(cityHash64({columns})) FROM {table} FINAL"
    return ask(settings.clickhouse_url, sql, settings.clickhouse_database).strip()


def begin_ns() -> int:
    """An hour ago, at a full second: what is stored must not be past its TTL."""
    return (time.time_ns() // NS_PER_S - 3600) * NS_PER_S
