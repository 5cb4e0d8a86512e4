"""Binance's streams, control frames, book rules and lists, on messages in the shapes of its documents."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mts_stream.domain.market_data import Origin
from mts_stream.exchanges.binance import BinancePerp, BinanceSpot, decode_depth
from mts_stream.exchanges.venue import (
    BookImage,
    BookSnapshot,
    BookTop,
    Control,
    DepthFrame,
    FundingFrame,
    Refusal,
    SocketRoute,
)

SPOT, PERP = BinanceSpot(), BinancePerp()
SPOT_DIFF = b'{"e":"depthUpdate","E":1672515782136,"s":"BNBBTC","U":157,"u":160,"b":[["0.0024","10"]],"a":[]}'
PERP_DIFF = (
    b'{"e":"depthUpdate","E":1790526539012,"T":1790526538981,"s":"BTCUSDT","ps":"BTCUSDT","st":1,'
    b'"U":100,"u":110,"pu":95,"b":[["84551.00","0.294"]], "a":[]}'
)
MARK = (
    b'{"e":"markPriceUpdate","E":1562305380000,"s":"BTCUSDT","p":"11794.15","ap":"11794.10","i":"11784.62",'
    b'"P":"11784.25","r":"0.00038167","T":1562306400000,"st":1}'
)


def combined(stream: str, data: bytes) -> bytes:
    """A message of the combined stream."""
    return b'{"stream":"%b","data":%b}' % (stream.encode(), data)


def fields(incoming: msgspec.Struct) -> dict[str, Any]:
    """Its fields, raw JSON as bytes."""
    values = msgspec.structs.asdict(incoming)
    return {name: bytes(value) if isinstance(value, msgspec.Raw) else value for name, value in values.items()}


def depth(**ids: Any) -> DepthFrame:
    """A frame with these ids."""
    return DepthFrame("X", msgspec.Raw(b""), False, ids["u"], msgspec.Raw(), msgspec.Raw(), 0, ids["U"], ids.get("pu"))


def test_streams_are_lower_case_and_by_route() -> None:
    """Books and funding of USD-M are on two routes."""
    public, market = PERP.routes
    assert PERP.topics(public, "BTCUSDT") == ["btcusdt@depth@0ms"]
    assert PERP.topics(market, "BTCUSDT") == ["btcusdt@markPrice@1s"]
    assert SPOT.topics(SPOT.routes[0], "BTCUSDT") == ["btcusdt@depth@100ms"]
    assert PERP.topic_symbol("btcusdt@markPrice@1s") == "BTCUSDT"


def test_control_frames_name_their_request() -> None:
    """SUBSCRIBE, UNSUBSCRIBE and LIST_SUBSCRIPTIONS carry the id."""
    assert json.loads(SPOT.subscribe(["a", "b"], 7)) == {"method": "SUBSCRIBE", "params": ["a", "b"], "id": 7}
    assert json.loads(SPOT.unsubscribe(["a"], 8)) == {"method": "UNSUBSCRIBE", "params": ["a"], "id": 8}
    assert json.loads(SPOT.heartbeat(9)) == {"method": "LIST_SUBSCRIPTIONS", "id": 9}


@pytest.mark.parametrize("frame", [SPOT_DIFF, PERP_DIFF, PERP_DIFF.replace(b'"st":1', b'"st":2')])
def test_a_diff_is_the_same_wherever_its_stream_is_named(frame: bytes) -> None:
    """The keys of a message come in any order, and with others; the usual order is only read faster."""
    usual = b'{"stream":"x@depth@0ms","data":%b}' % frame
    for other in (b'{"data":%b,"stream":"x@depth@0ms"}', b'{"stream":"x@depth@0ms", "data": %b , "more":{}}'):
        assert fields(PERP.classify(other % frame)) == fields(PERP.classify(usual))


@pytest.mark.parametrize("end", [b"", b"]", b"}}", b"} x", b',"data":1}', b'"}'])
def test_a_diff_with_a_broken_end_is_unknown(end: bytes) -> None:
    """What is no JSON as a whole is no frame, however well it begins."""
    message = PERP.classify(b'{"stream":"x@depth@0ms","data":%b%b' % (PERP_DIFF, end))
    assert isinstance(message, Control) and message.kind == "unknown"


def test_a_diff_keeps_its_bytes() -> None:
    """What goes to the log is what stood in `data`, byte for byte."""
    frame = PERP.classify(combined("btcusdt@depth@0ms", PERP_DIFF))
    assert isinstance(frame, DepthFrame)
    assert bytes(frame.frame) == PERP_DIFF
    assert (frame.symbol, frame.first_id, frame.last_id, frame.previous_id) == ("BTCUSDT", 100, 110, 95)
    assert (bytes(frame.bids), frame.exchange_ms, frame.replaces) == (b'[["84551.00","0.294"]]', 1790526539012, False)
    spot = SPOT.classify(combined("bnbbtc@depth@100ms", SPOT_DIFF))
    assert isinstance(spot, DepthFrame) and spot.previous_id is None


def test_only_usdm_is_linked_by_pu() -> None:
    """A `pu` in a diff of spot is an unknown key: spot's ids are contiguous."""
    origin = Origin("binance", "spot", "BTCUSDT", "BTC-USDT", "c", 1, 1, 1)
    assert decode_depth(msgspec.Raw(PERP_DIFF), origin, "frame", None).previous_id is None


