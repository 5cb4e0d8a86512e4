"""A venue that sends damaged messages, into the real feed and the real engine: what must hold whatever it sends.

    Mutator -> Feed (classify, ProducerBook, tickers) -> mts.raw -> decode_record -> PartitionEngine -> messages
            -> REST parsers                              envelope, damaged -> decode_record -> PartitionEngine

Only the typed errors may come out; a book's keyframe is never one that the engine refuses.
"""

import json
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from mts_stream.domain.economics import EconomicSettings
from mts_stream.domain.engine import PartitionEngine
from mts_stream.domain.messages import FundingChange
from mts_stream.errors import UNREADABLE, BadRecordError
from mts_stream.exchanges.venue import VenueMarket
from mts_stream.wire.codec import decode_record, encode_message
from mts_stream.wire.results import parse_funding
from producers.feeds import Feed
from producers.records import RecordWriter
from tests.domain.builders import PAIR, T0, instrument, registry
from tests.exchanges.mutation import Mutator
from tests.producers.fakes import FakeDesk, FakeLink, S, TrueBook, in_stream

LEGS = ("binance:perp", "binance:spot", "bybit:perp", "bybit:spot")
FRAMES_A_SECOND = 40
RECORDS_AN_ENGINE = 400
SYMBOL = "BTCUSDT"
DEPTH_TOPIC = f"orderbook.50.{SYMBOL}"

BINANCE_CONTROLS = (
    b'{"result":null,"id":3}', b'{"code":2,"msg":"Invalid request","id":5}', b'{"e":"serverShutdown","E":1}',
    b'{"error":{"code":2,"msg":"x"},"id":1}', b'{"result":["btcusdt@depth@100ms","btcusdt@markPrice@1s"],"id":4}',
)  # fmt: skip
BYBIT_CONTROLS = (
    b'{"success":true,"ret_msg":"subscribe","conn_id":"x","req_id":"1","op":"subscribe"}',
    b'{"success":true,"ret_msg":"pong","conn_id":"x","req_id":"","op":"ping"}',
    b'{"success":false,"ret_msg":"error:handler not found,topic:orderbook.50.X","req_id":"2","op":"subscribe"}',
)  # fmt: skip
MARK = (
    b'{"e":"markPriceUpdate","E":1562305380000,"s":"BTCUSDT","p":"11794.15","ap":"11794.10","i":"11784.62",'
    b'"P":"11784.25","r":"0.00038167","T":1562306400000,"st":1}'
)
TICKERS = tuple(
    b'{"topic":"tickers.BTCUSDT","type":"%b","data":{"symbol":"BTCUSDT","fundingRate":"0.0001","nextFundingTime":'
    b'"1760342400000","fundingIntervalHour":"8","markPrice":"1"},"cs":814547789569,"ts":1790134712383}' % kind
    for kind in (b"snapshot", b"delta")
)
_FILTERS: Any = [
    {"filterType": "PRICE_FILTER", "tickSize": "0.10"}, {"filterType": "LOT_SIZE", "stepSize": "0.001"},
    {"filterType": "NOTIONAL", "minNotional": "5"},
]  # fmt: skip
_BINANCE_ROW = {
    "symbol": SYMBOL, "status": "TRADING", "baseAsset": "BTC", "quoteAsset": "USDT", "marginAsset": "USDT",
    "contractType": "PERPETUAL", "deliveryDate": 4133404800000, "filters": _FILTERS,
}  # fmt: skip
_BYBIT_ROW = {
    "symbol": SYMBOL, "status": "Trading", "baseCoin": "BTC", "quoteCoin": "USDT", "settleCoin": "USDT",
    "contractType": "LinearPerpetual", "priceFilter": {"tickSize": "0.10"},
    "lotSizeFilter": {"qtyStep": "0.001", "minNotionalValue": "5"}, "fundingInterval": 480, "deliveryTime": "0",
}  # fmt: skip
_TICKER_ROW = {
    "symbol": SYMBOL, "lastPrice": "1", "indexPrice": "2", "turnover24h": "3", "fundingIntervalHour": "4",
    "quoteVolume": "9", "fundingIntervalHours": 4,
}  # fmt: skip


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


