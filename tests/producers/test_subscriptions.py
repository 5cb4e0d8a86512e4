"""Subscriptions: answers matched by id, what is refused, unlisted or silent asked for again, ever more rarely."""

from itertools import pairwise
from typing import Any

import msgspec
import pytest

from mts_stream.exchanges.binance import BinanceSpot
from mts_stream.exchanges.bybit import BybitPerp, BybitSpot
from mts_stream.exchanges.venue import VenueMarket
from producers.subscriptions import Subscriptions
from tests.producers.fakes import S

START = 1_700_000_000 * S


class Stand:
    """Subscriptions with what they sent and which streams have spoken."""

    def __init__(self, market: VenueMarket, topics: list[str]) -> None:
        self.sent: list[Any] = []
        self.spoken: set[str] = set()
        self.now_ns = START
        self.subscriptions = Subscriptions(
            market, "c-0", lambda message: self.sent.append(msgspec.json.decode(message)), self.spoken.__contains__
        )
        self.subscriptions.open(topics, START)

    def seconds(self, count: int) -> list[Any]:
        """What is sent while so many seconds pass, heartbeats left out."""
        begun = len(self.sent)
        for _ in range(count):
            self.now_ns += S
            self.subscriptions.on_second(self.now_ns)
        return [m for m in self.sent[begun:] if m.get("op") != "ping" and m.get("method") != "LIST_SUBSCRIPTIONS"]

    def listed(self, *topics: str) -> None:
        """The answer to the last LIST_SUBSCRIPTIONS."""
        asked = next(m for m in reversed(self.sent) if m.get("method") == "LIST_SUBSCRIPTIONS")
        self.subscriptions.on_listed(str(asked["id"]), topics)


@pytest.mark.parametrize(
    ("market", "count", "sizes"), [(BybitSpot(), 25, [10, 10, 5]), (BinanceSpot(), 250, [200, 50])]
)
def test_requests_are_batched(market: VenueMarket, count: int, sizes: list[int]) -> None:
    """At most ten topics a request on Bybit spot; each request has an id of its own."""
    stand = Stand(market, [f"t{n}" for n in range(count)])
    assert [len(m.get("args") or m["params"]) for m in stand.sent] == sizes
    assert len({str(m.get("req_id") or m["id"]) for m in stand.sent}) == len(sizes)


def test_what_spoke_is_left_alone() -> None:
    """Acknowledged and heard from: nothing more is asked."""
    stand = Stand(BinanceSpot(), ["a", "b"])
    stand.subscriptions.on_ack("1")
    stand.spoken |= {"a", "b"}
    assert stand.seconds(120) == []
    assert set(stand.subscriptions.faults) == {"no_ack"}  # of the lists, which nobody answered here


def test_what_stays_silent_is_asked_for_ever_more_rarely() -> None:
    """5 s after it was asked for, then 10, 20, 40, and every minute from there on."""
    stand = Stand(BinanceSpot(), ["a", "b"])
    stand.subscriptions.on_ack("1")
    stand.spoken.add("a")
    asked = []
    for second in range(1, 301):
        asked += [second for message in stand.seconds(1) if message["params"] == ["b"]]
    gaps = [b - a for a, b in pairwise(asked)]
    assert asked[0] in (5, 6) and gaps[:3] == [11, 21, 41] and set(gaps[3:]) == {61}
    assert stand.subscriptions.faults["no_first_frame"] == len(asked)


def test_a_refusal_that_names_a_topic_puts_that_one_aside() -> None:
    """The others are asked for again within a second, the named one alone after 30 s, then ever more rarely."""
    stand = Stand(BybitSpot(), ["a", "b", "bad"])
    stand.subscriptions.on_refused("1", ("bad",), "error:handler not found,topic:bad")
    [again] = stand.seconds(1)
    assert (again["op"], again["args"]) == ("subscribe", ["a", "b"])
    stand.subscriptions.on_ack(again["req_id"])
    stand.spoken |= {"a", "b"}
    assert stand.seconds(28) == []
    [alone] = stand.seconds(1)
    assert (alone["op"], alone["args"]) == ("subscribe", ["bad"])
    stand.subscriptions.on_refused(alone["req_id"], ("bad",), "error:handler not found,topic:bad")
    assert stand.seconds(59) == []
    assert [m["args"] for m in stand.seconds(1)] == [["bad"]]


