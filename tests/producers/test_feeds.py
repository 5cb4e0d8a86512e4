"""One connection's feed: what it writes to the log and what it asks of its link, without sockets."""

import itertools
from typing import Any

import msgspec
import pytest

from mts_stream.exchanges.venue import BookSnapshot
from mts_stream.wire.results import ConnectionQuality, parse_dead_letter, parse_quality
from producers.quality import Shared
from tests.producers.fakes import S, TrueBook, bybit_frame
from tests.producers.stand import BTC, BYBIT, SPOT, START, Stand, binance_message, bybit_stand


def test_a_connection_says_up_subscribes_and_says_down_everywhere() -> None:
    """Statuses go to every partition with an empty key, numbered in order with the data."""
    stand = Stand(SPOT).open(gen=7)
    stand.feed.on_close("closed: 1001", stand.now_ns)

    assert stand.outlet.states() == [("up", ""), ("down", "closed: 1001")]
    assert [part for topic, key, _, _, part in stand.outlet.sent if topic == "mts.raw"] == [0, 1, 2, 0, 1, 2]
    assert [(e.gen, e.seq, e.symbol, e.pair) for e in stand.outlet.envelopes()] == [(7, 1, "", ""), (7, 2, "", "")]
    assert stand.link.messages == [{"method": "SUBSCRIBE", "params": ["btcusdt@depth@100ms"], "id": 1}]


def test_subscriptions_are_batched_as_the_venue_wants() -> None:
    """At most so many streams a request."""
    pairs = {f"C{n}USDT": f"C{n}-USDT" for n in range(60)}
    stand = Stand(BYBIT, pairs=pairs).open()
    assert [len(m["args"]) for m in stand.link.messages] == [100, 20]
    assert len({m["req_id"] for m in stand.link.messages}) == 2


def test_every_frame_is_logged_as_it_came_and_the_keyframe_follows_the_snapshot() -> None:
    """Frames do not wait for the snapshot; the keyframe has the sequence of the last of them."""
    stand, true = Stand(SPOT).open(), TrueBook(SPOT)
    first = true.update([("99", "5")], [])
    stand.tell(binance_message(first))
    assert [book.symbol for book in stand.desk.wanted] == ["BTCUSDT"]
    at = true.last_id
    stand.tell(binance_message(true.update([("98", "0")], [])))
    stand.desk.wanted[0].on_snapshot(true.snapshot(at), b"{}", stand.now_ns)
    stand.tell(binance_message(true.update([("97", "1")], [])))

    assert stand.kinds() == ["frame", "frame", "snapshot", "keyframe", "frame"]
    records = stand.outlet.envelopes("frame", "keyframe")
    assert bytes(records[0].frame) == bytes(first.frame)
    keyframe = records[2]
    assert msgspec.json.decode(keyframe.frame)["lastUpdateId"] == 102
    assert keyframe.range == ("90", "102")
    assert [e.seq for e in stand.outlet.envelopes()] == [1, 2, 3, 4, 5, 6]
    assert {e.pair for e in records} == {"BTC-USDT"}


def test_one_snapshot_is_asked_for_at_a_time() -> None:
    """Frames that come meanwhile ask no more; one that does not fit is asked again a second later."""
    stand, true = Stand(SPOT).open(), TrueBook(SPOT)
    old = true.snapshot()
    true.update([("99", "4")], [])
    for size in "567":
        stand.tell(binance_message(true.update([("99", size)], [])))
    assert len(stand.desk.wanted) == 1
    stand.desk.wanted[0].on_snapshot(old, b"{}", stand.now_ns)
    stand.tell(binance_message(true.update([("99", "8")], [])))
    assert len(stand.desk.wanted) == 1
    stand.seconds(1)
    assert len(stand.desk.wanted) == 2
    stand.seconds(10)
    assert len(stand.desk.wanted) == 3


