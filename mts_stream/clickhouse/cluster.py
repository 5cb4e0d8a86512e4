"""The same SQL files for one server and for a cluster: what differs is put in when a statement is sent.

| one server | `CLICKHOUSE_CLUSTER=name`, one shard, any number of replicas |
|---|---|
| `CREATE TABLE t`, `ALTER TABLE t`, ... | the same, `ON CLUSTER 'name'` |
| `ENGINE = ReplacingMergeTree(v)` | `ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{uuid}/{shard}', '{replica}', v)` |
| `non_replicated_deduplication_window` | `replicated_deduplication_window` |
"""  # noqa: E501 (a table)

import re

DEFINES = re.compile(
    r"\b((?:CREATE|DROP|ALTER|EXCHANGE|TRUNCATE)(?:\s+OR\s+REPLACE)?\s+(?:DATABASE|TABLE|VIEW|TABLES)"
    r"(?:\s+IF\s+(?:NOT\s+)?EXISTS)?\s+[\w.`]+(?:\s+AND\s+[\w.`]+)?)"
)
ENGINE = re.compile(r"\bENGINE\s*=\s*(\w*MergeTree)(?:\(([^)]*)\))?")
PLACE = "'/clickhouse/tables/{uuid}/{shard}', '{replica}'"


def for_cluster(statement: str, cluster: str) -> str:
    """The statement as this cluster needs it; unchanged without one."""
    if not cluster:
        return statement
    statement = DEFINES.sub(rf"\1 ON CLUSTER '{cluster}'", statement, count=1)
    statement = ENGINE.sub(_replicated, statement)
    return statement.replace("non_replicated_deduplication_window", "replicated_deduplication_window")


def _replicated(found: re.Match[str]) -> str:
    arguments = f"{PLACE}, {found[2]}" if found[2] else PLACE
    return f"ENGINE = Replicated{found[1]}({arguments})"