REST_BODIES = {
    "binance": (
        _json({"lastUpdateId": 7, "bids": [["99", "1"]], "asks": [["101", "1"]]}), _json({"symbols": [_BINANCE_ROW]}),
        _json([_TICKER_ROW]), _json({"serverTime": 1790134712383}), _json({"code": -1121, "msg": "Invalid symbol."}),
    ),
    "bybit": (
        _json({"retCode": 0, "result": {"s": SYMBOL, "b": [["99", "1"]], "a": [["101", "1"]], "u": 5}}),
        _json({"retCode": 0, "result": {"list": [_BYBIT_ROW], "nextPageCursor": "n"}}),
        _json({"retCode": 0, "result": {"list": [_TICKER_ROW]}}),
        _json({"retCode": 0, "result": {"timeSecond": "1", "timeNano": "1500000"}}),
        _json({"retCode": 10001, "retMsg": "bad"}),
    ),
}  # fmt: skip


@dataclass
class Account:
    """What came of the damaged messages, and the CPU time of the slowest one."""

    damaged: int = 0
    slowest_s: float = 0.0
    slowest: bytes = b""
    outcomes: Counter[str] = field(default_factory=Counter)


class Venue:
    """One market's feed and the engines behind it, told valid and damaged messages."""

    def __init__(self, market: VenueMarket, seed: int) -> None:
        self.market, self.account = market, Account()
        self._rng = random.Random(seed)
        self._true = TrueBook(market)
        self._controls = BINANCE_CONTROLS if market.venue == "binance" else BYBIT_CONTROLS
        self._mutator = Mutator(seed, [*self._controls, MARK, *TICKERS, *REST_BODIES[market.venue]])
        self._desk, self._now_ns, self._gen = FakeDesk(), T0, 0
        self._last_record = b"{}"
        self._channels = {channel for route in market.routes for channel in route.channels}
        self._feeds = [
            Feed(
                market, route, RecordWriter(self, route.name, market.venue, market.market, route.channels[0], 1),
                self, {SYMBOL: PAIR}, self._desk, 2,
            )
            for route in market.routes
        ]  # fmt: skip
        self._links = [FakeLink(feed) for feed in self._feeds]
        self._engine, self._offset = self._new_engine(), 0
        self.queued_records = 0
        self._connect()

    def send(self, topic: str, key: bytes, value: bytes, kind: str, partition: int = -1, *, must: bool = False) -> bool:
        """Take a record as Kafka would, and hand it to the engine as the worker would."""
        if topic == "mts.raw":
            self._last_record = value
            try:
                self._handle(value)
            except BadRecordError as error:
                self.account.outcomes[error.reason] += 1
                if kind == "keyframe" and b'"channel":"depth"' in value[:80]:
                    raise AssertionError(f"a book's keyframe that the engine refuses: {error}") from error
        return True

    def _handle(self, value: bytes) -> None:
        event = decode_record(value)
        if event.origin.received_ns > self._now_ns + 60 * S:  # event time that runs away is no venue's doing
            return
        self._offset += 1
        for message in self._engine.on_event(event, self._offset).messages:
            encoded = encode_message(message)
            if isinstance(message, FundingChange):
                parse_funding(encoded)
        self.account.outcomes["read"] += 1

    def _new_engine(self) -> PartitionEngine:
        engine = PartitionEngine(EconomicSettings(max_feed_lag_ms=500))
        engine.on_event(registry(*map(instrument, LEGS), at_ms=(self._now_ns - T0) / 1e6), 0)
        return engine

    def _connect(self) -> None:
        self._gen += 1
        for feed, link in zip(self._feeds, self._links, strict=True):
            feed.on_open(link, self._gen, self._now_ns)
        self._answer()

    def step(self, share: float) -> None:
        """One message of the venue, damaged by this share of chance; now and then a second passes."""
        kind = self._rng.random()
        if kind < 0.08:
            self._read_rest(self._mutator.damage(self._rng.choice(REST_BODIES[self.market.venue])))
        elif kind < 0.16:
            self._timed(lambda value: self._read_record(value), self._mutator.damage(self._last_record))
        else:
            self._tell(share)
        if self._rng.random() < 1 / FRAMES_A_SECOND:
            self._second()
        if self._offset > RECORDS_AN_ENGINE:
            self._renew()

    def _tell(self, share: float) -> None:
        message = self._message()
        if self._rng.random() < share:
            self._timed(self._hear, self._mutator.damage(message))
            if self._rng.random() < 0.5:
                return
        self._hear(message)

    def _message(self) -> bytes:
        kind = self._rng.random()
        if kind < 0.1:
            return self._rng.choice(self._controls)
        if kind < 0.25 and "funding" in self._channels:
            return in_funding(MARK) if self.market.venue == "binance" else self._rng.choice(TICKERS)
        side = self._rng.randrange(2)
        level = (str(self._rng.randint(91, 97) + 12 * side), str(self._rng.randint(0, 3)))
        step = self._rng.randint(1, 4) if self.market.host == "binance_perp" else 1
        frame = self._true.update([level] if not side else [], [level] if side else [], step)
        self._true.history = {self._true.last_id: self._true.history[self._true.last_id]}
        return bytes(frame.frame) if self.market.venue == "bybit" else in_stream(self.market.market, bytes(frame.frame))

    def _hear(self, message: bytes) -> None:
        self._now_ns += S // FRAMES_A_SECOND
        is_funding = b"markPrice" in message or b"tickers" in message
        self._feeds[-1 if is_funding else 0].on_message(message, self._now_ns)
        self._answer()

    def _read_rest(self, body: bytes) -> None:
        market = self.market
        figures: Callable[[bytes], Any] = lambda b: market.parse_figures([b] * len(market.figures_requests()))  # noqa: E731
        for parse in (market.parse_snapshot, market.parse_instruments, figures, market.parse_time_ms, market.refusal):
            try:
                self._timed(parse, body, counts=parse == market.refusal)
            except UNREADABLE as error:
                self.account.outcomes[type(error).__name__] += 1

    def _read_record(self, value: bytes) -> None:
        try:
            self._handle(value)
        except BadRecordError as error:
            self.account.outcomes[error.reason] += 1

    def _timed(self, work: Callable[[bytes], Any], message: bytes, *, counts: bool = True) -> None:
        self.account.damaged += counts
        began_s = time.thread_time()
        try:
            work(message)
        except (*UNREADABLE, AssertionError):
            raise
        except Exception as error:
            raise AssertionError(
                f"{self.market.venue} {self.market.market}: {error!r} of {message[:2000]!r}"
            ) from error
        took_s = time.thread_time() - began_s
        if took_s > self.account.slowest_s:
            self.account.slowest_s, self.account.slowest = took_s, message[:200]

    def _answer(self) -> None:
        """Give the snapshots that were asked for; a dropped connection begins anew."""
        asked = [message for link in self._links for message in link.messages]
        wants = any(message.get("op") == "subscribe" and DEPTH_TOPIC in message["args"] for message in asked)
        for link in self._links:
            link.messages.clear()
        if any(link.dropped for link in self._links):
            for feed, link in zip(self._feeds, self._links, strict=True):
                feed.on_close("dropped", self._now_ns)
                link.dropped.clear()
            self._desk.wanted.clear()
            self._connect()
        elif wants:
            self._feeds[0].on_message(bytes(self._true.snapshot_frame().frame), self._now_ns)
        while self._desk.wanted:
            book = self._desk.wanted.pop()
            book.on_snapshot(self._true.snapshot(), b"{}", self._now_ns)

    def _second(self) -> None:
        self._now_ns += S
        for feed in self._feeds:
            feed.on_pong(self._now_ns, self._now_ns)
            feed.on_second(self._now_ns)
        self._answer()
        key = self._rng.choice([PAIR, "@"])
        restored = PartitionEngine(EconomicSettings())
        restored.restore(key, self._engine.snapshot(key))

    def _renew(self) -> None:
        """A new engine: offsets and books from the start, as after a restart without checkpoints."""
        self._engine, self._offset = self._new_engine(), 0
        for feed in self._feeds:
            feed.on_close("renewed", self._now_ns)
        for link in self._links:
            link.dropped.clear()
        self._desk.wanted.clear()
        self._connect()


def in_funding(frame: bytes) -> bytes:
    """The combined message around a markPriceUpdate."""
    return b'{"stream":"btcusdt@markPrice@1s","data":%b}' % frame


def fuzz(markets: Iterable[VenueMarket], frames: int, seed: int) -> dict[str, Account]:
    """Damage so many messages in all; what came of them, by market."""
    venues = [Venue(market, seed + number) for number, market in enumerate(markets)]
    for venue in venues:
        while venue.account.damaged < frames // len(venues):
            venue.step(0.7)
    return {f"{v.market.venue} {v.market.market}": v.account for v in venues}