def test_a_gap_is_in_the_log_and_asks_for_a_snapshot() -> None:
    """The frame that shows the gap is written, so that the engine sees it too."""
    stand, true = Stand(SPOT).open(), TrueBook(SPOT)
    stand.tell(binance_message(true.update([("99", "5")], [])))
    stand.desk.wanted[0].on_snapshot(true.snapshot(), b"{}", stand.now_ns)
    true.update([("99", "6")], [])
    stand.tell(binance_message(true.update([("99", "7")], [])))

    assert stand.kinds()[-1] == "frame"
    assert len(stand.desk.wanted) == 2
    stand.desk.wanted[1].on_snapshot(true.snapshot(), b"{}", stand.now_ns)
    assert stand.kinds()[-1] == "keyframe"


def test_bybit_heals_a_gap_by_subscribing_again() -> None:
    """Unsubscribe and subscribe the one topic; once more when nothing comes."""
    stand, true = bybit_stand()
    assert stand.kinds() == ["frame", "keyframe"]
    true.update([("99", "6")], [])
    stand.link.messages.clear()
    stand.tell(bytes(true.update([("99", "7")], []).frame))

    assert [(m["op"], m["args"]) for m in stand.link.messages] == [
        ("unsubscribe", ["orderbook.50.BTCUSDT"]),
        ("subscribe", ["orderbook.50.BTCUSDT"]),
    ]
    stand.seconds(10)
    book_alone = {"op": "unsubscribe", "args": ["orderbook.50.BTCUSDT"]}
    assert sum(m | book_alone == m for m in stand.link.messages) == 2
    stand.tell(bytes(true.snapshot_frame().frame))
    assert stand.kinds()[-2:] == ["frame", "keyframe"]


def test_keyframes_come_at_least_every_interval() -> None:
    """Quiet or busy, no two keyframes of a synced book are further apart."""
    stand, _ = bybit_stand()
    stand.seconds(240)
    times = [e.received_ns for e in stand.outlet.envelopes("keyframe")]

    assert len(times) >= 5
    assert max(b - a for a, b in itertools.pairwise(times)) <= 60 * S


def test_a_ticker_has_keyframes_only_while_it_is_heard_from() -> None:
    """Merged data, as a snapshot; no second one without a frame between."""
    stand = Stand(BYBIT).open()
    head = {"topic": "tickers.BTCUSDT", "ts": 5, "cs": 6}
    whole = {"symbol": "BTCUSDT", "fundingRate": "1", "markPrice": "2"}
    delta = msgspec.json.encode(head | {"type": "delta", "data": {"symbol": "BTCUSDT", "markPrice": "3"}})
    stand.tell(delta)
    stand.seconds(70)
    assert "keyframe" not in stand.kinds()
    stand.tell(msgspec.json.encode(head | {"type": "snapshot", "data": whole}))
    stand.tell(delta)
    stand.seconds(150)

    keyframes = stand.outlet.envelopes("keyframe")
    assert len(keyframes) == 1
    assert keyframes[0].channel == "funding"
    assert msgspec.json.decode(keyframes[0].frame) == head | {
        "type": "snapshot",
        "data": whole | {"markPrice": "3"},
    }


def test_a_lost_connection_voids_everything() -> None:
    """After it nothing is written, and the next generation starts from nothing."""
    stand, true = bybit_stand()
    stand.feed.on_close("closed", stand.now_ns)
    written = len(stand.outlet.envelopes())
    stand.tell(bytes(true.update([("99", "7")], []).frame))
    stand.seconds(3)
    assert len(stand.outlet.envelopes()) == written

    stand.open(gen=2)
    stand.tell(bytes(true.update([("99", "8")], []).frame))
    assert stand.kinds()[-1] == "frame" and not stand.feed.books["BTCUSDT"].is_synced
    assert stand.outlet.envelopes()[-1].gen == 2


