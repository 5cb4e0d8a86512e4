"""The quick readers take what the models take, and refuse what they refuse."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mts_stream.errors import BadRecordError
from mts_stream.sinks import rows
from mts_stream.wire import quick, topics
from mts_stream.wire.results import parse_spread
from mts_stream.wire.signals import parse_signal
from tests.sinks import messages

ARBITRAGE = [messages.of_type(f"arbitrage.{kind}") for kind in ("opened", "updated", "closed")]
ODD: st.SearchStrategy[Any] = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.floats(0.1, 0.9), st.text(max_size=3), st.just([]), st.just({}),
    st.sampled_from(["1.50", "-0", "0.000000000000000000001", "9" * 30, "perp", "buy", "a:perp>b:perp\n"]),
    st.sampled_from([2**63, -(2**63)]),
)  # fmt: skip


def outcome(topic: str, value: bytes) -> list[rows.Row] | str:
    """The rows of a message, or why it has none."""
    try:
        return rows.rows_of(topic, messages.delivery(value))
    except BadRecordError as error:
        return f"{error.reason} {error.detail.split(':')[0]}"


def by_models(topic: str, value: bytes) -> list[rows.Row] | str:
    """The same with the models alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows, "read_spread", parse_spread)
        patch.setattr(rows, "read_signal", parse_signal)
        return outcome(topic, value)


def test_captures_are_read_quickly_and_alike() -> None:
    """Every window and every arbitrage message, by the quick reader itself, with the models' rows."""
    for row in messages.windows("random-a"):
        value = messages.delivery(row).value or b""
        assert isinstance(quick.read_spread(value), quick.QuickSpread)
        assert outcome(topics.SPREADS, value) == by_models(topics.SPREADS, value)
    for message in messages.arbitrage("random-a"):
        value = messages.delivery(message).value or b""
        assert isinstance(quick.read_signal(value), quick.QuickOpen | quick.QuickClosed)
        assert outcome(topics.SIGNALS, value) == by_models(topics.SIGNALS, value)


@pytest.mark.parametrize("message", messages.signals(), ids=lambda message: message["type"])
def test_every_signal_is_read(message: dict[str, Any]) -> None:
    """Also those that only their models know."""
    value = messages.delivery(message).value or b""

    assert outcome(topics.SIGNALS, value) == by_models(topics.SIGNALS, value)
    assert not isinstance(outcome(topics.SIGNALS, value), str)


@given(data=st.data())
def test_an_odd_message_has_the_same_rows_or_none_by_either(data: st.DataObject) -> None:
    """A field of another value, one that lacks, one too many, in the message or in a leg."""
    topic, message = data.draw(st.sampled_from([(topics.SPREADS, messages.windows()[0]), *(
        (topics.SIGNALS, each) for each in ARBITRAGE)]))  # fmt: skip
    changed: dict[str, Any] = json.loads(json.dumps(message))
    place = changed["legs"][0] if "legs" in changed and data.draw(st.booleans()) else changed
    name = data.draw(st.sampled_from([*place, "unheard_of"]))
    if data.draw(st.booleans()):
        place[name] = data.draw(ODD)
    else:
        place.pop(name, None)
    value = json.dumps(changed).encode()
    ours, theirs = outcome(topic, value), by_models(topic, value)

    assert isinstance(ours, str) == isinstance(theirs, str), (ours, theirs)
    assert isinstance(ours, str) or ours == theirs


@pytest.mark.parametrize("value", [None, b"", b"{", b"null", b"[]", b'"arbitrage.closed"', b"\xff"])
def test_what_is_no_message_is_refused(value: bytes | None) -> None:
    """By the model's own words."""
    for read in (quick.read_spread, quick.read_signal):
        with pytest.raises(BadRecordError):
            read(value)
