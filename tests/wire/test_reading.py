"""The compiled reader of depth frames reads what codec.py reads, or leaves it to it."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mts_stream.domain.market_data import DepthUpdate
from mts_stream.errors import BadRecordError
from mts_stream.wire.codec import decode_record
from mts_stream.wire.envelope import decode_envelope, encode_envelope
from mts_stream.wire.reading import record_reader
from tests.domain.kernels import built

DATA = Path(__file__).parents[1] / "data" / "conformance"

DIFF = {
    "e": "depthUpdate", "E": 1700000000123, "T": 1700000000120, "s": "BTCUSDT", "U": 5, "u": 9, "pu": 4,
    "b": [["5000.00", "2.301"], ["1", "0"]], "a": [["5000.10", "0.000"]],
}  # fmt: skip
DELTA = {
    "topic": "orderbook.50.BTCUSDT", "type": "delta", "ts": 1700000000123, "cts": 1700000000120,
    "data": {"s": "BTCUSDT", "b": [["5000.0", "2.301"]], "a": [], "u": 9, "seq": 77},
}  # fmt: skip
ODD: list[Any] = [
    0,
    -1,
    1.5,
    2**63 - 1,
    2**63,
    10**20,
    "",
    "5",
    'q"\\',
    "é",
    "\n",
    None,
    True,
    [],
    [["1"]],
    [[1, 2]],
    {},
    [[]],
]


@pytest.fixture(autouse=True, scope="module")
def _built() -> None:
    built("compiled")


def record(frame: Any, venue: str = "binance", market: str = "perp", **changes: Any) -> bytes:
    """As our producers write it."""
    fields = {
        "venue": venue, "market": market, "channel": "depth", "kind": "frame", "symbol": "BTCUSDT",
        "pair": "BTC-USDT", "received_ns": 1700000000123456789, "conn": "c-0", "gen": 1700000000000, "seq": 12,
    }  # fmt: skip
    text = frame if isinstance(frame, bytes) else json.dumps(frame, separators=(",", ":")).encode()
    return encode_envelope(**(fields | changes), frame=text)


def read(value: bytes) -> object:
    """What the reference reads, or why it does not."""
    try:
        return decode_record(value)
    except BadRecordError as error:
        return error.reason, error.detail


def depth_update(value: bytes) -> DepthUpdate | None:
    """The compiled reader itself."""
    from mts_stream.wire.depth_compiled import depth_update

    return depth_update(value)


@pytest.mark.parametrize("market", ["spot", "perp"])
@pytest.mark.parametrize(
    ("venue", "frame"), [("binance", DIFF), ("bybit", DELTA), ("bybit", DELTA | {"type": "snapshot"})]
)
def test_the_common_shape_is_read(venue: str, frame: dict[str, Any], market: str) -> None:
    """Every frame that the venues send and the producers write, equal in each field."""
    value = record(frame, venue, market)
    assert depth_update(value) == decode_record(value)


@pytest.mark.parametrize("name", ["btc", "random-a", "random-b"])
def test_captured_frames_are_read_alike(name: str) -> None:
    """Written as our producers write them, nearly all are of the common shape."""
    read_here = frames = 0
    with gzip.open(DATA / f"{name}.jsonl.gz") as lines:
        for line in lines:
            try:
                e = decode_envelope(line)
            except BadRecordError:
                continue
            if e.channel != "depth" or e.kind != "frame":
                continue
            value = encode_envelope(
                venue=e.venue, market=e.market, channel=e.channel, kind=e.kind, symbol=e.symbol, pair=e.pair,
                received_ns=e.received_ns, conn=e.conn, gen=e.gen, seq=e.seq, frame=bytes(e.frame),
            )  # fmt: skip
            update, frames = depth_update(value), frames + 1
            if update is not None:
                read_here += 1
                assert update == decode_record(value)
    assert read_here >= 0.9 * frames > 0


@given(st.data())
def test_whatever_is_changed_it_is_read_alike_or_left(data: st.DataObject) -> None:
    """Keys left out, doubled, moved, with other values, other blanks, and bytes replaced: never another answer."""
    venue, frame = data.draw(st.sampled_from([("binance", DIFF), ("bybit", DELTA)]))
    items = list(frame.items())
    inner = list(DELTA["data"].items())
    for target in (items, inner):
        for _ in range(data.draw(st.integers(0, 2))):
            at = data.draw(st.integers(0, len(target) - 1))
            change = data.draw(st.sampled_from(["drop", "double", "move", "value"]))
            if change == "drop" and len(target) > 1:
                del target[at]
            elif change == "double":
                target.insert(data.draw(st.integers(0, len(target))), target[at])
            elif change == "move":
                target.append(target.pop(at))
            elif change == "value":
                target[at] = target[at][0], data.draw(st.sampled_from(ODD))
    body = ",".join(
        f"{json.dumps(key)}:" + (_object(inner) if key == "data" and value == DELTA["data"] else _text(value))
        for key, value in items
    )
    value = bytearray(record(b"{%b}" % body.encode(), venue, data.draw(st.sampled_from(["spot", "perp"]))))
    for _ in range(data.draw(st.integers(0, 2))):
        at = data.draw(st.integers(0, len(value) - 1))
        value[at : at + data.draw(st.integers(0, 2))] = data.draw(
            st.sampled_from([b"", b" ", b'"', b",", b"0", b"]", b"\xff", b"\\"])
        )
    update = depth_update(bytes(value))
    assert update is None or update == read(bytes(value))


def _object(items: list[tuple[str, Any]]) -> str:
    return "{" + ",".join(f"{json.dumps(key)}:{_text(value)}" for key, value in items) + "}"


def _text(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def test_a_reader_belongs_to_its_kernel() -> None:
    """The Python kernel reads with codec.py alone; the compiled one leaves to it what is not of the common shape."""
    assert record_reader("python") is decode_record
    broken = record(DIFF)[:-1]
    with pytest.raises(BadRecordError) as compiled:
        record_reader("compiled")(broken)
    with pytest.raises(BadRecordError) as python:
        decode_record(broken)
    assert (compiled.value.reason, compiled.value.detail) == (python.value.reason, python.value.detail)
