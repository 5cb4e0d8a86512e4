"""Explain, out of a capture: a signal down to its raw messages, a refusal with what was missing."""

import gzip
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from mts_stream.commands.root import run as command
from mts_stream.domain.economics import EconomicSettings
from mts_stream.errors import SettingsError
from mts_stream.explain.command import explain_command, recorded_settings
from mts_stream.replay import replay
from mts_stream.settings import economic_variables, load_settings
from mts_stream.wire.codec import encode_message
from tests.explain.capture import CAPTURE, Sent, first, lines, signals


@pytest.fixture(scope="module")
def sent() -> list[Sent]:
    """Every signal of the capture."""
    return signals(lines(), EconomicSettings())


class Desk:
    """Where questions about a capture are asked."""

    def __init__(self, capture: Path) -> None:
        self.capture = capture

    def ask(self, *arguments: object) -> Result:
        """The command in this process."""
        return CliRunner().invoke(explain_command, [*map(str, arguments), "--capture", str(self.capture)])

    def answer(self, *arguments: object) -> dict[str, Any]:
        """What it says to programs."""
        asked = self.ask(*arguments, "--json")
        assert asked.exit_code == 0, f"{asked.output} {asked.exception!r}"
        told: dict[str, Any] = json.loads(asked.stdout)
        return told


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """A desk with the capture."""
    path = tmp_path_factory.mktemp("capture") / "btc.jsonl.gz"
    path.write_bytes(gzip.compress(b"\n".join(lines()), 1))
    return Desk(path)


def at(direction: str, time: object, pair: str = "BTC-USDT") -> tuple[object, ...]:
    """A question about a moment."""
    return "--pair", pair, "--direction", direction, "--at", time


def test_a_signal_names_its_raw_messages_and_adds_up(sent: list[Sent], desk: Desk) -> None:
    """Both legs' records with their lines, the full books below them, each cost, and the message itself."""
    offset, message = first(sent, lambda m: m.type == "arbitrage.updated")
    expected = json.loads(encode_message(message))
    told = desk.answer(message.id)
    evaluation, records = told["look"]["evaluation"], told["look"]["legs"]

    assert json.loads(told["message"]["recomputed"]) == expected and told["message"]["sent"] is None
    assert told["look"]["record"]["offset"] == offset
    assert [leg["applied"]["message_id"] for leg in records] == [leg["message_id"] for leg in expected["legs"]]
    for leg in records:
        for record in (leg["applied"], leg["full_book"]):
            line = json.loads(lines()[record["offset"]])
            assert record["place"] == f"btc.jsonl.gz line {record['offset'] + 1}"
            assert record["message_id"].endswith(f"/{line['conn']}/{line['gen']}/{line['seq']}")
    assert evaluation["amounts"] == {name: expected[name] for name in evaluation["amounts"]}
    assert sum(Decimal(step["kept"]) for step in evaluation["walk"]["steps"]) == Decimal(expected["size"])
    assert all(gate["passed"] for gate in evaluation["gates"])


def test_a_closed_signal_is_explained_by_its_last_open_evaluation(sent: list[Sent], desk: Desk) -> None:
    """The amounts that `closed` repeats are those of another record than the one that ended it."""
    offset, message = first(sent, lambda m: m.type == "arbitrage.closed" and m.reason == "book_gap")
    told = desk.answer(message.id)
    amounts = told["look"]["evaluation"]["amounts"]

    assert amounts == {name: getattr(message, name) for name in amounts}
    assert told["look"]["record"]["offset"] < offset == told["ending"]["record"]["offset"]
    assert told["ending"]["evaluation"]["outcome"] == "book_gap"
    assert [event["type"] for event in told["events"]][-1] == "arbitrage.closed"


def test_an_opportunity_is_explained_by_its_opening(sent: list[Sent], desk: Desk) -> None:
    """Asked by its own id, all its events are listed."""
    opportunity = first(sent, lambda m: m.type == "arbitrage.updated").message.opportunity_id
    told = desk.answer(opportunity)

    assert told["signal_type"] == "arbitrage.opened"
    mine = [m.id for _, m in sent if getattr(m, "opportunity_id", "") == opportunity]
    assert [event["id"] for event in told["events"]] == mine


