"""A third exchange is one module and one line in the registry: nothing else knows the venues by name."""

import inspect
import re
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

import mts_stream
from mts_stream.domain.economics import EconomicSettings
from mts_stream.domain.engine import PartitionEngine
from mts_stream.domain.fees import BEGINNING, DEFAULT_GROUP, PUBLIC_FEES, Fee, FeeSchedule
from mts_stream.domain.instrument import Instrument
from mts_stream.domain.messages import ArbitrageMessage, Message
from mts_stream.exchanges import VENUES
from mts_stream.exchanges.binance import BinanceSpot
from mts_stream.exchanges.venue import BookSnapshot, Control, DepthFrame, Refusal, Venue, VenueMarket
from mts_stream.settings import Settings
from mts_stream.wire.codec import decode_record
from producers.feeds import Feed
from producers.records import RecordWriter
from tests.domain.builders import PAIR, T0, instrument, registry
from tests.exchanges.third_venue import VENUE, ThirdSpot
from tests.producers.fakes import FakeDesk, FakeLink, FakeOutlet, binance_frame, in_stream

ATTRIBUTES, METHODS = 11, 20
FACTS_A_VENUE_BRINGS = ("exchanges/__init__.py", "settings.py", "domain/fees.py", "exchanges/naming.py")
FEES = FeeSchedule([*PUBLIC_FEES, Fee("third", "spot", DEFAULT_GROUP, Decimal(10), BEGINNING)])


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its line in the registry."""
    monkeypatch.setitem(VENUES, VENUE.name, VENUE)


def book(number: int, full: bool, bids: list[list[str]], asks: list[list[str]]) -> bytes:
    """A message of the third venue."""
    at = T0 // 10**6
    head = {"ch": "book", "sym": "BTC_USDT", "n": number, "at": at, "full": full}
    return msgspec.json.encode(head | {"bid": bids, "ask": asks})


class Wired:
    """Feeds of Binance spot and of the third venue, their raw records in the engine in the order in which they come."""

    def __init__(self) -> None:
        self.outlet, self.desk, self.now_ns = FakeOutlet(), FakeDesk(), T0
        self.engine = PartitionEngine(EconomicSettings(fees=FEES))
        self.messages: list[Message] = []
        third: Instrument = instrument("third:spot", symbol="BTC_USDT")
        self.engine.on_event(registry(instrument("binance:spot"), third), 0)
        self._read, self._offset = 0, 0
        self.binance = self._feed(BinanceSpot(), "BTCUSDT")
        self.third = self._feed(ThirdSpot(), "BTC_USDT")

    def _feed(self, market: VenueMarket, symbol: str) -> Feed:
        writer = RecordWriter(self.outlet, market.venue, market.venue, market.market, "depth", 1)
        feed = Feed(market, market.routes[0], writer, self.outlet, {symbol: PAIR}, self.desk, 60)
        feed.on_open(FakeLink(feed), 1, self.now_ns)
        return feed

    def drain(self) -> None:
        """Let the engine read what was written."""
        for topic, _, value, _, _ in self.outlet.sent[self._read :]:
            if topic == "mts.raw":
                self._offset += 1
                self.messages += self.engine.on_event(decode_record(value), self._offset).messages
        self._read = len(self.outlet.sent)

    def states(self) -> dict[str, str]:
        """What the books show."""
        return {name: leg.state for name, leg in self.engine.pairs[PAIR].engine.legs.items()}


def test_its_frames_become_a_signal_against_binance() -> None:
    """Socket bytes to classify, book, log, decode and engine: an opportunity between the two venues opens."""
    wired = Wired()
    wired.binance.on_message(in_stream("spot", binance_frame(101, 101, None, [["99", "50"]], [["100", "50"]])), T0)
    snapshot = BookSnapshot(100, [("99", "50")], [("100", "50")])
    wired.desk.wanted.pop().on_snapshot(snapshot, b'{"lastUpdateId":100,"bids":[],"asks":[]}', T0)
    wired.third.on_message(book(7, True, [["99", "1"]], [["100", "1"]]), T0)
    wired.drain()
    assert wired.states() == {"binance:spot": "valid", "third:spot": "valid"}
    assert not [m for m in wired.messages if isinstance(m, ArbitrageMessage)]

    wired.third.on_message(book(8, False, [["102", "50"]], [["100", "0"], ["103", "1"]]), T0 + 10**6)
    wired.drain()
    signals = [m for m in wired.messages if isinstance(m, ArbitrageMessage)]
    assert [(m.type, m.direction, [leg.venue for leg in m.legs]) for m in signals] == [
        ("arbitrage.opened", "binance:spot>third:spot", ["binance", "third"])
    ]
    assert signals[0].legs[1].message_id.startswith("third/spot/BTC_USDT/third/1/")


def test_its_gaps_and_resets_are_seen_as_any_others() -> None:
    """A number left out ends the book, here and in the engine; its own full message stands it up again."""
    wired = Wired()
    wired.third.on_message(book(7, True, [["99", "1"]], [["100", "1"]]), T0)
    wired.third.on_message(book(9, False, [["98", "1"]], []), T0)
    wired.drain()
    assert wired.states()["third:spot"] == "gap" and not wired.third.books["BTC_USDT"].is_synced

    wired.third.on_message(book(9, True, [["98", "1"]], [["100", "1"]]), T0)
    wired.third.on_second(T0 + 10**9)
    wired.drain()
    assert wired.states()["third:spot"] == "valid" and wired.third.books["BTC_USDT"].is_synced


def test_its_other_answers_are_read_too() -> None:
    """Controls, lists, clock and refusals."""
    market = ThirdSpot()
    row = {
        "sym": "BTC_USDT", "base": "BTC", "quote": "USDT", "tick": "0.1", "lot": "0.001", "least": "5",
        "last": "100", "volume": "9",
    }  # fmt: skip
    body = msgspec.json.encode([row])
    assert market.classify(b'{"ch":"no","id":"1","why":"x"}') == Control("refused", "1", "x")
    assert market.classify(b"garbage").kind == "unknown"  # type: ignore[union-attr]
    assert market.parse_instruments(body).instruments[0].base == "BTC"
    assert market.parse_figures([body])["BTC_USDT"].turnover_usd == "9"
    assert market.parse_time_ms(b'{"at":5}') == 5
    assert (market.refusal(b'{"why":"x"}'), market.refusal(b"{}")) == (Refusal(1, "x"), None)
    keyframe = msgspec.json.decode(book(7, True, [["99", "1"]], [["100", "1"]]))
    assert isinstance(market.classify(msgspec.json.encode(keyframe)), DepthFrame)


def test_the_interface_is_small() -> None:
    """What a market has to bring, by number; who makes it larger changes this line and docs/adding-a-venue.md."""
    attributes = inspect.get_annotations(VenueMarket)
    methods = [name for name, value in vars(VenueMarket).items() if inspect.isfunction(value) and name[0] != "_"]
    guide = (Path(mts_stream.__file__).parent.parent / "docs/adding-a-venue.md").read_text()

    assert (len(attributes), len(methods)) == (ATTRIBUTES, METHODS)
    assert set(inspect.get_annotations(Venue)) == {"name", "markets", "decode_depth", "decode_funding"}
    assert [name for name in (*attributes, *methods) if f"`{name}" not in guide] == []


def test_venues_are_named_where_their_facts_stand_and_nowhere_else() -> None:
    """In the package of the venue, its addresses, its fees, its spellings, and one line of the registry."""
    root = Path(mts_stream.__file__).parent
    elsewhere = {*VENUES, "simulator", "demo"}  # the exchanges that we simulate are these two
    names = re.compile(r"[\"'](binance|bybit)[\"'_]|^\s+(binance|bybit)\w*(: |\.VENUE)", re.M)
    found = {
        str(path.relative_to(root))
        for path in root.rglob("*.py")
        if names.search(path.read_text()) and not elsewhere & {*path.parts}
    }

    assert found <= set(FACTS_A_VENUE_BRINGS)


def test_every_host_has_its_two_addresses() -> None:
    """The settings that a market's `host` names are there."""
    for venue in VENUES.values():
        for market in venue.markets:
            if venue is not VENUE:
                assert {f"{market.host}_ws_url", f"{market.host}_rest_url"} <= Settings.model_fields.keys()
