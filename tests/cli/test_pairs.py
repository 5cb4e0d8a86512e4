"""`mts-stream pairs`: the registry's pairs, and what it says of every instrument."""

import json
from typing import Any

import pytest
from click.testing import CliRunner

from mts_stream.commands import pairs as command
from mts_stream.commands.pairs import ends_of, explained, last_catalogues, last_listings
from mts_stream.exchanges.catalogue import (
    KIND,
    CatalogueRow,
    MarketCatalogue,
    catalogue_key,
    encode_catalogue,
    row_notes,
)
from mts_stream.wire.envelope import encode_envelope
from mts_stream.wire.kafka import Record
from mts_stream.wire.topics import INSTRUMENTS

END_MS = 1_795_564_800_000
LEG = {
    "venue": "bybit", "market": "perp", "symbol": "SHIB1000USDT", "multiplier": "1000", "tick_size": "0.1",
    "lot_size": "1", "min_notional": "5", "funding_interval_hours": 8, "fee_group": "default", "status": "trading",
    "reference_price": "0.02",
}  # fmt: skip
TAKEN = CatalogueRow(
    "SHIB1000USDT", "SHIB1000", "USDT", "trading", "SHIB-USDT", 1000, "innovation", "12345", END_MS, True
)  # fmt: skip
STOCK = CatalogueRow("AAPLUSDT", "AAPL", "USDT", "trading", "AAPL-USDT", reason="type stock")


def record(key: bytes, kind: str, frame: bytes) -> Record:
    """A record of `mts.instruments`."""
    value = encode_envelope(
        venue="mts", market="all", channel="instruments", kind=kind, symbol=key.decode(), pair="", received_ns=1,
        conn="registry", gen=1, seq=1, frame=frame,
    )  # fmt: skip
    return Record(INSTRUMENTS, 0, 0, key, value, 0)


def catalogue(*rows: CatalogueRow) -> Record:
    """What the owner says of Bybit's perps."""
    frame = encode_catalogue(MarketCatalogue("bybit", "perp", list(rows)))
    return record(catalogue_key("bybit", "perp"), KIND, frame)


class Topic:
    """A reader of these records."""

    def __init__(self, records: list[Record]) -> None:
        self.records = records

    def __call__(self, *_: Any) -> "Topic":
        return self

    def __enter__(self) -> "Topic":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def read_to_end(self) -> list[Record]:
        """All of them."""
        return self.records


@pytest.fixture
def say(monkeypatch: pytest.MonkeyPatch) -> Any:
    """What the command says of a topic with one pair and a catalogue."""
    frame = json.dumps({"pair": "SHIB-USDT", "quarantined": None, "legs": [LEG]}).encode()
    topic = Topic([record(b"SHIB-USDT", "registry", frame), catalogue(STOCK), catalogue(STOCK, TAKEN)])
    monkeypatch.setattr(command, "Reader", topic)

    def run(*arguments: str) -> Any:
        return CliRunner().invoke(command.pairs, arguments)

    return run


def test_pairs_and_catalogues_do_not_disturb_each_other() -> None:
    """A key with an @ is no pair, and an unreadable catalogue hides no other."""
    bad = catalogue(STOCK)._replace(value=b"{")
    assert last_listings([catalogue(STOCK), bad]) == {}
    (read,) = last_catalogues([catalogue(TAKEN), bad])
    assert (read.venue, read.market, read.instruments) == ("bybit", "perp", [TAKEN])
    assert ends_of([read]) == {("bybit", "perp", "SHIB1000USDT"): END_MS}


def test_what_is_taken_comes_first_and_text_finds_pair_and_symbol() -> None:
    """So that a reader sees the watched ones without scrolling."""
    catalogues = last_catalogues([catalogue(STOCK, TAKEN)])
    assert [row.symbol for _, _, row in explained(catalogues, "")] == ["SHIB1000USDT", "AAPLUSDT"]
    assert [row.symbol for _, _, row in explained(catalogues, "SHIB-")] == ["SHIB1000USDT"]
    assert [row.symbol for _, _, row in explained(catalogues, "AAPLU")] == ["AAPLUSDT"]


@pytest.mark.parametrize(
    ("row", "notes"),
    [
        (TAKEN, "taken; x1000; fees: innovation; to be delisted at 2026-11-25 00:00 UTC"),
        (STOCK, "not taken: type stock"),
        (CatalogueRow("X", "X", "USDT", "trading", is_taken=True, reason="prices"), "quarantined: prices"),
        (CatalogueRow("X", "X", "USDT", "halted", reason="status halted"), "not taken: status halted"),
        (CatalogueRow("X", "X", "USDT", "settling", is_taken=True), "taken; settling"),
    ],
)
def test_an_instrument_in_words(row: CatalogueRow, notes: str) -> None:
    """The verdict with its reason first, then what is unusual about it."""
    assert row_notes(row) == notes


def test_the_list_shows_pairs_with_their_ends(say: Any) -> None:
    """One line a pair; JSON as it was published."""
    assert say().output == ("SHIB-USDT        bybit:perp SHIB1000USDT x1000 (to be delisted at 2026-11-25 00:00 UTC)\n")
    assert json.loads(say("--json", "--pair", "shib1000").output)["legs"] == [LEG]
    assert "nothing in the registry has 'NOPE' in its name" in say("--pair", "NOPE").output


def test_everything_is_explained(say: Any) -> None:
    """A table for people, one object per instrument for programs."""
    shown = say("--explain").output
    assert "AAPL-USDT  bybit:perp  AAPLUSDT" in shown and "not taken: type stock" in shown
    (row,) = (json.loads(line) for line in say("--explain", "--json", "--pair", "AAPL").output.splitlines())
    assert row == {
        "venue": "bybit", "market": "perp", "symbol": "AAPLUSDT", "base": "AAPL", "quote": "USDT",
        "status": "trading", "pair": "AAPL-USDT", "reason": "type stock",
    }  # fmt: skip


def test_an_empty_registry_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has published anything."""
    monkeypatch.setattr(command, "Reader", Topic([]))
    assert "`python -m producers pairs` asks the venues" in CliRunner().invoke(command.pairs, []).output
