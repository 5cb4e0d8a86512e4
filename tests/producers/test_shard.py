"""A shard whose connection is changed, without sockets: who speaks for a book, and what happens when one side fails."""

from dataclasses import dataclass, field
from typing import Any, cast

import msgspec
import pytest

from mts_stream.exchanges.binance import BinancePerp, BinanceSpot
from mts_stream.exchanges.bybit import BybitPerp
from mts_stream.exchanges.venue import VenueMarket
from producers.connection import Connection
from producers.feeds import Feed
from producers.records import RecordWriter
from producers.shard import Line, Shard
from producers.stillness import LAG_NS_MAX, QUIET_NS
from tests.producers.fakes import FakeDesk, FakeOutlet, S, TrueBook, in_stream

SPOT, PERP, BYBIT = BinanceSpot(), BinancePerp(), BybitPerp()
START = 1_700_000_000 * S
BTC = {"BTCUSDT": "BTC-USDT"}


@dataclass
class FakeConnection:
    """A connection in the test's hands: `up` and `drop` are told to its feed as the real one does."""

    name: str
    feed: Feed
    stand: "Stand"
    messages: list[Any] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)

    def send(self, message: bytes) -> None:
        """Keep a message."""
        self.messages.append(msgspec.json.decode(message))

    def up(self, gen: int = 1) -> None:
        """The socket stands."""
        self.feed.on_open(self, gen, self.stand.now_ns)

    def drop(self, reason: str) -> None:
        """It ends."""
        if self.feed.is_up:
            self.feed.on_close(reason, self.stand.now_ns)

    def close(self, reason: str) -> None:
        """It ends for good."""
        self.closed.append(reason)
        self.drop(reason)


class Stand:
    """A shard on fake connections, one log, and time."""

    def __init__(self, market: VenueMarket, route: int = 0, change_after_s: float | None = 100) -> None:
        self.market, self.route = market, market.routes[route]
        self.outlet, self.desk = FakeOutlet(), FakeDesk()
        self.connections: dict[str, FakeConnection] = {}
        self.now_ns = START
        self.shard = Shard("c-0", self._make, change_after_s)
        self.connections["c-0-a"].up()

    def _make(self, conn: str, old: Feed | None) -> Line:
        writer = RecordWriter(self.outlet, conn, self.market.venue, self.market.market, "depth", 1)
        feed = old.heir(writer) if old else Feed(self.market, self.route, writer, self.outlet, BTC, self.desk, 60)
        self.connections[conn] = FakeConnection(conn, feed, self)
        return Line(cast(Connection, self.connections[conn]), feed)

    def seconds(self, count: int) -> None:
        """Seconds pass on every connection, each answered by a pong."""
        for _ in range(count):
            self.now_ns += S
            for line in self.shard.lines:
                line.feed.on_pong(self.now_ns, self.now_ns)
                line.feed.on_second(self.now_ns)
            self.shard.look(self.now_ns)

    def change(self, is_up: bool = True) -> None:
        """A change begins."""
        self.now_ns += 103 * S
        self.shard.look(self.now_ns)
        assert self.shard.heir is not None
        if is_up:
            self.connections["c-0-b"].up()

    def tell(self, letter: str, message: bytes) -> None:
        """A message comes on one of the connections."""
        self.connections[f"c-0-{letter}"].feed.on_message(message, self.now_ns)

    def said(self) -> list[str]:
        """Who said what, statuses left out."""
        return [f"{e.conn[-1]} {e.kind}" for e in self.outlet.envelopes() if e.kind != "status"]


def binance_stand(market: VenueMarket) -> tuple[Stand, TrueBook]:
    """A Binance shard whose book stands."""
    stand, true = Stand(market), TrueBook(market)
    stand.tell("a", message(market, true.update([("99", "5")], [])))
    stand.desk.wanted[0].on_snapshot(true.snapshot(), b"{}", stand.now_ns)
    return stand, true


def bybit_stand() -> tuple[Stand, TrueBook]:
    """A Bybit shard whose book stands and whose ticker has spoken."""
    stand, true = Stand(BYBIT), TrueBook(BYBIT)
    stand.tell("a", bytes(true.snapshot_frame().frame))
    stand.tell("a", ticker("snapshot", 5, fundingRate="1", markPrice="7"))
    return stand, true


