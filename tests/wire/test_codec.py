"""Each kind of raw record becomes its domain event; each result becomes the message that its topic promises."""

import json
from base64 import b64decode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mts_stream.domain.market_data import (
    AuditRecord,
    ConnectionStatus,
    DepthUpdate,
    FundingUpdate,
    Origin,
    RegistryUpdate,
)
from mts_stream.domain.messages import Message
from mts_stream.errors import BadRecordError
from mts_stream.wire import topics
from mts_stream.wire.codec import (
    DETAIL_CHARS_MAX,
    PAYLOAD_BYTES_MAX,
    dead_letter,
    decode_record,
    encode_message,
    headers_of,
    key_of,
    topic_of,
)
from mts_stream.wire.results import parse_dead_letter, parse_funding, parse_quality, parse_spread
from mts_stream.wire.signals import parse_signal
from tests.wire import records
from tests.wire.records import EVENT_NS, LISTING, PAIR, raw

STATUS = {"channel": "depth", "kind": "status", "symbol": "", "pair": ""}
REGISTRY = {"venue": "mts", "market": "all", "channel": "instruments", "kind": "registry", "symbol": ""}


def reason_of(value: bytes) -> str:
    """Why a record is refused."""
    with pytest.raises(BadRecordError) as refused:
        decode_record(value)
    assert "binance/perp" in refused.value.detail or "mts/all" in refused.value.detail or PAIR in refused.value.detail
    return refused.value.reason


def test_a_binance_diff_changes_the_book() -> None:
    """A diff carries its three ids, the exchange's time in ns, and the levels as the exchange wrote them."""
    event = decode_record(raw(records.BINANCE_DIFF))

    assert isinstance(event, DepthUpdate) and not event.replaces and not event.is_keyframe
    assert (event.first_id, event.last_id, event.previous_id) == (101, 105, 100)
    assert event.exchange_ns == 1795402801240 * 10**6
    assert (event.bids, event.asks) == (b'[["59990.10","1.500"]]', b'[["60000.00","0"]]')


def test_the_origin_is_the_envelope() -> None:
    """Where a record came from, and when, stands in the event."""
    event = decode_record(raw(records.BINANCE_DIFF))

    assert event.origin == Origin(
        "binance", "perp", "BTCUSDT", PAIR, "binance-perp-0", 1795402790123, 4711, EVENT_NS
    )  # fmt: skip


def test_a_keyframe_replaces_the_book() -> None:
    """A keyframe is the whole book, with the range in which it is known."""
    event = decode_record(raw(records.BINANCE_BOOK, kind="keyframe", known_range=("59000", "61000")))

    assert isinstance(event, DepthUpdate) and event.replaces and event.is_keyframe
    assert event.last_id == 100 and event.known_range == ("59000", "61000")


def test_a_bybit_snapshot_replaces_the_book() -> None:
    """Bybit's own snapshot is the whole book, without being a keyframe of ours."""
    event = decode_record(raw(records.BYBIT_BOOK, venue="bybit"))

    assert isinstance(event, DepthUpdate) and event.replaces and not event.is_keyframe and event.last_id == 7


@pytest.mark.parametrize(
    ("venue", "frame", "rate", "hours"),
    [("binance", records.BINANCE_MARK, "-0.00010000", None), ("bybit", records.BYBIT_TICKER, "0.0002", 8)],
)
def test_funding_is_what_the_venue_stated(venue: str, frame: object, rate: str, hours: int | None) -> None:
    """Rate, next settlement and interval: what a venue does not state is None."""
    event = decode_record(raw(frame, venue=venue, channel="funding"))

    assert isinstance(event, FundingUpdate)
    assert (event.rate, event.interval_hours, event.next_funding_ns) == (rate, hours, 1795420800000 * 10**6)


@pytest.mark.parametrize("state", ["up", "alive", "down"])
def test_a_status_is_one_of_three(state: str) -> None:
    """A connection is up, alive or down, and may say why."""
    event = decode_record(raw({"state": state, "reason": "ping timeout"}, **STATUS))

    assert isinstance(event, ConnectionStatus) and (event.state, event.reason) == (state, "ping timeout")


def test_a_registry_record_lists_a_pair() -> None:
    """The registry's word on a pair: its legs with exact numbers."""
    event = decode_record(raw(LISTING, **REGISTRY))

    assert isinstance(event, RegistryUpdate) and event.listing.pair == PAIR
    assert [(i.leg, str(i.lot_size)) for i in event.listing.legs] == [("binance:perp", "0.001")]


def test_a_rest_snapshot_moves_nothing() -> None:
    """What is kept for audit alone is not even read."""
    assert isinstance(decode_record(raw({"anything": 1}, kind="snapshot")), AuditRecord)


