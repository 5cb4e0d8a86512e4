"""Bybit's streams, control frames, book rules and lists, on messages in the shapes of its documents."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mts_stream.domain.market_data import Origin
from mts_stream.errors import BadRecordError
from mts_stream.exchanges.bybit import BybitPerp, BybitSpot, decode_depth, decode_funding
from mts_stream.exchanges.venue import BookImage, Control, DepthFrame, FundingFrame, Refusal

SPOT, PERP = BybitSpot(), BybitPerp()
ORIGIN = Origin("bybit", "perp", "BTCUSDT", "BTC-USDT", "c", 1, 1, 1)
DELTA = (
    b'{"topic":"orderbook.50.BTCUSDT","type":"delta","ts":1687940967466,"data":{"s":"BTCUSDT","b":[["30247.20","30"]],'
    b'"a":[],"u":177400507,"seq":66544703342},"cts":1687940967464}'
)
TICKER = (
    b'{"topic":"tickers.BTCUSDT","type":"delta","data":{"symbol":"BTCUSDT","fundingRate":"0.0001"},'
    b'"cs":814547789569,"ts":1790134712383}'
)


def depth(last_id: int) -> DepthFrame:
    """A delta with this id."""
    return DepthFrame("X", msgspec.Raw(b""), False, last_id, msgspec.Raw(), msgspec.Raw(), 0)


def test_a_book_frame_is_the_same_in_any_order() -> None:
    """A topic that stands last is only read slower."""
    usual = PERP.classify(DELTA)
    turned = PERP.classify(msgspec.json.encode(dict(reversed(msgspec.json.decode(DELTA).items()))))
    assert isinstance(usual, DepthFrame) and isinstance(turned, DepthFrame)
    assert bytes(usual.frame) == DELTA
    assert (bytes(turned.bids), turned.last_id, turned.replaces) == (bytes(usual.bids), usual.last_id, usual.replaces)
    assert (turned.exchange_ms, turned.engine_ms, turned.cross_sequence) == (1687940967466, 1687940967464, 66544703342)
    assert (usual.exchange_ms, usual.engine_ms, usual.cross_sequence) == (1687940967466, 1687940967464, 66544703342)


@pytest.mark.parametrize("message", [DELTA[:-1], DELTA + b"x", DELTA.replace(b'"u":177400507,', b"")])
def test_a_broken_book_frame_is_unknown(message: bytes) -> None:
    """A frame that is no JSON, or has no `u`, says nothing about a book."""
    control = PERP.classify(message)
    assert isinstance(control, Control) and control.kind == "unknown"


def test_one_linear_connection_carries_books_and_tickers() -> None:
    """Spot has books alone."""
    assert PERP.topics(PERP.routes[0], "BTCUSDT") == ["orderbook.50.BTCUSDT", "tickers.BTCUSDT"]
    assert SPOT.topics(SPOT.routes[0], "BTCUSDT") == ["orderbook.50.BTCUSDT"]
    assert PERP.topic_symbol("orderbook.50.BTCUSDT") == "BTCUSDT"
    assert SPOT.socket_limits.topics_per_request == 10


def test_control_frames_name_their_request() -> None:
    """subscribe, unsubscribe and ping carry req_id as text."""
    assert json.loads(PERP.subscribe(["a"], 7)) == {"req_id": "7", "op": "subscribe", "args": ["a"]}
    assert json.loads(PERP.unsubscribe(["a"], 8)) == {"req_id": "8", "op": "unsubscribe", "args": ["a"]}
    assert json.loads(PERP.heartbeat(9)) == {"req_id": "9", "op": "ping"}


def test_a_book_frame_is_the_whole_message() -> None:
    """The log gets the message as it came; ids and times stand in the header."""
    frame = PERP.classify(DELTA)
    assert isinstance(frame, DepthFrame)
    assert bytes(frame.frame) == DELTA
    assert (frame.symbol, frame.last_id, frame.replaces) == ("BTCUSDT", 177400507, False)
    assert (frame.exchange_ms, frame.engine_ms, frame.cross_sequence) == (1687940967466, 1687940967464, 66544703342)
    snapshot = PERP.classify(DELTA.replace(b'"delta"', b'"snapshot"'))
    assert isinstance(snapshot, DepthFrame) and snapshot.replaces


def test_a_ticker_says_what_changed() -> None:
    """Absent fields are unchanged, so the frame hands on those that are there."""
    frame = PERP.classify(TICKER)
    assert isinstance(frame, FundingFrame)
    assert frame.changed == {"symbol": "BTCUSDT", "fundingRate": "0.0001"}
    assert (frame.replaces, frame.cross_sequence, frame.exchange_ms) == (False, 814547789569, 1790134712383)


@pytest.mark.parametrize(
    ("message", "control"),
    [
        (b'{"success":true,"ret_msg":"subscribe","req_id":"1","op":"subscribe"}', Control("ack", "1")),
        (b'{"success":true,"ret_msg":"pong","conn_id":"x","req_id":"","op":"ping"}', Control("pong")),
        (b'{"op":"pong","args":["1"]}', Control("pong")),
        (
            b'{"success":false,"ret_msg":"error:handler not found","req_id":"2","op":"subscribe"}',
            Control("refused", "2", "error:handler not found"),
        ),
        (
            b'{"success":false,"ret_msg":"error:handler not found,topic:orderbook.50.X","req_id":"2","op":"subscribe"}',
            Control("refused", "2", "error:handler not found,topic:orderbook.50.X", ("orderbook.50.X",)),
        ),
        (b'{"topic":"publicTrade.BTCUSDT","type":"snapshot","data":[]}', Control("ignored", detail="unwanted_stream")),
        (b"{}", Control("unknown", detail="neither a topic nor an answer")),
        (DELTA.replace(b'"delta"', b'"odd"'), Control("unknown", detail="orderbook of type 'odd'")),
    ],
)
def test_everything_else_is_a_control(message: bytes, control: Control) -> None:
    """Acks, pongs, failed subscribes and what we did not ask for."""
    assert PERP.classify(message) == control


@given(st.binary(max_size=60))
def test_no_message_breaks_it(message: bytes) -> None:
    """Garbage is an unknown message, never an exception."""
    assert isinstance(SPOT.classify(message), Control)
    assert isinstance(SPOT.classify(DELTA[: len(message)]), Control)
    assert isinstance(SPOT.classify(b"[" * 5000), Control)


@pytest.mark.parametrize(("last_id", "verdict"), [(101, "applies"), (100, "stale"), (99, "stale"), (102, "gap")])
def test_u_rises_by_one(last_id: int, verdict: str) -> None:
    """A delta is old, the next one, or beyond a hole."""
    assert PERP.follows(depth(last_id), 100, False) == verdict


@pytest.mark.parametrize(("kind", "replaces"), [(b'"snapshot"', True), (b'"delta"', False)])
def test_u_1_is_a_new_book_to_the_producer_whatever_its_type(kind: bytes, replaces: bool) -> None:
    """The service began anew (docs v5 orderbook); the engine goes by the type, and by the keyframe that follows."""
    message = DELTA.replace(b'"delta"', kind).replace(b'"u":177400507', b'"u":1')
    frame, update = PERP.classify(message), decode_depth(msgspec.Raw(message), ORIGIN, "frame", None)

    assert isinstance(frame, DepthFrame) and frame.replaces and frame.last_id == 1
    assert update.replaces == replaces and not update.is_keyframe


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("nextFundingTime", "9" * 5000),
        ("nextFundingTime", "9000000000001"),
        ("nextFundingTime", "\u00b2"),
        ("fundingIntervalHour", "65536"),
        ("fundingIntervalHour", "1.5"),
    ],
)
def test_a_ticker_with_a_number_that_cannot_be_is_refused_by_type(name: str, text: str) -> None:
    """Digits without end, other scripts' digits, and what no column has room for."""
    frame = msgspec.Raw(json.dumps({"data": {name: text}}).encode())

    with pytest.raises(BadRecordError, match=name):
        decode_funding(frame, ORIGIN)