def message(market: VenueMarket, frame: Any) -> bytes:
    """The socket's message around a frame."""
    return bytes(frame.frame) if market.venue == "bybit" else in_stream(market.market, bytes(frame.frame))


def ticker(kind: str, at_ms: int, **data: str) -> bytes:
    """A tickers message of Bybit."""
    head = {"topic": "tickers.BTCUSDT", "type": kind, "ts": at_ms, "cs": at_ms}
    return msgspec.json.encode(head | {"data": {"symbol": "BTCUSDT"} | data})


@pytest.mark.parametrize("market", [SPOT, PERP])
def test_a_binance_book_moves_without_a_request(market: VenueMarket) -> None:
    """The old book joins the new frames; what comes late on the old connection is not said any more."""
    stand, true = binance_stand(market)
    stand.change()
    first, second, third, fourth = (message(market, true.update([("98", size)], [])) for size in "2345")
    stand.tell("b", second)  # ahead of the old connection, so it waits
    assert stand.said()[-1] == "a keyframe"
    stand.tell("a", first)
    stand.tell("b", third)
    stand.tell("a", second)
    stand.tell("a", third)
    stand.tell("b", fourth)

    assert stand.said()[-4:] == ["a keyframe", "a frame", "b keyframe", "b frame"]
    keyframe = stand.outlet.envelopes("keyframe")[-1]
    assert msgspec.json.decode(keyframe.frame)["lastUpdateId"] == true.last_id - 1
    assert keyframe.range == ("90", "102")
    assert len(stand.desk.wanted) == 1
    stand.seconds(1)
    assert stand.connections["c-0-a"].closed == ["changed"]
    assert stand.outlet.states()[-1] == ("down", "changed")
    assert stand.shard.lines == (Line(stand.connections["c-0-b"], stand.connections["c-0-b"].feed),)  # type: ignore[arg-type]


@pytest.mark.parametrize("market", [SPOT, PERP])
def test_what_was_said_on_the_old_connection_is_not_said_again_on_the_new_one(market: VenueMarket) -> None:
    """A new connection that is behind catches up first; lost then, the old one's book is still good to join."""
    stand, true = binance_stand(market)
    stand.change()
    first, second, third = (message(market, true.update([("98", size)], [])) for size in "234")
    for frame in (first, second, third):
        stand.tell("a", frame)
    stand.tell("b", first)
    stand.tell("b", second)
    assert stand.said()[-3:] == ["a frame"] * 3
    stand.connections["c-0-a"].drop("lost")
    assert stand.said()[-1] == "b keyframe" and len(stand.desk.wanted) == 1
    stand.tell("b", third)
    stand.tell("b", message(market, true.update([("98", "5")], [])))
    assert stand.connections["c-0-b"].feed.books["BTCUSDT"].is_synced

    stand, true = binance_stand(market)
    stand.change()
    first, second = (message(market, true.update([("98", size)], [])) for size in "23")
    for letter, frame in (("a", first), ("a", second), ("b", first), ("b", second)):
        stand.tell(letter, frame)
    assert stand.said()[-3:] == ["a frame", "a frame", "b keyframe"]


def test_levels_that_cannot_be_read_take_no_lead() -> None:
    """Where the new connection alone has them it begins anew, and the old one goes on."""
    stand, true = bybit_stand()
    stand.change()
    snapshot, frame = message(BYBIT, true.snapshot_frame()), message(BYBIT, true.update([("98", "7")], []))
    stand.tell("a", frame)
    stand.tell("b", snapshot)
    stand.tell("b", frame.replace(b'"98"', b'"odd"'))
    assert "b keyframe" not in stand.said() and stand.shard.heir is not None
    assert [m["op"] for m in stand.connections["c-0-b"].messages][-2:] == ["unsubscribe", "subscribe"]

    stand, true = binance_stand(SPOT)
    stand.change()
    frame = message(SPOT, true.update([("98", "7")], []))
    stand.tell("b", frame.replace(b'"98"', b'"odd"'))
    assert "b keyframe" not in stand.said()
    stand.tell("a", frame)
    stand.tell("b", message(SPOT, true.update([("98", "8")], [])))
    assert stand.said()[-1] == "b keyframe"