def test_mark_price_is_funding() -> None:
    """markPriceUpdate is whole each time."""
    frame = PERP.classify(combined("btcusdt@markPrice@1s", MARK))
    assert isinstance(frame, FundingFrame)
    assert (frame.symbol, bytes(frame.frame), frame.changed) == ("BTCUSDT", MARK, None)


def test_the_top_of_a_book_is_told_from_a_diff_by_its_streams_name_alone() -> None:
    """USD-M gives it the keys and the ids of a diff; spot's tops are not asked for."""
    (topic,) = PERP.topics(SocketRoute("public", "", (PERP.routes[0].top_channel,)), "BTCUSDT")
    top = PERP.classify(combined(topic, PERP_DIFF))
    assert isinstance(top, BookTop) and topic == "btcusdt@depth20@100ms"
    assert (top.symbol, top.exchange_ms, bytes(top.frame)) == ("BTCUSDT", 1790526539012, PERP_DIFF)
    assert top.snapshot == BookSnapshot(110, [("84551.00", "0.294")], [])
    assert not SPOT.routes[0].top_channel
    assert SPOT.classify(combined(topic, PERP_DIFF)) == Control("ignored", detail="unwanted_stream")


@pytest.mark.parametrize(
    ("message", "control"),
    [
        (b'{"result":null,"id":3}', Control("ack", "3")),
        (b'{"result":["a@depth"],"id":4}', Control("listed", "4", topics=("a@depth",))),
        (b'{"code":2,"msg":"Invalid request","id":5}', Control("refused", "5", "Invalid request")),
        (b'{"e":"serverShutdown","E":1}', Control("shutdown", detail="serverShutdown")),
        (combined("!serverShutdown", b'{"e":"x"}'), Control("shutdown", detail="serverShutdown")),
        (combined("btcusdt@depth5@100ms", PERP_DIFF), Control("ignored", detail="unwanted_stream")),
        (
            combined("x@depth20@100ms", PERP_DIFF.replace(b'"st":1', b'"st":2')),
            Control("ignored", detail="other_market"),
        ),
        (combined("x@depth@0ms", PERP_DIFF.replace(b'"st":1', b'"st":2')), Control("ignored", detail="other_market")),
        (combined("x@markPrice@1s", MARK.replace(b'"st":1', b'"st":2')), Control("ignored", detail="other_market")),
        (b"{}", Control("unknown", detail="neither a stream nor an answer")),
    ],
)
def test_everything_else_is_a_control(message: bytes, control: Control) -> None:
    """Answers, farewells, and streams that are not ours; a partial book is told by its stream's name alone."""
    assert PERP.classify(message) == control


