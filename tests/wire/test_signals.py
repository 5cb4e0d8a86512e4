"""The models take exactly what the contract says, and name what does not fit."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from mts_stream.errors import BadRecordError
from mts_stream.wire.results import parse_dead_letter, parse_funding, parse_quality, parse_spread
from mts_stream.wire.signals import NS_MAX, SIGNAL_MODELS, DecimalString, parse_signal
from tests.sinks import messages

DECIMAL: TypeAdapter[str] = TypeAdapter(DecimalString)
OPENED = messages.of_type("arbitrage.opened")


def encoded(message: dict[str, Any]) -> bytes:
    """A message as bytes."""
    return json.dumps(message).encode()


@pytest.mark.parametrize("name", ["btc", "btc.tight", "random-a", "random-b"])
def test_every_message_of_the_captures_fits(name: str) -> None:
    """What two independent implementations say is what the models describe."""
    for message in messages.arbitrage(name):
        assert parse_signal(encoded(message)).type == message["type"]
    for row in messages.windows(name):
        assert parse_spread(encoded(row)).window_start_ns == row["window_start_ns"]


@pytest.mark.parametrize("message", messages.signals(), ids=lambda message: message["type"])
def test_a_type_is_read_by_its_own_model_and_comes_back_unchanged(message: dict[str, Any]) -> None:
    """Reading loses and adds nothing."""
    signal = parse_signal(encoded(message))

    assert type(signal) is SIGNAL_MODELS[message["type"]]
    assert json.loads(signal.model_dump_json()) == message


def test_there_is_a_message_of_every_type() -> None:
    """No model stands untested."""
    assert {message["type"] for message in messages.signals()} == set(SIGNAL_MODELS)


@pytest.mark.parametrize(
    ("change", "reason", "where"),
    [
        ({"type": "arbitrage.exploded"}, "unknown_type", "arbitrage.exploded"),
        ({"size": 1.5}, "bad_message", "size"),
        ({"size": "1e5"}, "bad_message", "size"),
        ({"size": "1.50"}, "bad_message", "size"),
        ({"event": "0"}, "bad_message", "event"),
        ({"event": True}, "bad_message", "event"),
        ({"event": -1}, "bad_message", "event"),
        ({"event_time_ns": NS_MAX + 1}, "bad_message", "event_time_ns"),
        ({"schema_version": 2}, "bad_message", "schema_version"),
        ({"surprise": 1}, "bad_message", "surprise"),
        ({"legs": OPENED["legs"][::-1]}, "bad_message", "legs.0.side"),
        ({"legs": OPENED["legs"][:1]}, "bad_message", "legs"),
        ({"direction": "binance>bybit"}, "bad_message", "direction"),
        ({"opportunity_id": "x"}, "bad_message", "opportunity_id"),
        ({"config_id": "x"}, "bad_message", "config_id"),
        ({"net_usd": None}, "bad_message", "net_usd"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_does_not_fit_is_refused_by_its_place(change: dict[str, Any], reason: str, where: str) -> None:
    """Strictly: no coercion, no unknown field, no missing one."""
    with pytest.raises(BadRecordError) as refused:
        parse_signal(encoded(OPENED | change))
    assert refused.value.reason == reason
    assert where in refused.value.detail


@pytest.mark.parametrize("value", [None, b"", b"{", b"\xff", b"[1]", b"{}"])
def test_bytes_that_are_no_message_are_refused(value: bytes | None) -> None:
    """By every parser; nothing else is ever raised."""
    for parse in (parse_signal, parse_spread, parse_funding, parse_quality, parse_dead_letter):
        with pytest.raises(BadRecordError):
            parse(value)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=12))
def test_plain_decimals_are_taken(number: Any) -> None:
    """Any number, written plainly without trailing zeros."""
    text = f"{number:f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    DECIMAL.validate_python("0" if text in ("-0", "") else text)


@pytest.mark.parametrize(
    "text", ["", "-", "-0", "01", "1.", ".5", "1.0", "1e5", "+1", "NaN", "Infinity", " 1", "1\n", "１"]
)
def test_other_spellings_of_numbers_are_refused(text: str) -> None:
    """One number has one spelling."""
    with pytest.raises(ValidationError):
        DECIMAL.validate_python(text)


def test_outcomes_must_add_up() -> None:
    """A window whose ledger does not balance is no result."""
    row = messages.windows()[0]

    with pytest.raises(BadRecordError, match="outcomes add up to"):
        parse_spread(encoded(row | {"evaluations": row["evaluations"] + 1}))


@pytest.mark.parametrize("message", [messages.book_quality(), messages.connection_quality()])
def test_quality_is_of_two_kinds(message: dict[str, Any]) -> None:
    """Books by the engine, connections by the producers; a mixture is refused."""
    assert parse_quality(encoded(message)).subject == message["subject"]
    with pytest.raises(BadRecordError):
        parse_quality(encoded(message | {"type": "book" if message["type"] == "connection" else "connection"}))