def test_a_bybit_book_and_its_ticker_move_by_their_snapshots() -> None:
    """Each by a keyframe of its own, when it is as new as what was said; deltas in between are merged into it."""
    stand, true = bybit_stand()
    stand.change()
    snapshot = true.snapshot_frame()
    stand.tell("a", message(BYBIT, true.update([("98", "7")], [])))
    stand.tell("b", message(BYBIT, snapshot))
    assert stand.said()[-1] == "a frame"
    stand.tell("b", message(BYBIT, true.update([("98", "7")], [], step=0)))
    assert stand.said()[-1] == "b keyframe"
    stand.tell("b", ticker("snapshot", 4, fundingRate="1", markPrice="6"))
    assert stand.said()[-1] == "b keyframe" and stand.shard.heir is not None
    stand.tell("b", ticker("delta", 5, markPrice="7"))
    stand.tell("a", ticker("delta", 6, markPrice="8"))
    stand.tell("b", ticker("delta", 6, markPrice="8"))

    assert stand.said()[-3:] == ["b keyframe", "b keyframe", "b frame"]
    merged = msgspec.json.decode(stand.outlet.envelopes("keyframe")[-1].frame)["data"]
    assert merged == {"symbol": "BTCUSDT", "fundingRate": "1", "markPrice": "7"}
    stand.seconds(1)
    assert stand.connections["c-0-a"].closed == ["changed"]


def test_binance_funding_moves_without_being_said_twice() -> None:
    """Every frame is whole: the one that the old connection said already only moves the ticker."""
    stand = Stand(PERP, route=1)

    def mark(at_ms: int) -> bytes:
        return b'{"stream":"btcusdt@markPrice@1s","data":{"s":"BTCUSDT","E":%d,"r":"0.1","T":9}}' % at_ms

    stand.tell("a", mark(1000))
    stand.change()
    stand.tell("a", mark(2000))
    stand.tell("b", mark(2000))
    stand.tell("b", mark(3000))
    stand.tell("a", mark(3000))
    assert stand.said() == ["a frame", "a frame", "b frame"]
    assert not stand.connections["c-0-b"].feed.is_following


