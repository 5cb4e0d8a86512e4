"""A peer that says nothing: how long it counts as alive, when it is left, and what our own sleep changes."""

from tests.producers.fakes import S
from tests.producers.stand import SPOT, Stand, bybit_stand


def test_alive_is_said_only_while_something_was_heard() -> None:
    """Two seconds without frame or pong end it, and the third does not end with the connection still up."""
    stand = Stand(SPOT).open()
    stand.seconds(2)
    stand.seconds(2, heard=False)
    assert stand.link.dropped == []
    stand.seconds(1, heard=False)

    assert stand.outlet.states() == [("up", ""), *[("alive", "")] * 4, ("down", "silent")]
    assert stand.link.dropped == ["silent"]


def test_the_silence_of_a_time_in_which_nobody_listened_ends_no_connection() -> None:
    """A process busy elsewhere, three seconds in each of which it looked once, has heard too little to judge."""
    stand = Stand(SPOT).open()
    stand.seconds(1)
    for _ in range(3):
        stand.now_ns += S
        stand.feed.on_watch(stand.now_ns)
        stand.feed.on_second(stand.now_ns)

    assert stand.link.dropped == []


def test_a_process_that_slept_takes_nothing_it_reads_for_life_until_a_pong_to_a_new_ping() -> None:
    """What waited in our own buffers may be old: neither it nor the pong to an old ping says that the venue lives."""
    stand, true = bybit_stand()
    stand.seconds(1)
    before, asleep_ns = len(stand.outlet.states()), stand.now_ns
    stand.now_ns += 8 * S
    stand.tell(bytes(true.update([("99", "7")], []).frame))
    stand.feed.on_pong(stand.now_ns, asleep_ns)
    stand.feed.on_second(stand.now_ns)
    stand.tell(bytes(true.update([("99", "8")], []).frame))
    stand.now_ns += S
    stand.feed.on_second(stand.now_ns)
    assert len(stand.outlet.states()) == before and stand.link.dropped == []
    stand.seconds(1)
    assert stand.outlet.states()[before:] == [("alive", "")]


def test_a_process_that_slept_gives_a_dead_connection_no_more_than_the_usual_time() -> None:
    """Less than three seconds from its awakening, without a word of life in between."""
    stand = Stand(SPOT).open()
    stand.now_ns += 60 * S
    stand.seconds(2, heard=False)
    assert stand.link.dropped == []
    stand.seconds(2, heard=False)
    assert stand.link.dropped == ["silent"]
    assert stand.outlet.states() == [("up", ""), ("down", "silent")]


def test_no_keyframe_speaks_for_a_peer_that_is_silent() -> None:
    """It would keep a book valid, or make it so again, whose connection has said nothing for long."""
    stand, _ = bybit_stand(keyframe_s=2)
    stand.seconds(3)
    written = len(stand.kinds())
    stand.seconds(2, heard=False)
    assert len(stand.kinds()) == written + 2
    stand.now_ns += S  # looked at late: a connection that is silent, and not left yet
    stand.feed.on_second(stand.now_ns)
    assert stand.link.dropped == []
    assert len(stand.kinds()) == written + 2
    stand.seconds(1)
    assert len(stand.kinds()) == written + 3