def test_a_snapshot_that_comes_after_the_connection_is_not_written() -> None:
    """The answer of a request outlives its connection; its book does not."""
    stand, true = Stand(SPOT).open(), TrueBook(SPOT)
    stand.tell(binance_message(true.update([("99", "5")], [])))
    stand.feed.on_close("closed", stand.now_ns)
    stand.desk.wanted[0].on_snapshot(true.snapshot(), b"{}", stand.now_ns)
    assert "keyframe" not in stand.kinds()


def test_a_full_queue_ends_the_connection_and_down_is_still_said() -> None:
    """No record of that generation follows the one that found no room."""
    stand, true = bybit_stand()
    stand.outlet.room = False
    stand.tell(bytes(true.update([("99", "7")], []).frame))
    stand.outlet.room = True
    stand.tell(bytes(true.update([("99", "8")], []).frame))

    assert stand.link.dropped == ["backpressure"]
    assert stand.outlet.states()[-1] == ("down", "backpressure")
    assert stand.outlet.envelopes()[-1].kind == "status"


def test_an_undelivered_record_ends_its_generation_only() -> None:
    """What an older generation lost does not touch the one that runs."""
    stand, _ = bybit_stand()
    stand.feed.on_undelivered(0)
    assert stand.link.dropped == []
    stand.feed.on_undelivered(1)
    assert stand.link.dropped == ["undelivered"]
    stand.feed.on_close("x", stand.now_ns)
    stand.feed.on_undelivered(1)
    assert stand.link.dropped == ["undelivered"]


def test_streams_that_stay_silent_are_asked_for_again() -> None:
    """After 5 s, then ever more rarely; those that spoke are left alone."""
    stand = Stand(BYBIT, pairs=BTC | {"ETHUSDT": "ETH-USDT"}).open()
    stand.tell(bybit_frame("snapshot", 5, [["1", "1"]], [["2", "1"]]))
    stand.link.messages.clear()
    stand.seconds(6)
    topics = ["tickers.BTCUSDT", "orderbook.50.ETHUSDT", "tickers.ETHUSDT"]
    assert [(m["op"], m["args"]) for m in stand.link.messages] == [("unsubscribe", topics), ("subscribe", topics)]
    stand.link.messages.clear()
    stand.seconds(9)
    assert not [m for m in stand.link.messages if m["op"] == "subscribe"]
    stand.seconds(2)
    assert [m["args"] for m in stand.link.messages if m["op"] == "subscribe"] == [topics]


def test_a_symbol_that_is_not_traded_any_more_is_left_alone() -> None:
    """Unsubscribed, its book void, not asked for again, not even on a new connection; until it is back."""
    stand = Stand(BYBIT, pairs=BTC | {"ETHUSDT": "ETH-USDT"}).open()
    stand.tell(bybit_frame("snapshot", 5, [["1", "1"]], [["2", "1"]]))
    stand.link.messages.clear()
    stand.feed.follow({"ETHUSDT"})
    stand.feed.follow({"ETHUSDT"})
    assert [(m["op"], m["args"]) for m in stand.link.messages] == [
        ("unsubscribe", ["orderbook.50.BTCUSDT", "tickers.BTCUSDT"])
    ]
    written = len(stand.kinds())
    stand.tell(bybit_frame("delta", 6, [["1", "2"]], []))
    stand.seconds(6)
    assert not stand.feed.books["BTCUSDT"].is_synced and len(stand.kinds()) == written
    assert not [m for m in stand.link.messages if m["op"] == "subscribe" and "BTCUSDT" in str(m["args"])]

    stand.feed.on_close("lost", stand.now_ns)
    stand.link.messages.clear()
    stand.open(gen=2)
    assert [m["args"] for m in stand.link.messages] == [["orderbook.50.ETHUSDT", "tickers.ETHUSDT"]]
    stand.feed.follow({"BTCUSDT", "ETHUSDT"})
    assert stand.link.messages[-1]["args"] == ["orderbook.50.BTCUSDT", "tickers.BTCUSDT"]