def test_keyframes_are_messages_of_type_snapshot() -> None:
    """A book and a ticker, readable as the venue's own."""
    book = PERP.classify(PERP.keyframe(BookImage("X", 7, [("2", "1")], [("3", "1")], 11, 12, 13)))
    assert isinstance(book, DepthFrame)
    assert (book.symbol, book.last_id, book.exchange_ms, book.engine_ms, book.replaces) == ("X", 7, 11, 12, True)
    assert bytes(book.bids) == b'[["2","1"]]'
    ticker = PERP.classify(PERP.funding_keyframe("X", {"fundingRate": "1"}, 11, 12))
    assert isinstance(ticker, FundingFrame)
    assert (ticker.symbol, ticker.replaces, ticker.changed) == ("X", True, {"fundingRate": "1"})


def test_requests_name_their_category() -> None:
    """Spot and linear share paths; the next page is asked for by its cursor."""
    assert dict(SPOT.snapshot_request("X").params)["category"] == "spot"
    assert dict(PERP.instruments_request("c").params)["cursor"] == "c"
    assert "cursor" not in dict(PERP.instruments_request("").params)
    assert PERP.figures_requests()[0].path == "/v5/market/tickers"
    assert PERP.time_request().path == "/v5/market/time"
    assert PERP.parse_time_ms(b'{"result":{"timeSecond":"1","timeNano":"1500000"}}') == 1.5
    for text in ("x", "NaN", "1e999999", "-1", "9" * 5000):
        with pytest.raises(msgspec.ValidationError):
            PERP.parse_time_ms(json.dumps({"result": {"timeNano": text}}).encode())
    body = b'{"retCode":0,"result":{"s":"X","b":[["1","2"]],"a":[],"u":5}}'
    assert PERP.parse_snapshot(body).last_id == 5