@pytest.mark.parametrize(
    "damage",
    [
        (b',"pu":95', b""),
        (b'"pu":95', b'"pu":-1'),
        (b'"u":110', b'"u":9223372036854775808'),
        (b'"E":1790526539012', b'"E":9000000000001'),
    ],
)
def test_a_diff_with_ids_that_cannot_be_is_unknown(damage: tuple[bytes, bytes]) -> None:
    """A diff of USD-M says what it follows; ids and times have room downstream."""
    assert damage[0] in PERP_DIFF
    message = combined("btcusdt@depth@0ms", PERP_DIFF.replace(*damage))

    assert isinstance(PERP.classify(message), Control)


@given(st.binary(max_size=60) | st.builds(lambda b: combined("btcusdt@depth@0ms", b), st.binary(max_size=40)))
def test_no_message_breaks_it(message: bytes) -> None:
    """Garbage is an unknown message, never an exception."""
    assert isinstance(PERP.classify(message), Control)
    assert isinstance(PERP.classify(b"[" * 5000), Control)


@pytest.mark.parametrize(
    ("first", "last", "verdict"),
    [(101, 105, "applies"), (90, 105, "applies"), (102, 105, "gap"), (95, 100, "stale"), (90, 99, "stale")],
)
@pytest.mark.parametrize("is_first", [True, False])
def test_spot_ids_are_contiguous(first: int, last: int, verdict: str, is_first: bool) -> None:
    """U <= local + 1 <= u, the event right after the snapshot included (the documents' off-by-one)."""
    assert SPOT.follows(depth(U=first, u=last), 100, is_first) == verdict


@pytest.mark.parametrize(
    ("previous", "last", "is_first", "verdict"),
    [
        (100, 130, False, "applies"),
        (99, 130, False, "gap"),
        (101, 130, False, "gap"),
        (90, 130, True, "applies"),
        (100, 130, True, "applies"),
        (101, 130, True, "gap"),
        (90, 100, True, "stale"),
        (None, 130, True, "gap"),
    ],
)
def test_perp_events_are_linked_by_pu(previous: int | None, last: int, is_first: bool, verdict: str) -> None:
    """pu is the previous u; the first event may begin before the snapshot."""
    assert PERP.follows(depth(U=120, u=last, pu=previous), 100, is_first) == verdict


def test_a_keyframe_is_a_rest_snapshot() -> None:
    """`lastUpdateId`, `bids`, `asks`; funding has none, since every frame is whole."""
    image = BookImage("X", 7, [("2", "1")], [("3", "1")], 1, 2, 3)
    keyframe = SPOT.keyframe(image)
    assert json.loads(keyframe) == {"lastUpdateId": 7, "bids": [["2", "1"]], "asks": [["3", "1"]]}
    assert SPOT.parse_snapshot(keyframe).bids == [("2", "1")]
    with pytest.raises(TypeError):
        SPOT.funding_keyframe("X", {}, 1, 2)


def test_requests_carry_their_weight() -> None:
    """A book of 1000 levels costs 50 on spot and 20 on USD-M."""
    spot, perp = SPOT.snapshot_request("BTCUSDT"), PERP.snapshot_request("BTCUSDT")
    assert (spot.path, spot.weight) == ("/api/v3/depth", 50)
    assert (perp.path, perp.weight) == ("/fapi/v1/depth", 20)
    assert dict(perp.params) == {"symbol": "BTCUSDT", "limit": "1000"}
    assert [r.weight for r in PERP.figures_requests()] == [40, 10, 0]
    assert SPOT.instruments_request("").weight == 20 and PERP.instruments_request("").weight == 1
    assert SPOT.time_request().path == "/api/v3/time"
    assert SPOT.parse_time_ms(b'{"serverTime":5}') == 5.0


