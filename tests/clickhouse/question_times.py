"""Time and rows read of each question over many rows: `python -m tests.clickhouse.question_times URL [MILLIONS]`.

The rows are made by the engine, a tenth of a percent of them opportunities, spread over a week; a database of its own.
"""

import asyncio
import json
import sys
import time
import urllib.request
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from urllib.parse import urlencode

from mts_stream.clickhouse.runner import migrate
from mts_stream.settings import load_settings
from tests.clickhouse.asking import ask

DATABASE = "question_times"
FOLDER = Path(__file__).parents[2] / "deploy" / "clickhouse" / "questions"
SERIES = 200
CHUNK = 5_000_000
READER = {"database": DATABASE, "user": "mts_reader", "default_format": "JSON"}
PAIR = f"concat('P', toString(number % {SERIES // 2}), '-USDT') AS pair"
DIRECTION = (
    f"if(intDiv(number, {SERIES // 2}) % 2 = 0, 'binance:perp>bybit:perp', 'bybit:perp>binance:perp') AS direction"
)


def spreads(first: int, count: int, rows: int) -> str:
    """Windows of a week, a row a second for each series while they last."""
    return f"""
INSERT INTO spreads_1s (pair, direction, window_start, edge_open_bps, edge_high_bps, edge_low_bps, edge_close_bps,
    edge_mean_bps, net_bps_1k, net_bps_10k, valid_ms, evaluations, outcomes, source_offset)
SELECT {PAIR}, {DIRECTION},
    toDateTime64(now(), 9, 'UTC') - toIntervalSecond(intDiv(604000 * (number / {rows}), 1)) AS window_start,
    round(randNormal(-4.0, 2.0), 4) AS e, e + 1, e - 1, e, e, e - 14, e - 15, 1000, 20,
    map('no_edge', 18, 'below_threshold', 2), number
FROM numbers({first}, {count})
"""


def events(rows: int) -> str:
    """Opportunities of two events each."""
    return f"""
INSERT INTO opportunity_events (pair, direction, event_time, opportunity_id, event, type, buy_notional, sell_notional,
    gross_usd, fees_usd, slippage_usd, net_entry_usd, net_round_trip_usd, net_usd, source_offset)
SELECT {PAIR}, {DIRECTION},
    toDateTime64(now(), 9, 'UTC') - toIntervalSecond(intDiv(604000 * (number / {rows}), 1)) AS event_time,
    reinterpretAsUUID(toUInt128(intDiv(number, {2 * SERIES}) * {SERIES} + number % {SERIES})) AS opportunity_id,
    intDiv(number, {SERIES}) % 2, 'arbitrage.updated',
    100 + rand(1) % 40000 AS bought, bought * 1.004, bought * 0.004, bought * 0.001, bought * 0.0002,
    bought * 0.0028, bought * 0.0018 AS net, net, number
FROM numbers({rows})
"""


def asked(url: str, sql: str) -> tuple[float, int]:
    """Seconds and rows read, as the reader."""
    started = time.monotonic()
    request = urllib.request.Request(f"{url}/?{urlencode(READER)}", sql.encode())
    with urllib.request.urlopen(request, timeout=60) as answer:
        text = answer.read()
    return time.monotonic() - started, int(json.loads(text)["statistics"]["rows_read"])


def times(url: str, millions: int, tell: Callable[[str], object]) -> dict[str, tuple[float, int]]:
    """Make so many windows; gives each question's seconds, the better of two, and the rows that it read."""
    ask(url, f"DROP DATABASE IF EXISTS {DATABASE} SYNC")
    with redirect_stdout(sys.stderr):  # the log's
        asyncio.run(migrate(load_settings(clickhouse_url=url, clickhouse_database=DATABASE)))
    rows = millions * 1_000_000
    for first in range(0, rows, CHUNK):
        ask(url, spreads(first, min(CHUNK, rows - first), rows), DATABASE)
        tell(f"  {min(first + CHUNK, rows):,} windows stand")
    ask(url, events(rows // 1000), DATABASE)
    found = {path.stem: min(asked(url, path.read_text()) for _ in range(2)) for path in sorted(FOLDER.glob("*.sql"))}
    sizes = "SELECT table, round(sum(bytes_on_disk) / sum(rows), 1) FROM system.parts WHERE active"
    tell("  bytes a row: " + " ".join(ask(url, f"{sizes} AND database = '{DATABASE}' GROUP BY table").split()))
    ask(url, f"DROP DATABASE {DATABASE} SYNC")
    return found


def main(url: str, millions: int) -> None:
    """Measure and show, in Markdown."""
    found = times(url, millions, lambda line: print(line, file=sys.stderr, flush=True))
    print(f"| question, {millions} million windows | s | rows read |\n|---|---:|---:|")
    for name, (seconds, read) in found.items():
        print(f"| `{name}` | {seconds:.2f} | {read:,} |")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 10)
