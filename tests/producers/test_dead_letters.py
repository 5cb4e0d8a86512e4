"""What nobody understands: counted whole, kept in part, and never a way into a book."""

import pytest
import structlog

from mts_stream.domain.economics import EconomicSettings
from mts_stream.domain.engine import PartitionEngine
from mts_stream.errors import BadRecordError
from mts_stream.exchanges.bybit import BybitPerp
from mts_stream.metrics import DEAD_LETTERS
from mts_stream.wire.codec import decode_event
from mts_stream.wire.results import parse_dead_letter
from producers.dead_letters import KEPT_PER_S, DeadLetters
from producers.feeds import Feed
from producers.records import RecordWriter
from tests.domain.builders import PAIR, T0, registry
from tests.producers.fakes import FakeDesk, FakeLink, FakeOutlet, S, TrueBook, bybit_frame

GARBAGE = b"x" * 100_000


def counted() -> float:
    """What the metric says."""
    value: float = DEAD_LETTERS.labels("producer", "unknown_message")._value.get()
    return value


def test_garbage_is_counted_whole_and_kept_in_part() -> None:
    """Ten a second and connection go to the topic with their first 64 KiB; a line says how many did not."""
    outlet, before = FakeOutlet(), counted()
    letters = DeadLetters(outlet, "binance", "c-0")
    for _ in range(10_000):
        letters.keep("unknown_message", "what?", GARBAGE)

    assert counted() - before == 10_000
    assert len(outlet.sent) == KEPT_PER_S
    letter = parse_dead_letter(outlet.sent[0][2])
    assert (letter.venue, letter.stream, letter.payload_bytes, letter.truncated) == ("binance", "c-0", 100_000, True)
    with structlog.testing.capture_logs() as said:
        letters.on_second()
        letters.on_second()
    assert [(line["kept"], line["counted_only"]) for line in said] == [(KEPT_PER_S, 10_000 - KEPT_PER_S)]
    letters.keep("unknown_message", "what?", GARBAGE)
    assert len(outlet.sent) == KEPT_PER_S + 1


def test_a_letter_that_finds_no_room_is_counted_only() -> None:
    """Dead letters never stand in the way of the data."""
    letters, before = DeadLetters(FakeOutlet(room=False), "binance", "c-0"), counted()
    letters.keep("unknown_message", "what?", GARBAGE)

    assert counted() - before == 1
    with structlog.testing.capture_logs() as said:
        letters.on_second()
    assert [(line["kept"], line["counted_only"]) for line in said] == [(0, 1)]


def test_a_frame_whose_levels_cannot_be_read_is_logged_and_ends_the_book() -> None:
    """The log has what came, where the engine makes a dead letter of it; our book asks for a new snapshot."""
    market, outlet = BybitPerp(), FakeOutlet()
    writer = RecordWriter(outlet, "c-0", "bybit", "perp", "depth", 1)
    feed = Feed(market, market.routes[0], writer, outlet, {"BTCUSDT": PAIR}, FakeDesk(), 60)
    link = FakeLink(feed)
    feed.on_open(link, 1, T0)
    feed.on_message(bytes(TrueBook(market).snapshot_frame().frame), T0)
    feed.on_message(bybit_frame("delta", 101, [["99", "-1"]], []), T0)
    for second in range(1, 4):
        feed.on_pong(T0 + second * S, T0 + second * S)
        feed.on_second(T0 + second * S)

    engine = PartitionEngine(EconomicSettings())
    engine.on_event(registry(), 0)
    with pytest.raises(BadRecordError, match="impossible_number"):
        engine.on_event(decode_event(outlet.envelopes("frame")[-1]), 1)
    assert not feed.books["BTCUSDT"].is_synced
    assert [message["op"] for message in link.messages[-2:]] == ["unsubscribe", "subscribe"]
