"""What is read of the result topics, and what is not."""

import json

import pytest

from mts_stream.web.messages import Book, Connection, Funding, Opportunity, OtherSignal, Window, decode
from mts_stream.wire.kafka import Record
from mts_stream.wire.topics import QUALITY, SIGNALS, SPREADS
from tests.web import results

PAIR, NOW_NS = "BTC-USDT", 1_800_000_000 * results.S


def _record(topic: str, value: bytes | None) -> Record:
    return Record(topic, 0, 0, None, value, 0)


def test_each_kind_of_result_is_read():
    """Every message of the capture, and of funding and quality, is read as what it is."""
    assert all(isinstance(results.told(m)[1], Window) for m in results.windows(PAIR, NOW_NS))
    assert all(isinstance(results.told(m)[1], Opportunity) for m in results.life(PAIR, NOW_NS, 3))
    assert isinstance(results.told(results.funding(PAIR, NOW_NS))[1], Funding)
    assert isinstance(results.told(results.book(PAIR, NOW_NS, "gap"))[1], Book)
    assert isinstance(results.told(results.connection("b-1", NOW_NS))[1], Connection)


def test_signals_of_other_types_are_known_by_their_time_alone():
    """A funding signal or one of a type still to come is no opportunity, and no error."""
    value = json.dumps({"type": "funding.opened", "event_time_ns": 7, "more": []}).encode()

    assert decode(_record(SIGNALS, value)) == OtherSignal("funding.opened", 7)


NESTED = b'{"type": "arbitrage.opened", "pair": ' + b"[" * 100_000


@pytest.mark.parametrize(
    "value", [None, b"", b"\xff", b"{", b"[]", b'{"type": "arbitrage.opened"}', b'{"pair": 1}', NESTED]
)
@pytest.mark.parametrize("topic", [SPREADS, SIGNALS, QUALITY])
def test_what_is_no_result_is_none(topic, value):
    """A value that is not what its topic holds is None, never an error."""
    assert decode(_record(topic, value)) is None


@pytest.mark.parametrize("edge", ["NaN", "Infinity", "text", ""])
def test_an_edge_that_is_no_number_is_not_read(edge):
    """A window with an edge that cannot be drawn is not read."""
    _, value = results.windows(PAIR, NOW_NS, 1)[0]

    assert decode(_record(SPREADS, json.dumps(value | {"edge_close_bps": edge}).encode())) is None


def test_an_opportunity_has_two_legs():
    """An opportunity with another number of legs is not read."""
    _, value = results.life(PAIR, NOW_NS)[0]

    assert decode(_record(SIGNALS, json.dumps(value | {"legs": value["legs"][:1]}).encode())) is None