@pytest.mark.parametrize("kind", ["funding.opened", "funding.closed", "funding.anomaly"])
def test_other_signals_are_explained_too(kind: str, sent: list[Sent], desk: Desk) -> None:
    """What is judged at a window's end, or about a leg alone, with the numbers that decided."""
    _, message = first(sent, lambda m: m.type == kind)
    told = desk.answer(message.id)

    assert json.loads(told["message"]["recomputed"]) == json.loads(encode_message(message))
    if kind == "funding.opened":
        legs = told["look"]["evaluation"]["legs"]
        rates = [Decimal(leg["funding"]["rates"]) for leg in legs]
        assert (rates[1] - rates[0]) * 10_000 == Decimal(message.carry_bps)
        assert [leg["message_id"] for leg in legs] == [leg.message_id for leg in message.legs]
    shown = desk.ask(message.id).stdout
    assert kind in shown and ("What was judged" in shown or kind == "funding.anomaly")


@pytest.mark.parametrize(
    ("direction", "time", "told"),
    [
        (
            "binance:spot>bybit:perp",
            "2024-08-08T23:54:17.318Z",
            r"refused, funding_unknown: bybit:perp: no funding record",
        ),
        (
            "binance:spot>bybit:perp",
            "2024-08-08T23:54:15.4",
            "refused, book_empty: the book of the sell leg bybit:perp",
        ),
        (
            "bybit:perp>binance:perp",
            "2024-08-09T01:54:36.9+02:00",
            "is not valid but gap, for 471 ms (depth frame binance",
        ),
        ("binance:perp>bybit:perp", 1723161256500000000, "signal: net "),
        (
            "bybit:spot>binance:spot",
            "2024-08-08T23:54:17.6",
            "refused, no_edge: touch edge 12.0162 bps, needed > 22.0242",
        ),
    ],
)
def test_a_refusal_says_what_was_missing(direction: str, time: object, told: str, desk: Desk) -> None:
    """The outcome of the last evaluation at or before the time, in a sentence with its numbers."""
    verdict = desk.answer(*at(direction, time))["verdict"]

    if "signal" not in told:
        assert told in verdict
    else:
        assert verdict.startswith(("signal", "refused"))


def test_what_fell_short_of_the_threshold_shows_what_costs_took(sent: list[Sent], desk: Desk) -> None:
    """So much was earned, so much was needed, and where the difference went."""
    _, message = first(sent, lambda m: m.type == "arbitrage.closed" and m.reason == "below_threshold")
    told = desk.answer(*at(message.direction, message.event_time_ns))

    assert told["verdict"].startswith("refused, below_threshold: net ")
    assert "fees took" in told["verdict"] and "short" in told["verdict"]
    assert told["look"]["evaluation"]["event_time_ns"] == message.event_time_ns


def test_a_moment_between_records_has_the_evaluation_before_it(sent: list[Sent], desk: Desk) -> None:
    """Nothing that came later counts, and a record of another leg evaluates nothing."""
    _, message = first(sent, lambda m: m.type == "arbitrage.opened")
    before = desk.answer(*at(message.direction, message.event_time_ns - 1))["look"]["evaluation"]
    then = desk.answer(*at(message.direction, message.event_time_ns))["look"]["evaluation"]

    assert before["event_time_ns"] < message.event_time_ns == then["event_time_ns"]
    assert before["outcome"] != "signal" and then["outcome"] == "signal"


def test_people_can_read_it(sent: list[Sent], desk: Desk) -> None:
    """Verdict, messages, books with their depth, walk, costs, gates, limits and the message, in this order."""
    _, message = first(sent, lambda m: m.type == "arbitrage.closed" and m.reason == "no_edge")
    shown = desk.ask(message.id, "--levels", 3).stdout
    parts = [
        "signal: net", "Its events", "Raw messages", "Books", "The walk", "Costs", "Gates", "Limits", "What ended it",
        "refused, no_edge", "The message",
    ]  # fmt: skip

    assert [part for part in parts if part not in shown] == []
    assert [shown.index(part) for part in parts] == sorted(shown.index(part) for part in parts)
    assert "█" in shown and "MAX_NOTIONAL was reached" in shown and f"{message.net_bps} bps of" in shown


