"""ClickHouse's rows held against the results on the topics, key by key."""

from dataclasses import dataclass

from mts_stream.local.demo.episodes import Episode
from mts_stream.local.demo.ledger import ResultLedger, digest
from mts_stream.local.demo.store import StoreQuery
from mts_stream.wire.topics import FUNDING, QUALITY, SIGNALS, SPREADS

_WINDOW = "toString(toUnixTimestamp64Nano(window_start))"
KEYS = {
    SIGNALS: ("signals", "id"),
    SPREADS: ("spreads_1s", f"concat(pair, '|', direction, '|', {_WINDOW})"),
    FUNDING: ("funding_rates", "message_id"),
    QUALITY: ("feed_quality", f"concat(type, '|', subject, '|', {_WINDOW})"),
}
"""The primary table of each result topic, and its natural key as `ledger.NATURAL_KEYS` spells it."""

WINDOW_NS = 1_000_000_000
OUTCOMES_STATEMENT = """
SELECT outcome, sum(evaluations) AS n FROM rejections_1s FINAL
WHERE pair = {pair:String} AND has(splitByChar(',', {directions:String}), direction)
AND toUnixTimestamp64Nano(window_start) BETWEEN {from:Int64} AND {to:Int64}
GROUP BY outcome ORDER BY n DESC LIMIT 3 FORMAT TSVRaw
"""


@dataclass(slots=True)
class Stored:
    """Rows in the primary tables, results without a row, rows without a result of their own."""

    rows: int = 0
    missing: int = 0
    surplus: int = 0


async def compare_stored(store: StoreQuery, ledger: ResultLedger, since_ms: int) -> Stored:
    """Count over all primary tables; raises StoreError.

    A row older than `since_ms` may have outlived its message on the topic, so it is no surplus.
    """
    found = Stored()
    for topic, (table, key) in KEYS.items():
        await _compare_table(store, found, ledger.keys[topic], _statement(table, key, since_ms))
    return found


def _statement(table: str, key: str, since_ms: int) -> str:
    new = f"stored_at >= fromUnixTimestamp64Milli({since_ms})"
    return f"SELECT {key}, {new} FROM {table} FINAL FORMAT TSVRaw"  # noqa: S608


async def _compare_table(store: StoreQuery, found: Stored, wanted: set[int], statement: str) -> None:
    rows: set[int] = set()
    async for line in store.lines(statement):
        key, _, is_new = line.rpartition("\t")
        number = digest(key)
        if number in rows or (number not in wanted and is_new == "1"):
            found.surplus += 1
        rows.add(number)
        found.rows += 1
    found.missing += len(wanted - rows)


async def why_missed(store: StoreQuery, episode: Episode) -> str:
    """What the directions of a missed episode came to in its seconds, by the rejection ledger; raises StoreError."""
    values = {
        "pair": episode.pair,
        "directions": ",".join(episode.directions),
        "from": str(episode.start_ns - WINDOW_NS),
        "to": str(episode.end_ns),
    }
    counts = [line.split("\t") async for line in store.lines(OUTCOMES_STATEMENT, values)]
    return ", ".join(f"{outcome} {n}" for outcome, n in counts) or "nothing was evaluated in its seconds"