def row(**changes: Any) -> dict[str, Any]:
    """One linear instrument."""
    lots = {"qtyStep": "0.001", "minNotionalValue": "5"}
    return {
        "symbol": "BTCUSDT", "status": "Trading", "baseCoin": "BTC", "quoteCoin": "USDT", "settleCoin": "USDT",
        "contractType": "LinearPerpetual", "priceFilter": {"tickSize": "0.10"}, "lotSizeFilter": lots,
        "fundingInterval": 480, "deliveryTime": "0", "symbolType": "", "isPreListing": False,
    } | changes  # fmt: skip


def listed(market: Any, **changes: Any) -> Any:
    """The instrument of a page with one row."""
    body = json.dumps({"retCode": 0, "result": {"list": [row(**changes)], "nextPageCursor": "n"}}).encode()
    page = market.parse_instruments(body)
    assert page.cursor == "n"
    return page.instruments[0]


def test_an_instrument_states_hours() -> None:
    """fundingInterval is in minutes; spot has none and names its steps otherwise."""
    perp = listed(PERP)
    assert (perp.funding_interval_hours, perp.lot_size, perp.min_notional, perp.unfit) == (8, "0.001", "5", "")
    spot = listed(SPOT, lotSizeFilter={"basePrecision": "0.01", "minOrderAmt": "1"}, settleCoin="", contractType="")
    assert (spot.funding_interval_hours, spot.lot_size, spot.min_notional) == (None, "0.01", "1")
    assert spot.unfit == ""


@pytest.mark.parametrize(
    ("changes", "attribute", "value"),
    [
        ({"symbolType": "stock"}, "unfit", "type stock"),
        ({"symbolType": "innovation"}, "fee_group", "innovation"),
        ({"quoteCoin": "USDC", "settleCoin": "USDC"}, "unfit", "quoted in USDC, settled in USDC"),
        ({"contractType": "LinearFutures"}, "unfit", "contract type LinearFutures"),
        ({"isPreListing": True, "status": "PreLaunch"}, "unfit", "not trading continuously yet"),
        ({"status": "Delivering"}, "status", "settling"),
        ({"status": "Closed"}, "status", "delisted"),
        ({"deliveryTime": "1893456000000"}, "delisting_ms", 1893456000000),
        ({"deliveryTime": "\u00b2"}, "delisting_ms", None),
        ({"deliveryTime": "9" * 5000}, "delisting_ms", None),
    ],
)
def test_what_is_not_an_ordinary_perp_says_so(changes: dict[str, Any], attribute: str, value: object) -> None:
    """Type, coins, end, status and fee group."""
    assert getattr(listed(PERP, **changes), attribute) == value


def test_tickers_give_price_turnover_and_interval() -> None:
    """The index price, or on spot the last one."""
    rows = [
        {"symbol": "A", "lastPrice": "1", "indexPrice": "2", "turnover24h": "3", "fundingIntervalHour": "4"},
        {"symbol": "B", "lastPrice": "1", "turnover24h": "3"},
    ]
    figures = PERP.parse_figures([json.dumps({"result": {"list": rows}}).encode()])
    assert (figures["A"].reference_price, figures["A"].turnover_usd, figures["A"].funding_interval_hours) == (
        "2", "3", 4,
    )  # fmt: skip
    assert (figures["B"].reference_price, figures["B"].funding_interval_hours) == ("1", None)


def test_an_error_is_a_ret_code() -> None:
    """HTTP 200 with a code other than 0."""
    assert PERP.refusal(b'{"retCode":10001,"retMsg":"bad"}') == Refusal(10001, "bad")
    assert PERP.refusal(b'{"retCode":0,"retMsg":"OK"}') is None
    assert PERP.refusal(b"<html>") is None