@pytest.mark.parametrize(
    "value",
    [
        raw({}),
        raw([]),
        raw({**records.BINANCE_DIFF, "u": "105"}),
        raw({name: v for name, v in records.BINANCE_DIFF.items() if name != "pu"}),
        raw({"lastUpdateId": 1, "bids": []}, kind="keyframe"),
        raw({"state": "sleepy"}, **STATUS),
        raw({"reason": "none"}, **STATUS),
        raw({**LISTING, "legs": [{**LISTING["legs"][0], "lot_size": "0"}]}, **REGISTRY),  # type: ignore[index]
        raw({**LISTING, "legs": [{**LISTING["legs"][0], "tick_size": "NaN"}]}, **REGISTRY),  # type: ignore[index]
        raw({**LISTING, "legs": LISTING["legs"] * 2}, **REGISTRY),  # type: ignore[operator]
        raw({}, channel="instruments"),
    ],
)
def test_a_frame_that_is_not_what_it_says_is_refused(value: bytes) -> None:
    """Missing fields, other types, impossible numbers: `bad_frame`, and the detail names the record."""
    assert reason_of(value) == "bad_frame"


@given(st.binary(max_size=50), st.sampled_from(["frame", "keyframe", "status", "registry"]))
def test_no_frame_breaks_the_decoder(garbage: bytes, kind: str) -> None:
    """Any bytes as a frame give an event or a refusal, never another error."""
    try:
        decode_record(raw(json.dumps(garbage.decode("latin-1")).encode(), kind=kind))
    except BadRecordError as refused:
        assert refused.reason in ("bad_frame", "unknown_venue")


RESULTS = [
    (records.opened(), topics.SIGNALS, parse_signal),
    (records.closed(), topics.SIGNALS, parse_signal),
    (records.funding_opened(), topics.SIGNALS, parse_signal),
    (records.window(), topics.SPREADS, parse_spread),
    (records.funding_change(), topics.FUNDING, parse_funding),
    (records.book_quality(), topics.QUALITY, parse_quality),
]


@pytest.mark.parametrize(("message", "topic", "parse"), RESULTS, ids=lambda value: type(value).__name__)
def test_a_result_keeps_to_its_topics_contract(message: Message, topic: str, parse: object) -> None:
    """What the engine says goes to its topic, keyed by pair, in a form that readers' models take."""
    assert (topic_of(message), key_of(message)) == (topic, b"BTC-USDT")
    assert parse(encode_message(message)).pair == PAIR  # type: ignore[operator]


def test_a_signal_says_when_it_was_sent() -> None:
    """`emitted_ns` is the clock when sent; under replay, without a clock, it is event time."""
    assert json.loads(encode_message(records.opened(), EVENT_NS + 5))["emitted_ns"] == EVENT_NS + 5
    assert json.loads(encode_message(records.opened()))["emitted_ns"] == EVENT_NS


def test_signals_travel_as_cloudevents() -> None:
    """A signal's headers name id, type, source, subject and time to the nanosecond; other results have none."""
    assert dict(headers_of(records.opened())) == {
        "ce_specversion": b"1.0",
        "ce_id": b"9b2f6c0e-6a53-5d63-8b8e-0d7d7a3f2c11-0",
        "ce_type": b"arbitrage.opened",
        "ce_source": b"/mts-stream",
        "ce_subject": b"BTC-USDT",
        "ce_time": b"2026-11-23T03:00:01.250000000Z",
        "content-type": b"application/json",
    }
    assert headers_of(records.window()) == []


def letter(payload: bytes | None, detail: str = "no") -> bytes:
    """A dead letter of the worker around a payload."""
    return dead_letter(
        origin="worker", reason="bad_frame", detail=detail, topic="mts.raw", partition=3, offset=42,
        venue="binance", stream=None, payload=payload,
    )  # fmt: skip


def test_a_dead_letter_brings_back_the_bytes() -> None:
    """Who reads a dead letter finds where the record stood, why it was refused, and the record itself."""
    read = parse_dead_letter(letter(b"\xff not json"))

    assert (read.topic, read.partition, read.offset, read.reason) == ("mts.raw", 3, 42, "bad_frame")
    assert b64decode(read.payload_base64) == b"\xff not json" and not read.truncated


def test_a_dead_letter_is_bounded() -> None:
    """Of a long record the first 64 KiB are kept, with its true length; a long explanation is cut."""
    read = parse_dead_letter(letter(b"x" * (PAYLOAD_BYTES_MAX + 1), "y" * 10_000))

    assert read.truncated and read.payload_bytes == PAYLOAD_BYTES_MAX + 1
    assert len(b64decode(read.payload_base64)) == PAYLOAD_BYTES_MAX and len(read.detail) == DETAIL_CHARS_MAX


def test_a_record_without_a_value_makes_a_dead_letter_too() -> None:
    """An empty record has no bytes to keep, and is told all the same."""
    read = parse_dead_letter(letter(None))

    assert (read.payload_base64, read.payload_bytes, read.truncated) == ("", 0, False)


@pytest.mark.parametrize("deep", [b"[" * 5000 + b"]" * 5000, b'{"a":' * 5000 + b"1" + b"}" * 5000])
def test_what_is_nested_too_deep_is_refused_by_type(deep: bytes) -> None:
    """In the frame or in an unknown field: a dead letter, no end of the worker."""
    value = raw(records.BINANCE_DIFF | {"x": 1}).replace(b'"x":1', b'"x":' + deep)

    with pytest.raises(BadRecordError, match="not_an_envelope"):
        decode_record(value)