def test_a_refusal_without_a_name_waits_and_is_asked_anew() -> None:
    """1 s, 2 s, 4 s: a venue that refuses everything is not pressed."""
    stand = Stand(BinanceSpot(), ["a", "b"])
    waits = []
    for _ in range(4):
        stand.subscriptions.on_refused(str(stand.sent[-1]["id"]), (), "Invalid request")
        waits.append(0)
        while not stand.seconds(1):
            waits[-1] += 1
    assert waits == [0, 1, 3, 7]
    assert stand.subscriptions.faults["refused"] == 4


def test_a_refusal_that_names_another_topic_does_not_press_either() -> None:
    """What it names was not asked for in this request: no reason to ask at once."""
    stand = Stand(BybitSpot(), ["a"])
    stand.subscriptions.on_refused("1", ("other",), "error:handler not found,topic:other")
    stand.seconds(1)
    stand.subscriptions.on_refused("2", ("other",), "error:handler not found,topic:other")
    assert stand.seconds(1) == [] and len(stand.seconds(1)) == 1


@pytest.mark.parametrize(
    ("market", "first"), [(BybitPerp(), ["unsubscribe", "subscribe"]), (BinanceSpot(), ["SUBSCRIBE"])]
)
def test_answers_that_are_missing_or_of_another_request_are_counted(market: VenueMarket, first: list[str]) -> None:
    """Only what did not speak is asked for again; Bybit refuses a repeat, so it is ended there first."""
    stand = Stand(market, ["a", "b"])
    stand.subscriptions.on_ack("10")
    stand.spoken.add("a")
    asked = stand.seconds(6)
    assert [m.get("op") or m["method"] for m in asked] == first
    assert all((m.get("args") or m["params"]) == ["b"] for m in asked)
    assert stand.subscriptions.faults == {"unknown_ack": 1, "no_ack": 1, "no_first_frame": 1}


def test_what_the_venue_does_not_list_is_subscribed_to_again() -> None:
    """Even if it spoke once; what was asked for after the question, or ended since, is no part of the answer."""
    stand = Stand(BinanceSpot(), ["a", "b", "c"])
    stand.subscriptions.on_ack("1")
    stand.spoken |= {"a", "b", "c", "d"}
    stand.seconds(30)
    stand.subscriptions.add(["d"])
    stand.subscriptions.remove(["c"])
    for message in stand.sent[-2:]:
        stand.subscriptions.on_ack(str(message["id"]))
    stand.listed("a")
    assert [m["params"] for m in stand.seconds(1)] == [["b"]]
    stand.seconds(29)
    stand.listed("a", "b", "d")
    assert stand.seconds(1) == []
    assert stand.subscriptions.faults["unlisted"] == 1


def test_many_requests_are_given_the_time_that_they_need_to_go_out() -> None:
    """100 requests of a Bybit spot connection take ten seconds and more at the venue's pace: no answer is missed."""
    topics = [f"t{n}" for n in range(1000)]
    stand = Stand(BybitSpot(), topics)
    for second in range(30):
        for number in range(second * 5, second * 5 + 5):
            if number < 100:
                stand.subscriptions.on_ack(str(number + 1))
                stand.spoken |= set(topics[number * 10 : number * 10 + 10])
        assert stand.seconds(1) == []
    assert not stand.subscriptions.faults


def test_a_new_connection_begins_from_nothing() -> None:
    """Neither old doubts nor old requests live on."""
    stand = Stand(BinanceSpot(), ["a"])
    stand.subscriptions.on_refused("1", (), "no")
    stand.subscriptions.open(["b"], stand.now_ns)
    assert stand.sent[-1]["params"] == ["b"]
    assert stand.seconds(4) == []
    assert [m["params"] for m in stand.seconds(2)] == [["b"]]
