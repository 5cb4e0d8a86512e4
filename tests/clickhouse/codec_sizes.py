"""Bytes per value of each codec, on values as ours are: `python -m tests.clickhouse.codec_sizes http://127.0.0.1:8123`.

A million rows of 50 series, one a second each: edges that swing and jitter, prices that walk, times with jitter.
"""

import sys

from tests.clickhouse.asking import ask

ROWS = 1_000_000
SERIES = 50
DATABASE = "codec_sizes"
START_NS = 1_795_402_800_000_000_000
SOURCE = f"""
CREATE TABLE source ENGINE = MergeTree ORDER BY (series, t) AS
SELECT
    series, t, edge,
    60000 * exp(walk / 20000) AS price,
    rowNumberInAllBlocks() * 3 + rand(4) % 3 AS offset,
    {START_NS} + t * 1000000000 AS window_ns,
    {START_NS} + t * toInt64(100000000) + rand(2) % 40000000 AS event_ns,
    8 + rand(3) % 25 AS evaluations,
    intDiv(window_ns, 1000000) + rand(5) % 500 AS stored_ms
FROM
(
    SELECT
        series, t,
        -4 + 3 * sin(t / 900 + series) + randNormal(0, 0.8) AS edge,
        sum(randNormal(0, 0.3)) OVER (PARTITION BY series ORDER BY t) AS walk
    FROM (SELECT number % {SERIES} AS series, intDiv(number, {SERIES}) AS t FROM numbers({ROWS}))
)
"""
COLUMNS = {
    "edge, Nullable(Decimal(18, 4))": "if(t % 97 = 0, NULL, toDecimal64(round(edge, 4), 4))",
    "price, Decimal(38, 18)": "toDecimal128(round(price, 2), 18)",
    "event time, DateTime64(9, 'UTC')": "fromUnixTimestamp64Nano(event_ns, 'UTC')",
    "window start, DateTime64(9, 'UTC')": "fromUnixTimestamp64Nano(window_ns, 'UTC')",
    "stored at, DateTime64(3, 'UTC')": "fromUnixTimestamp64Milli(stored_ms, 'UTC')",
    "offset, UInt64": "offset",
    "evaluations, UInt32": "evaluations",
}
CODECS = ("LZ4", "ZSTD(1)", "ZSTD(3)", "Delta, ZSTD(1)", "DoubleDelta, ZSTD(1)", "T64, ZSTD(1)")
NO_T64 = ("price",)


def bytes_per_value(url: str, column_type: str, value: str, codec: str) -> float:
    """What a column of a type takes under a codec."""
    ask(url, "DROP TABLE IF EXISTS sized SYNC", DATABASE)
    column = f"series UInt16, t UInt32, value {column_type} CODEC({codec})"
    wide = "SETTINGS min_bytes_for_wide_part = 0"
    ask(url, f"CREATE TABLE sized ({column}) ENGINE = MergeTree ORDER BY (series, t) {wide}", DATABASE)
    ask(url, f"INSERT INTO sized SELECT series, t, {value} FROM source", DATABASE)
    ask(url, "OPTIMIZE TABLE sized FINAL", DATABASE)
    sizes = "SELECT sum(column_data_compressed_bytes) FROM system.parts_columns"
    return (
        int(ask(url, f"{sizes} WHERE database = '{DATABASE}' AND table = 'sized' AND active AND column = 'value'"))
        / ROWS
    )


def main(url: str) -> None:
    """Print the table, in Markdown."""
    ask(url, f"CREATE DATABASE IF NOT EXISTS {DATABASE}")
    ask(url, "DROP TABLE IF EXISTS source SYNC", DATABASE)
    ask(url, SOURCE, DATABASE)
    print(f"| column | {' | '.join(CODECS)} |\n|---|{'---:|' * len(CODECS)}")
    for column, value in COLUMNS.items():
        name, column_type = column.split(", ", 1)
        fitting = [codec for codec in CODECS if name not in NO_T64 or not codec.startswith(("T64", "D"))]
        sizes = {codec: f"{bytes_per_value(url, column_type, value, codec):.2f}" for codec in fitting}
        print(f"| {name}, `{column_type}` | {' | '.join(sizes.get(codec, '') for codec in CODECS)} |", flush=True)
    ask(url, f"DROP DATABASE {DATABASE}")


if __name__ == "__main__":
    main(sys.argv[1])