def recording(folder: Path, **settings: str) -> Path:
    """A capture with what was sent and the settings beside it, as `demo --record` leaves them."""
    chosen = load_settings(**settings)
    (folder / "settings.json").write_text(json.dumps(economic_variables(chosen)))
    path = folder / "capture-0.jsonl.gz"
    path.write_bytes(gzip.compress(b"\n".join(lines()), 1))
    replay([path], folder, chosen.economics())
    return path


def test_a_recording_is_held_against_what_was_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Under its own settings byte for byte but for emitted_ns; under others it is told that they differ."""
    recorded = Desk(recording(tmp_path, max_notional="20000"))
    name = tmp_path / "signals.jsonl"
    name.write_bytes(name.read_bytes().replace(b'"emitted_ns":17', b'"emitted_ns":18'))
    wanted = json.loads(name.read_text().splitlines()[3])["id"]

    assert recorded.answer(wanted)["message"]["equal"] is True
    assert "byte for byte" in recorded.ask(wanted).stdout

    monkeypatch.setenv("SIGNAL_TTL_MS", "1600")
    other = recorded.answer(wanted)
    assert sorted(other["message"]["differences"]) == ["config_id", "expires_ns"]
    assert other["message"]["equal"] is False and "other settings" in other["notes"][0]

    monkeypatch.setenv("ARBITRAGE_MIN_PROFIT_USD", "9999")
    assert command(["explain", wanted, "--capture", str(recorded.capture)]) == 1
    assert "signals.jsonl has it: it was sent under other settings" in capsys.readouterr().err


def test_settings_of_another_shape_are_no_recordings(tmp_path: Path) -> None:
    """The conformance folder's file of that name holds something else; the environment is stronger."""
    assert recorded_settings([CAPTURE]) == {}
    (tmp_path / "settings.json").write_text("{")
    assert recorded_settings([tmp_path / "capture-0.jsonl"]) == {}


def test_what_is_nowhere_says_what_was_searched(
    sent: list[Sent], capsys: pytest.CaptureFixture[str], desk: Desk
) -> None:
    """An unknown id, event, pair, direction or time: exit 1 or 2, and what there is instead."""
    opportunity = first(sent, lambda m: m.type == "arbitrage.opened").message.opportunity_id
    for arguments, code, said in (
        (("11111111-1111-1111-1111-111111111111-3",), 1, f"{len(lines())} records lead to "),
        ((f"{opportunity}-99",), 1, f"has the events {opportunity}-0, "),
        (at("binance:perp>bybit:perp", 0), 1, "its first is at 2024-08-08 23:54:15.343040261 UTC"),
        (at("binance:perp>bybit:perp", 0, pair="NO-USDT"), 1, "does not list it"),
        (at("binance:perp>kraken:perp", 0), 2, "it has binance:perp>bybit:perp, "),
    ):
        assert command(["explain", *map(str, arguments), "--capture", str(desk.capture)]) == code
        told = capsys.readouterr()

        assert told.out == "" and said in told.err and told.err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [(), ("--pair", "BTC-USDT"), ("x", "--at", "1"), ("x", "--kafka"), at("a>b", "yesterday"), at("a>b", "2024-13-01")],
)
def test_a_question_that_is_none_is_refused(arguments: tuple[object, ...], desk: Desk) -> None:
    """Neither an id nor a whole moment, two sources, or no time."""
    assert desk.ask(*arguments).exit_code == 2


def test_a_fee_that_is_missing_is_told(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a book was refused before its fee was asked for."""
    fees = tmp_path / "fees.toml"
    fees.write_text('[[fee]]\nvenue = "binance"\nmarket = "perp"\ntaker_bps = 5\nvalid_from = 2024-01-01\n')
    monkeypatch.setenv("FEES_FILE", str(fees))

    refused = desk.ask(*at("binance:spot>bybit:perp", "2024-08-08T23:54:15.4"))

    assert isinstance(refused.exception, SettingsError) and "no fee of" in str(refused.exception)
