"""Every file of deploy/clickhouse/questions answers what it says, worked out by hand from the rows of known.py."""

import re
from datetime import datetime
from pathlib import Path

import pytest

from tests.clickhouse.asking import lines
from tests.clickhouse.known import BACK, BTC, ETH, SPOT, THERE, H, after

FOLDER = Path(__file__).parents[2] / "deploy" / "clickhouse" / "questions"
FILES = sorted(FOLDER.glob("*.sql"))
HORIZONS = ("0", "10", "50", "100", "250", "500", "1000", "2500", "5000", "10000", "60000")


def second(time: datetime) -> str:
    """A time as an answer shows it."""
    return time.strftime("%Y-%m-%d %H:%M:%S")


def nano(time: datetime) -> str:
    """The same of a column with nanoseconds."""
    return f"{second(time)}.000000000"


def survival(direction: str, alive: dict[str, tuple[int, str]], closed: int) -> list[list[str]]:
    """The rows of one direction, where none is left after the horizons that are named."""
    return [[direction, ms, str(alive.get(ms, (0, ""))[0]), str(closed), alive.get(ms, (0, "0"))[1]] for ms in HORIZONS]


def weekday(time: datetime) -> list[str]:
    """Day and hour of the week."""
    return [str(time.isoweekday()), str(time.hour)]


KNOWN = {
    "opportunities_per_hour": [
        [second(after(hours=1)), ETH, SPOT, "1", "40", "40", "400"],
        [second(after(hours=1)), BTC, BACK, "1", "5", "5", "25"],
        [second(H), BTC, THERE, "2", "40", "30", "26.6667"],
    ],
    "survival": [
        *survival(THERE, {"0": (2, "1"), "10": (2, "1"), "50": (2, "1"), "100": (1, "0.5"), "250": (1, "0.5")}, 2),
        *survival(BACK, {"0": (1, "1")}, 1),
    ],
    "profit_by_size": [
        ["1000", "2", "45", "22.5", "150"],
        ["5000", "1", "10", "10", "20"],
        ["10000", "1", "30", "30", "30"],
    ],
    "best_hours_of_week": [
        [*weekday(after(hours=1)), "2", "45", "22.5"],
        [*weekday(H), "2", "40", "20"],
    ],
    "why_no_signal": [
        [second(after(hours=1)), "book_gap", "6", "0.75"],
        [second(after(hours=1)), "no_edge", "2", "0.25"],
        [second(H), "no_edge", "40", "0.8"],
        [second(H), "below_threshold", "5", "0.1"],
        [second(H), "signal", "5", "0.1"],
    ],
    "invalid_books": [
        ["bybit", "perp", "silent", "2", "30", "0.5"],
        ["binance", "perp", "gap", "1", "3", "0.025"],
        ["bybit", "perp", "crossed", "1", "0", "0"],
    ],
    "edge_quantiles": [
        [BTC, THERE, "5", "1.04", "1.4", "3", "4.6", "4.96", "9", "1"],
        [ETH, SPOT, "2", "-1.99", "-1.9", "-1.5", "-1.1", "-1.01", "-0.5", "0"],
    ],
    "funding_differential": [
        [BTC, "binance", "bybit", nano(after(hours=8)), "0.0001", "0.0003", "2", "2"],
        [BTC, "binance", "bybit", nano(after(hours=12)), "0", "0.0001", "1", "3"],
        [BTC, "binance", "bybit", nano(after(hours=16)), "0.0002", "-0.0001", "-3", "0"],
    ],
    "latency_of_signals": [
        ["received to sent", "3", "2", "2.8", "2.98", "3"],
        ["sent to stored", "3", "498", "498.8", "498.98", "499"],
        ["received to stored", "3", "500", "500", "500", "500"],
    ],
    "latency_of_feeds": [["binance", "perp", "2", "15", "38", "49.8", "60", "6", "10"]],
    "sensitivity_to_fees": [
        ["0", "4", "4", "149", "149"],
        ["0.25", "4", "4", "133", "133"],
        ["0.5", "4", "4", "117", "117"],
        ["0.75", "4", "4", "101", "101"],
        ["0.9", "4", "4", "91.4", "91.4"],
        ["1", "4", "4", "85", "85"],
        ["1.1", "4", "4", "78.6", "78.6"],
        ["1.25", "4", "4", "69", "69"],
        ["1.5", "4", "3", "53", "56"],
        ["2", "4", "1", "21", "32"],
    ],
    "sensitivity_to_slippage": [
        ["0", "4", "4", "111", "111"],
        ["0.5", "4", "4", "109.1913", "109.1913"],
        ["1", "4", "4", "107.3826", "107.3826"],
        ["1.5", "4", "4", "105.5739", "105.5739"],
        ["2", "4", "4", "103.7652", "103.7652"],
        ["3", "4", "4", "100.1478", "100.1478"],
        ["5", "4", "4", "92.913", "92.913"],
        ["10", "4", "4", "74.826", "74.826"],
    ],
    "top_pairs": [
        [BTC, "3", "45", "124", "56", "24", "1", "0.3629", THERE],
        [ETH, "1", "40", "50", "8", "2", "0", "0.8", SPOT],
    ],
}


