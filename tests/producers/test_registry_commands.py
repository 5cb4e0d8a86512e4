"""`python -m producers pairs` and `funding-history` against a simulator, as their users call them."""

import asyncio
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from mts_stream.exchanges.binance import BinancePerp
from producers import registry_commands
from producers.commands import main
from producers.funding_history import HOUR_MS, requests_needed, settlements
from producers.rest import BadAnswerError, RestClient
from producers.simulator.simulator import Simulator

DAYS = 60


async def invoke(simulator: Simulator, monkeypatch: pytest.MonkeyPatch, *arguments: str, **env: str) -> Result:
    """Run a command against the simulator, from a thread: it has a loop of its own."""
    monkeypatch.setattr(registry_commands, "configure_logging", lambda *_: None)
    for name, value in (simulator.urls | env).items():
        monkeypatch.setenv(name, value)
    return await asyncio.to_thread(CliRunner().invoke, main, arguments)


async def test_every_instrument_is_listed_with_its_reason(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without Kafka and without producers: what they would take now."""
    asked = await invoke(simulator, monkeypatch, "pairs", "--json", PAIRS_TOP="3")
    rows = {(row["venue"], row["market"], row["symbol"]): row for row in map(json.loads, asked.stdout.splitlines())}
    assert rows["bybit", "perp", "BTCUSDT"]["is_taken"]
    assert rows["bybit", "perp", "AAPLUSDT"]["reason"] == "type stock"
    assert rows["binance", "perp", "XRPUSDT"]["reason"].endswith("PAIRS_TOP=3")
    told = await invoke(simulator, monkeypatch, "pairs", "--pair", "shib")
    assert len(told.stdout.splitlines()) == 4 and "SHIB1000USDT" in told.stdout


async def test_an_unknown_pair_is_exit_2_with_the_nearest(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever named it: the settings or the option."""
    asked = await invoke(simulator, monkeypatch, "pairs", PAIRS="BTCC-USDT")
    assert asked.exit_code == 2 and "PAIRS: no venue lists 'BTCC-USDT'; the nearest are BTC-USDT" in asked.stderr
    asked = await invoke(simulator, monkeypatch, "funding-history", "--pair", "BTCC-USDT")
    assert asked.exit_code == 2 and "--pair: no venue lists 'BTCC-USDT'" in asked.stderr


async def test_a_venue_that_is_away_is_exit_1(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line with the setting to look at."""
    nowhere = "http://127.0.0.1:1"
    asked = await invoke(simulator, monkeypatch, "pairs", BINANCE_SPOT_REST_URL=nowhere)
    assert asked.exit_code == 1 and "check BINANCE_SPOT_REST_URL" in asked.stderr


async def test_funding_is_written_whole(simulator: Simulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Every settlement once, oldest first, from both venues, though one answers from the end of a span."""
    path = tmp_path / "funding.jsonl"
    arguments = ("--pair", "BTC-USDT", "--pair", "doge-usdt", "--days", str(DAYS), "--out", str(path))
    asked = await invoke(simulator, monkeypatch, "funding-history", *arguments)
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert asked.exit_code == 0 and f"{len(rows):,} settlements" in asked.stderr

    by_leg: dict[tuple[str, str], list[Any]] = {}
    for row in rows:
        by_leg.setdefault((row["venue"], row["symbol"]), []).append(row)
    assert set(by_leg) == {(v, s) for v in ("binance", "bybit") for s in ("BTCUSDT", "DOGEUSDT")}
    for (venue, symbol), settled in by_leg.items():
        hours = simulator.market.legs[venue, "perp", symbol].listing.funding_interval_hours or 0
        steps = {b["settled_ns"] - a["settled_ns"] for a, b in pairwise(settled)}
        assert steps == {hours * HOUR_MS * 1_000_000}
        assert len(settled) == DAYS * 24 // hours
        assert {row["rate_type"] for row in settled} == {"regular"} and float(settled[0]["rate"])
        assert (settled[0]["mark_price"] is not None) == (venue == "binance")


async def test_a_path_that_cannot_be_written_is_exit_2(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Before any venue is asked."""
    asked = await invoke(
        simulator, monkeypatch, "funding-history", "--pair", "BTC-USDT", "--out", str(tmp_path / "a/b")
    )
    assert asked.exit_code == 2 and "give a path that can be written" in asked.stderr


async def test_a_page_that_may_not_be_all_is_refused(
    clients: list[RestClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rather than a history with a hole that nobody sees."""
    perp = next(client for client in clients if isinstance(client.market, BinancePerp))
    monkeypatch.setattr(perp.market, "funding_page_rows", 4)
    end_ms = 1_795_564_800_000
    assert requests_needed(perp, end_ms - 24 * HOUR_MS, end_ms) == 8
    listed = [row async for rows in settlements(perp, "BTCUSDT", end_ms - 24 * HOUR_MS, end_ms) for row in rows]
    assert [row.settled_ms for row in listed] == [end_ms - hours * HOUR_MS for hours in (24, 16, 8)]
    monkeypatch.setattr(perp.market, "parse_funding_history", lambda body: listed + listed[:1])
    with pytest.raises(BadAnswerError, match="are not all of them"):
        async for _ in settlements(perp, "BTCUSDT", end_ms - HOUR_MS, end_ms):
            pass
