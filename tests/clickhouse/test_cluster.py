"""The statements for a cluster: replicated, on every node, and SQL by the engine's own parser; no cluster is needed."""

import pytest

from mts_stream.clickhouse.cluster import for_cluster
from mts_stream.clickhouse.lock import TABLE
from mts_stream.clickhouse.runner import LEDGER, read_migrations
from tests.clickhouse.asking import ask

STATEMENTS = [LEDGER, TABLE, *(s for migration in read_migrations() for s in migration.statements())]
OTHERS = [
    "CREATE DATABASE IF NOT EXISTS mts",
    "ALTER TABLE spreads_1s MODIFY TTL toDateTime(stored_at) + INTERVAL 7 DAY",
    "EXCHANGE TABLES a AND b",
    "DROP TABLE IF EXISTS a",
    "CREATE OR REPLACE VIEW a AS SELECT 1",
]


@pytest.mark.parametrize("statement", STATEMENTS + OTHERS, ids=lambda statement: " ".join(statement.split())[:48])
def test_every_statement_is_made_for_all_nodes(statement: str, clickhouse: str) -> None:
    """It says ON CLUSTER once, its engine is replicated, and the engine's parser takes it."""
    sent = for_cluster(statement, "mts-1")
    tree = ask(clickhouse, f"EXPLAIN AST {sent}")

    assert sent.count("ON CLUSTER 'mts-1'") == 1
    assert ("ENGINE =" in sent) == ("ENGINE = Replicated" in sent) == ("Replicated" in tree)
    assert "non_replicated" not in sent


@pytest.mark.parametrize("statement", STATEMENTS)
def test_one_server_gets_the_files_as_they_are(statement: str) -> None:
    """Without CLICKHOUSE_CLUSTER nothing is changed."""
    assert for_cluster(statement, "") == statement


def test_the_version_stays_the_last_argument() -> None:
    """Place and replica come first, then what the engine had; an engine without any gets those two alone."""
    place = "'/clickhouse/tables/{uuid}/{shard}', '{replica}'"

    assert for_cluster("ENGINE = ReplacingMergeTree(event)", "c").endswith(f"MergeTree({place}, event)")
    assert for_cluster("ENGINE = MergeTree ORDER BY x", "c").endswith(f"ReplicatedMergeTree({place}) ORDER BY x")