def test_every_question_has_its_known_answer() -> None:
    """A file without one would be a guess."""
    assert {path.stem for path in FILES} == set(KNOWN)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_question_answers_what_is_known(path: Path, known: str, clickhouse: str) -> None:
    """Read as the reader: what came twice counts once, and what is too old not at all."""
    _, rows = lines(clickhouse, path.read_text(), known)

    assert rows == KNOWN[path.stem]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_question_says_what_to_expect(path: Path, empty: str, clickhouse: str) -> None:
    """First what it answers, as a question; then its columns, which an empty store shows too; one line says how far
    back it looks."""
    text = path.read_text()
    names, rows = lines(clickhouse, text, empty)

    comment = " ".join(line.removeprefix("-- ") for line in text.splitlines() if line.startswith("--"))
    assert re.match(r"[A-Z][^?]*\?", comment)
    (expected,) = re.findall(r"^-- Columns: (.+)$", text, re.MULTILINE)
    assert (names, rows) == (expected.split(", "), [])
    assert len(re.findall(r"now\(\) - INTERVAL \d+ DAY AS since", text)) == 1


def test_the_view_shows_each_opportunity_at_its_best(known: str, clickhouse: str) -> None:
    """One row each, the event that would have made the most, also where it came twice."""
    columns = "symbol, exchange_buy, exchange_sell, buy_price, profit_usd, profit_percentage, timestamp"
    view = f"SELECT {columns} FROM arbitrage_opportunities WHERE profit_usd < 500 ORDER BY profit_usd"
    _, rows = lines(clickhouse, view, known)

    assert rows == [
        [BTC, "bybit", "binance", "100", "5", "0.25", nano(after(hours=1))],
        [BTC, "binance", "bybit", "100", "10", "0.2", nano(after(minutes=20))],
        [BTC, "binance", "bybit", "100", "30", "0.3", nano(after(minutes=11))],
        [ETH, "binance", "bybit", "100", "40", "4", nano(after(hours=1))],
    ]


def test_the_documentation_names_every_question() -> None:
    """docs/clickhouse.md lists each file with the question it answers."""
    text = (FOLDER.parents[2] / "docs" / "clickhouse.md").read_text()
    listed = re.findall(r"^\| `(\w+)\.sql` \| (.+\?) \|$", text, re.MULTILINE)

    assert [name for name, _ in listed] == [path.stem for path in FILES]
    for name, question in listed:
        comment = (FOLDER / f"{name}.sql").read_text().split("-- Columns:")[0]
        assert " ".join(comment.replace("--", "").split()).startswith(question)
