"""`mts-stream migrate` as an operator runs it: what it prints, and its exit codes."""

import json
import subprocess
from collections.abc import Callable

import pytest

from mts_stream.clickhouse.runner import read_migrations
from mts_stream.local.ports import free_ports
from mts_stream.settings import Settings
from tests.cli.running import run
from tests.clickhouse.asking import ask

NAMES = [migration.name for migration in read_migrations()]
Migrate = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def migrate(settings: Settings) -> Migrate:
    """Runs the command on a database of the test's own."""
    where = {"CLICKHOUSE_URL": settings.clickhouse_url, "CLICKHOUSE_DATABASE": settings.clickhouse_database}
    return lambda *arguments, **more: run("migrate", *arguments, **where | more)


def test_a_check_says_what_lacks_and_ends_with_1(migrate: Migrate) -> None:
    """0 where nothing does: a deployment can ask before it goes on."""
    before = migrate("--check")
    assert (before.returncode, before.stdout.splitlines()[0]) == (1, f"{NAMES[0]} is not applied")

    assert json.loads(migrate("--json").stdout) == {"applied": NAMES}
    after, shorter = migrate("--check", "--json"), migrate("--check", STORE_SIGNALS_DAYS="30")
    assert (after.returncode, json.loads(after.stdout)) == (0, {"pending": [], "retention": {}})
    assert (shorter.returncode, shorter.stdout) == (1, "signals should keep its rows for 30 days\n")


def test_a_number_says_where_to_stop(migrate: Migrate) -> None:
    """A number that no migration has is wrong usage."""
    assert migrate("--to", 2).stdout == f"applied {NAMES[0]}, {NAMES[1]}\n"
    assert migrate("--to", 2).stdout.endswith("is up to date as far as 0002\n")
    assert migrate("--to", 2, "--check").returncode == 0
    assert migrate("--to", len(NAMES) + 1).returncode == 2
    assert migrate("--to", 0).returncode == 2


def test_a_failure_says_how_far_it_came(migrate: Migrate, settings: Settings) -> None:
    """What was applied before it is told, the one line names the statement, and the exit code is 1."""
    database = settings.clickhouse_database
    ask(settings.clickhouse_url, f"CREATE DATABASE {database}")
    ask(settings.clickhouse_url, "CREATE VIEW feed_quality AS SELECT 1 AS x", database)
    failed = migrate("--json")

    assert failed.returncode == 1
    assert json.loads(failed.stdout)["applied"] == NAMES[:3]
    where = f"migration {NAMES[3]}, statement 1 of 1: "
    assert where in json.loads(failed.stdout)["failed"]
    assert failed.stderr.splitlines()[-1].startswith(f"mts-stream: {where}")
    assert f"migration {NAMES[3]}" in migrate().stderr


def test_a_server_that_does_not_answer_is_one_line(migrate: Migrate) -> None:
    """Exit code 1, the setting to look at, and no traceback."""
    failed = migrate(CLICKHOUSE_URL=f"http://127.0.0.1:{free_ports(1)[0]}")

    assert failed.returncode == 1
    assert "(CLICKHOUSE_URL)" in failed.stderr.splitlines()[-1] and "Traceback" not in failed.stderr