def perp_row(**changes: Any) -> dict[str, Any]:
    """One symbol of USD-M exchangeInfo."""
    filters = [
        {"filterType": "PRICE_FILTER", "tickSize": "0.10"},
        {"filterType": "LOT_SIZE", "stepSize": "0.001"},
        {"filterType": "MIN_NOTIONAL", "notional": "5"},
    ]
    return {
        "symbol": "BTCUSDT", "status": "TRADING", "baseAsset": "BTC", "quoteAsset": "USDT", "marginAsset": "USDT",
        "contractType": "PERPETUAL", "deliveryDate": 4133404800000, "filters": filters, "pricePrecision": 2,
    } | changes  # fmt: skip


def listed(market: Any, **changes: Any) -> Any:
    """The instrument of a list with one row."""
    body = json.dumps({"symbols": [perp_row(**changes)]}).encode()
    page = market.parse_instruments(body)
    assert page.cursor == ""
    return page.instruments[0]


def test_an_instrument_has_its_filters_rules() -> None:
    """Tick, lot and minimum come from the filters, not from the precisions."""
    perp = listed(PERP)
    assert (perp.tick_size, perp.lot_size, perp.min_notional) == ("0.10", "0.001", "5")
    assert (perp.status, perp.unfit, perp.delisting_ms) == ("trading", "", None)
    spot = listed(SPOT, filters=[{"filterType": "NOTIONAL", "minNotional": "10"}])
    assert (spot.market, spot.min_notional, spot.lot_size) == ("spot", "10", "0")


@pytest.mark.parametrize(
    ("changes", "attribute", "value"),
    [
        ({"contractType": "TRADIFI_PERPETUAL"}, "unfit", "contract type TRADIFI_PERPETUAL"),
        ({"quoteAsset": "USDC"}, "unfit", "quoted in USDC, settled in USDT"),
        ({"deliveryDate": 1790000000000}, "delisting_ms", 1790000000000),
        ({"status": "SETTLING"}, "status", "settling"),
        ({"status": "CLOSE"}, "status", "delisted"),
        ({"status": "SOMETHING_NEW"}, "status", "halted"),
    ],
)
def test_what_is_not_an_ordinary_perp_says_so(changes: dict[str, Any], attribute: str, value: object) -> None:
    """Contract type, coins, end and status."""
    assert getattr(listed(PERP, **changes), attribute) == value


def test_spot_is_quoted_in_usdt() -> None:
    """Other quotes are unfit; CANCEL_ONLY is halted."""
    assert listed(SPOT, quoteAsset="BTC").unfit == "quoted in BTC"
    assert listed(SPOT, status="CANCEL_ONLY").status == "halted"


def test_a_missing_funding_interval_is_eight_hours() -> None:
    """fundingInfo lists adjusted symbols alone."""
    tickers = [{"symbol": s, "lastPrice": "1", "quoteVolume": "9"} for s in ("A", "B")]
    premiums = [{"symbol": s, "indexPrice": "1.5"} for s in ("A", "B")]
    fundings = [{"symbol": "B", "fundingIntervalHours": 4}]
    figures = PERP.parse_figures([json.dumps(body).encode() for body in (tickers, premiums, fundings)])
    assert [figures[s].funding_interval_hours for s in ("A", "B")] == [8, 4]
    assert (figures["A"].reference_price, figures["A"].turnover_usd) == ("1.5", "9")
    assert SPOT.parse_figures([json.dumps(tickers).encode()])["A"].reference_price == "1"


def test_an_error_body_is_a_refusal() -> None:
    """A code and a message; anything else is none."""
    assert SPOT.refusal(b'{"code":-1121,"msg":"Invalid symbol."}') == Refusal(-1121, "Invalid symbol.")
    assert SPOT.refusal(b"<html>") is None
    assert SPOT.refusal(b'{"lastUpdateId":1}') is None