def test_a_new_connection_that_stays_behind_is_not_waited_for_without_end() -> None:
    """After two seconds its snapshot is good enough: it is the venue's own."""
    stand, true = bybit_stand()
    stand.change()
    old = true.snapshot_frame()
    stand.tell("a", message(BYBIT, true.update([("98", "7")], [])))
    stand.tell("b", message(BYBIT, old))
    stand.tell("b", ticker("snapshot", 4))
    stand.seconds(LAG_NS_MAX // S - 1)
    assert "b keyframe" not in stand.said() and stand.shard.heir is not None
    stand.seconds(1)
    assert stand.said()[-2:] == ["b keyframe", "b keyframe"] and stand.shard.heir is None


def test_a_book_that_says_nothing_anywhere_moves_as_it_is() -> None:
    """An illiquid symbol sends nothing for half a minute; its next frame shows whether it follows."""
    stand, true = binance_stand(SPOT)
    stand.change()
    stand.seconds(QUIET_NS // S)
    assert "b keyframe" not in stand.said()
    stand.seconds(2)
    assert stand.said()[-1] == "b keyframe" and stand.shard.heir is None
    stand.tell("b", message(SPOT, true.update([("97", "3")], [])))
    assert stand.said()[-1] == "b frame" and stand.connections["c-0-b"].feed.books["BTCUSDT"].is_synced


def test_a_book_that_is_silent_on_the_new_connection_alone_is_waited_for() -> None:
    """The old connection goes on with it, and the new one asks for the stream again."""
    stand, true = binance_stand(SPOT)
    stand.change()
    for _ in range(40):
        stand.tell("a", message(SPOT, true.update([("97", "3")], [])))
        stand.seconds(1)
    assert "b keyframe" not in stand.said() and stand.said()[-1] == "a frame"
    asked = [m for m in stand.connections["c-0-b"].messages if m["method"] == "SUBSCRIBE"]
    assert len(asked) > 2
    stand.tell("b", message(SPOT, true.update([("97", "4")], [])))
    assert stand.said()[-1] == "b keyframe"


def test_a_new_connection_that_fails_leaves_the_old_one_alone() -> None:
    """What it had collected is void; when it is back it takes the books over."""
    stand, true = binance_stand(SPOT)
    stand.change()
    missed, ahead = (message(SPOT, true.update([("97", size)], [])) for size in "34")
    stand.tell("b", ahead)
    stand.connections["c-0-b"].drop("closed")
    stand.tell("a", missed)
    stand.tell("a", ahead)
    assert stand.said()[-1] == "a frame" and stand.shard.heir is not None
    stand.connections["c-0-b"].up(gen=2)
    both = message(SPOT, true.update([("97", "6")], []))
    stand.tell("a", both)
    stand.tell("b", both)

    assert stand.said()[-2:] == ["a frame", "b keyframe"]
    assert stand.outlet.envelopes("keyframe")[-1].gen == 2
    assert len(stand.desk.wanted) == 1


def test_an_old_connection_that_is_lost_leaves_its_books_to_the_new_one() -> None:
    """A book that is there already is said right behind `down`, though it is behind what was said last."""
    stand, true = bybit_stand()
    stand.change()
    old = true.snapshot_frame()
    stand.tell("a", message(BYBIT, true.update([("98", "7")], [])))
    stand.tell("b", message(BYBIT, old))
    stand.connections["c-0-a"].drop("closed: 1001")

    assert stand.connections["c-0-a"].closed == ["changed"]
    assert stand.shard.heir is None and stand.shard.leading.feed.writer.conn == "c-0-b"
    assert stand.outlet.states()[-1] == ("down", "closed: 1001")
    assert stand.outlet.envelopes()[-1].kind == "keyframe"
    stand.tell("b", ticker("snapshot", 9, fundingRate="1"))
    assert stand.said()[-1] == "b frame"


def test_what_cannot_be_taken_from_a_lost_connection_is_synchronised_as_ever() -> None:
    """Where the new frames are ahead of the old book at once, where nothing came yet with the first frame."""
    stand, true = binance_stand(SPOT)
    stand.change()
    true.update([("97", "3")], [])
    stand.tell("b", message(SPOT, true.update([("97", "4")], [])))
    stand.connections["c-0-a"].drop("lost")
    book = stand.connections["c-0-b"].feed.books["BTCUSDT"]
    assert stand.desk.wanted[-1] is book and "b keyframe" not in stand.said()
    book.on_snapshot(true.snapshot(), b"{}", stand.now_ns)
    assert stand.said()[-2:] == ["b snapshot", "b keyframe"]

    stand, true = binance_stand(SPOT)
    stand.change(is_up=False)
    stand.connections["c-0-a"].drop("lost")
    assert stand.shard.heir is None
    stand.connections["c-0-b"].up()
    stand.tell("b", message(SPOT, true.update([("97", "4")], [])))
    assert stand.said()[-1] == "b frame" and len(stand.desk.wanted) == 2


def test_a_farewell_begins_a_change_and_ends_the_connection_in_time() -> None:
    """The old connection is given up ten seconds later even if the new one never came up."""
    stand, _ = binance_stand(SPOT)
    stand.tell("a", b'{"e":"serverShutdown","E":1}')
    stand.shard.look(stand.now_ns)
    assert stand.shard.heir is not None
    stand.seconds(10)
    assert stand.outlet.states()[-1] == ("down", "server_shutdown")
    assert stand.shard.heir is None and stand.connections["c-0-a"].closed == ["changed"]


def test_connections_are_changed_at_different_ages() -> None:
    """A process opens them together; at most 2 % of the age later all are due, and never before it."""
    ages = set()
    for number in range(40):
        shard = Shard(f"c-{number}", Stand(SPOT)._make, 82_800)
        ages.add(shard._change_after_ns or 0)
    assert len(ages) > 30
    assert min(ages) >= 82_800 * S and max(ages) <= 84_456 * S
    assert Stand(SPOT, change_after_s=None).shard._change_after_ns is None


def test_closing_hands_nothing_over() -> None:
    """At the end of the process both are closed, without a keyframe of the new one between."""
    stand, true = bybit_stand()
    stand.change()
    stand.tell("a", message(BYBIT, true.update([("98", "7")], [])))
    said = len(stand.said())
    stand.shard.close("stopped")
    assert len(stand.said()) == said
    assert [c.closed for c in stand.connections.values()] == [["stopped"], ["stopped"]]
