"""The raw record keeps the exchange's bytes, and anything that is no envelope is refused with its reason."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mts_stream.errors import BadRecordError
from mts_stream.wire.envelope import EnvelopeHead, decode_envelope, encode_envelope, envelope_source
from tests.wire.records import BINANCE_DIFF, LISTING, changed, raw

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def reason_of(value: bytes | None) -> str:
    """Why a record is refused."""
    with pytest.raises(BadRecordError) as refused:
        decode_envelope(value)
    return refused.value.reason


@given(JSON, st.sampled_from([0, 2]))
def test_the_frame_is_kept_byte_for_byte(message: object, indent: int) -> None:
    """Whatever the exchange sent, and however it spaced it, comes out as it came in."""
    frame = msgspec.json.format(msgspec.json.encode(message), indent=indent)

    assert bytes(decode_envelope(raw(frame)).frame) == frame


@given(
    names=st.fixed_dictionaries({name: st.text() for name in ("venue", "market", "channel", "kind", "symbol", "pair")}),
    conn=st.text(), gen=st.integers(0, 2**63), seq=st.integers(0, 2**63), received_ns=st.integers(0, 2**63),
    message=JSON,
)  # fmt: skip
def test_a_head_made_once_gives_the_same_bytes(
    names: dict[str, str], conn: str, gen: int, seq: int, received_ns: int, message: object
) -> None:
    """The fast way for frames and the general one write the same record, to the byte."""
    frame = msgspec.json.encode(message)
    whole = encode_envelope(**names, received_ns=received_ns, conn=conn, gen=gen, seq=seq, frame=frame)
    head = EnvelopeHead(**names)

    assert head.encode(received_ns, envelope_source(conn, gen), seq, frame) == whole
    assert head.encode(received_ns, envelope_source(conn, gen), seq, msgspec.Raw(frame)) == whole


def test_the_message_id_names_the_record() -> None:
    """The id is venue, market, symbol, connection, generation and number, joined by slashes."""
    envelope = decode_envelope(raw(BINANCE_DIFF))

    assert envelope.message_id == "binance/perp/BTCUSDT/binance-perp-0/1795402790123/4711"


def test_the_known_range_travels_with_a_keyframe() -> None:
    """A keyframe says between which prices its book is known; other records leave the field out."""
    keyframe = raw({}, kind="keyframe", known_range=("59000", "61000"))

    assert decode_envelope(keyframe).range == ("59000", "61000")
    assert b'"range"' not in raw(BINANCE_DIFF)


def test_field_order_and_newcomers_do_not_matter() -> None:
    """A record whose fields stand in another order, with one more of a later minor version, is read the same."""
    value = raw(BINANCE_DIFF)
    turned = msgspec.json.encode(dict(reversed(msgspec.json.decode(value).items())))

    assert decode_envelope(changed(turned, note="new")).message_id == decode_envelope(value).message_id


@pytest.mark.parametrize(
    "value",
    [None, b"", b"not json", b"[]", b"null", b"{}", b"\xff\xfe", b'{"v":1}', raw(BINANCE_DIFF)[:-1], raw({}) + b"x"],
)
def test_what_is_no_envelope_is_refused(value: bytes | None) -> None:
    """Nothing, broken JSON, another shape, a record cut off: `not_an_envelope`."""
    assert reason_of(value) == "not_an_envelope"


@pytest.mark.parametrize("field", ["venue", "market", "channel", "kind", "symbol", "pair", "conn", "frame", "seq"])
def test_every_field_is_needed(field: str) -> None:
    """An envelope that lacks a field is none."""
    assert reason_of(changed(raw(BINANCE_DIFF), **{field: ...})) == "not_an_envelope"


@pytest.mark.parametrize(
    ("field", "wrong"),
    [("received_ns", "12"), ("received_ns", 1.5), ("seq", None), ("gen", "x"), ("pair", 7), ("range", "59000")],
)
def test_a_field_of_another_type_is_refused(field: str, wrong: object) -> None:
    """Text where a number belongs, or the other way round, is not guessed at."""
    assert reason_of(changed(raw(BINANCE_DIFF), **{field: wrong})) == "not_an_envelope"


@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_another_version_is_named_as_such(version: object) -> None:
    """A version that this reader does not know is `unknown_version`, even if other fields changed with it."""
    assert reason_of(changed(raw(BINANCE_DIFF), v=version)) == "unknown_version"
    assert reason_of(changed(raw(BINANCE_DIFF), v=version, seq=...)) == "unknown_version"


@pytest.mark.parametrize(
    ("field", "wrong"), [("venue", "kraken"), ("venue", ""), ("market", "option"), ("venue", "mts"), ("market", "all")]
)
def test_another_venue_is_refused(field: str, wrong: str) -> None:
    """Only the venues and markets of the registry of exchanges may speak."""
    assert reason_of(changed(raw(BINANCE_DIFF), **{field: wrong})) == "unknown_venue"


def test_the_registry_speaks_for_all_venues() -> None:
    """Registry records come from `mts`, `all`, and from nobody else."""
    registry = raw(LISTING, venue="mts", market="all", channel="instruments", kind="registry", symbol="")

    assert decode_envelope(registry).kind == "registry"
    assert reason_of(changed(registry, venue="binance", market="perp")) == "unknown_venue"


@pytest.mark.parametrize(("field", "wrong"), [("kind", "trade"), ("channel", "trades")])
def test_another_kind_is_refused(field: str, wrong: str) -> None:
    """A kind or channel that nobody wrote down is `unknown_kind`."""
    assert reason_of(changed(raw(BINANCE_DIFF), **{field: wrong})) == "unknown_kind"


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader(value: bytes) -> None:
    """Any bytes at all are either an envelope or refused by name."""
    assert reason_of(value) in ("not_an_envelope", "unknown_version")