def test_a_symbol_that_ends_while_nothing_is_connected_is_not_subscribed_to() -> None:
    """The next connection leaves it out."""
    stand = Stand(SPOT, pairs=BTC | {"ETHUSDT": "ETH-USDT"})
    stand.feed.follow({"ETHUSDT"})
    stand.open()
    assert [m["params"] for m in stand.link.messages] == [["ethusdt@depth@100ms"]]


def test_bybit_is_pinged_in_its_own_way() -> None:
    """op ping every 20 s."""
    stand, _ = bybit_stand()
    stand.link.messages.clear()
    stand.seconds(41)
    assert [m["op"] for m in stand.link.messages].count("ping") == 2


def test_a_farewell_ends_the_connection() -> None:
    """A serverShutdown leaves 10 s for a planned change; then the connection is given up."""
    stand = Stand(SPOT).open()
    stand.tell(b'{"e":"serverShutdown","E":1}')
    assert stand.feed.is_leaving
    stand.seconds(9)
    assert stand.link.dropped == []
    stand.seconds(1)
    assert stand.link.dropped == ["server_shutdown"]
    assert not stand.open(2).feed.is_leaving


def test_what_is_not_understood_is_a_dead_letter() -> None:
    """With venue, connection and bytes; acks, refusals and foreign streams are none."""
    stand = Stand(SPOT).open()
    for message in (b'{"result":null,"id":1}', b'{"code":2,"msg":"x","id":1}', b'{"stream":"a@trade","data":{}}'):
        stand.tell(message)
    stand.tell(b"what?")
    letters = [value for topic, _, value, _, _ in stand.outlet.sent if topic == "mts.dlq"]

    assert len(letters) == 1
    letter = parse_dead_letter(letters[0])
    assert (letter.origin, letter.reason, letter.venue, letter.payload_bytes) == (
        "producer", "unknown_message", "binance", 5,
    )  # fmt: skip


def test_frames_of_symbols_that_nobody_asked_for_are_not_logged() -> None:
    """A record without a pair would be a dead letter downstream."""
    stand, _ = bybit_stand()
    before = len(stand.outlet.envelopes())
    stand.tell(bybit_frame("snapshot", 5, [["1", "1"]], [["2", "1"]], symbol="XUSDT"))
    stand.tell(b'{"topic":"tickers.XUSDT","type":"delta","ts":1,"data":{}}')
    assert len(stand.outlet.envelopes()) == before


def test_a_crossed_book_is_synchronised_anew_and_one_that_uncrossed_gets_a_keyframe() -> None:
    """More than a second crossed is wrong; shorter is a moment, after which the engine needs a keyframe."""
    stand, true = bybit_stand()
    stand.tell(bytes(true.update([("101", "1")], []).frame))
    stand.seconds(2)
    stand.tell(bytes(true.update([("101", "0")], []).frame))
    before = len(stand.outlet.envelopes("keyframe"))
    stand.seconds(2)
    assert len(stand.outlet.envelopes("keyframe")) == before + 1
    stand.tell(bytes(true.update([("101", "1")], []).frame))
    stand.link.messages.clear()
    stand.seconds(5)
    assert "unsubscribe" in [m["op"] for m in stand.link.messages]
    assert not stand.feed.books["BTCUSDT"].is_synced


@pytest.mark.parametrize("bad", [[["99", "x"]], [["-1", "1"]], ["odd"]])
def test_impossible_levels_make_a_resync(bad: Any) -> None:
    """At the latest when the book is looked at, two seconds later; at once in a snapshot."""
    stand, true = bybit_stand()
    stand.tell(bybit_frame("delta", true.last_id + 1, bad, []))
    stand.seconds(3)
    assert not stand.feed.books["BTCUSDT"].is_synced
    stand.tell(bybit_frame("snapshot", 500, bad, []))
    assert not stand.feed.books["BTCUSDT"].is_synced


