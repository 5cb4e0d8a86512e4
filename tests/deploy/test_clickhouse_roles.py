"""The roles of a server: SQL by the engine's own parser, and the bounds that the local gateway keeps too."""

import re
from pathlib import Path

import pytest

from mts_stream.local.gateway.policy import READER_LIMITS
from tests.clickhouse.asking import ask

TEXT = (Path(__file__).parents[2] / "deploy" / "clickhouse" / "roles.sql").read_text()
CODE = "\n".join(line for line in TEXT.splitlines() if not line.startswith("--"))
STATEMENTS = [statement.strip() for statement in CODE.split(";") if statement.strip()]
OF_THE_SERVER_ALONE = {"max_memory_usage"}  # the local engine has less memory in all


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda statement: " ".join(statement.split())[:50])
def test_every_statement_is_sql(statement: str, clickhouse: str) -> None:
    """The embedded engine has no users, but it has the parser; each statement can be run again."""
    tree = ask(clickhouse, f"EXPLAIN AST {statement}")

    assert re.match(r"(CreateRole|CreateSettingsProfile|Grant)Query", tree)
    assert statement.startswith(("CREATE ROLE IF NOT EXISTS", "CREATE SETTINGS PROFILE IF NOT EXISTS", "GRANT"))


def rights(role: str) -> set[str]:
    """What a role may do, wherever."""
    grants = re.findall(rf"GRANT ([^;]+?)\s+ON [\w.*]+ TO {role}", CODE)
    return {right.strip() for grant in grants for right in grant.split(",")}


def test_a_reader_may_only_read() -> None:
    """It selects from our database, and is read-only besides."""
    assert rights("mts_reader") == {"SELECT", "SHOW"}
    assert re.search(r"\breadonly = 1,", CODE)


def test_a_writer_may_migrate_and_store() -> None:
    """The sink brings the schema up to date itself; it needs no rights over users or the server."""
    needed = {"CREATE DATABASE", "CREATE TABLE", "CREATE VIEW", "ALTER", "INSERT", "SELECT"}

    assert needed <= rights("mts_writer")
    assert not [right for right in rights("mts_writer") if "USER" in right or "ROLE" in right or "SYSTEM" in right]


def test_the_gateway_keeps_the_same_bounds() -> None:
    """Time, rows, bytes and threads of a reader are the same on a server and on this machine."""
    bounds = {name: int(value) for name, value in re.findall(r"^\s+(max_\w+) = (\d+)", CODE, re.MULTILINE)}

    assert READER_LIMITS.keys() <= bounds.keys()
    for name in READER_LIMITS.keys() - OF_THE_SERVER_ALONE:
        assert bounds[name] == READER_LIMITS[name]


def test_no_bound_can_be_lifted() -> None:
    """The one that a reader may change has both ends: 0 would mean without end."""
    assert re.findall(r"(\w+) = \d+ MIN 1 MAX 30 CHANGEABLE_IN_READONLY", CODE) == ["max_execution_time"]
    assert CODE.count("CHANGEABLE_IN_READONLY") == 1