def test_half_a_range_used_up_asks_for_a_fresh_snapshot() -> None:
    """The book stays valid meanwhile, and the new range goes to the log."""
    stand, true = Stand(SPOT).open(), TrueBook(SPOT, sides=({"100": "1", "80": "1"}, {"101": "1", "141": "1"}))
    stand.tell(binance_message(true.update([("100", "2")], [])))
    stand.desk.wanted[0].on_snapshot(true.snapshot(), b"{}", stand.now_ns)
    stand.seconds(4)
    stand.tell(binance_message(true.update([("100", "0"), ("85", "1"), ("60", "1")], [])))
    stand.seconds(2)
    assert len(stand.desk.wanted) == 2 and stand.feed.books["BTCUSDT"].is_synced
    stand.seconds(4)
    assert len(stand.desk.wanted) == 2
    stand.desk.wanted[1].on_snapshot(true.snapshot(), b"{}", stand.now_ns)
    assert stand.outlet.envelopes("keyframe")[-1].range == ("60", "141")


def test_a_snapshot_that_cannot_be_read_into_a_book_is_asked_for_again() -> None:
    """A price that is no number in a REST answer."""
    stand, true = Stand(SPOT).open(), TrueBook(SPOT)
    stand.tell(binance_message(true.update([("99", "5")], [])))
    stand.desk.wanted[0].on_snapshot(BookSnapshot(true.last_id, [("x", "1")], [("2", "1")]), b"{}", stand.now_ns)
    assert len(stand.desk.wanted) == 2


def told_quality(stand: Stand) -> list[ConnectionQuality]:
    """The connection's quality, second by second."""
    told = [parse_quality(value) for topic, _, value, _, _ in stand.outlet.sent if topic == "mts.quality"]
    return [message for message in told if isinstance(message, ConnectionQuality)]


def test_quality_is_told_every_second() -> None:
    """What came, what was out of step, what was lost, what waits; each second of the epoch once."""
    stand, true = bybit_stand()
    stand.shared = Shared(queued_records=4)
    true.update([("99", "6")], [])
    stand.tell(bytes(true.update([("99", "7")], []).frame))
    stand.tell(b"what?")
    stand.seconds(1)
    stand.feed.on_close("closed", stand.now_ns)
    stand.seconds(1)
    first, second = told_quality(stand)

    assert (first.frames, first.resyncs, first.gaps, first.reconnects, first.queued_records) == (2, 1, 1, 0, 4)
    assert (first.frames_by_channel, first.resyncs_by_reason, first.dead_letters) == ({"depth": 2}, {"gap": 1}, 1)
    assert first.latency_p50_ms is not None and first.bytes > 100 and first.gen == 1
    assert (second.frames, second.reconnects, second.latency_p99_ms) == (0, 1, None)
    assert [message.window_start_ns for message in (first, second)] == [START, START + S]


def test_books_count_while_they_stand() -> None:
    """From the keyframe to the gap, to the loss of the connection; those that are not traded any more do not count."""
    stand, true = bybit_stand()
    stand.now_ns += S // 2
    true.update([("99", "6")], [])
    stand.tell(bytes(true.update([("99", "7")], []).frame))
    stand.now_ns += S // 4
    stand.tell(bytes(true.snapshot_frame().frame))
    stand.now_ns -= 3 * S // 4
    stand.seconds(2)
    stand.now_ns += S // 10
    stand.feed.on_close("closed", stand.now_ns)
    stand.now_ns -= S // 10
    stand.seconds(1)
    stand.feed.follow(set())
    stand.seconds(2)

    told = told_quality(stand)
    assert [message.valid_percent for message in told] == ["75", "100", "10", "0", None]
    assert [(message.books, message.books_synced) for message in told] == [(1, 1), (1, 1), (1, 0), (1, 0), (0, 0)]
