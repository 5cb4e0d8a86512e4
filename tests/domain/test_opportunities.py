"""The life cycle by itself: what is sent again, what its peak was, and how long it lived."""

import json
from fractions import Fraction

import pytest

from mts_stream.domain.opportunities import Opportunity, survived_ms
from mts_stream.domain.terms import Terms

MS = 10**6


def terms(name: str) -> Terms:
    """Terms that are told apart by their name."""
    return Terms.restored({"net_usd": name})


def opened(net: int = 100) -> Opportunity:
    """An opportunity of event time 1000 ms."""
    return Opportunity("o", 1000 * MS, Fraction(net), terms("opened"))


@pytest.mark.parametrize(
    ("net", "after_ms", "is_sent"),
    [
        (100, 999.999999, False),
        (100, 1000, True),
        (109, 1, False),
        (110, 1, True),
        (91, 1, False),
        (90, 1, True),
        (-100, 1, True),
    ],
)
def test_an_update_is_sent_for_a_tenth_or_a_second(net: int, after_ms: float, is_sent: bool) -> None:
    """A tenth of the net last sent, either way, or a second since: both just so."""
    opportunity = opened()

    assert opportunity.on_signal(1000 * MS + int(after_ms * MS), Fraction(net), terms("later")) is is_sent
    assert opportunity.event == is_sent


def test_a_tenth_is_of_the_amount_whatever_its_sign() -> None:
    """A net below zero, which settings can allow, moves by a tenth of how far below it is; of none any move counts."""
    assert not opened(-100).on_signal(1000 * MS, Fraction(-91), terms("later"))
    assert opened(-100).on_signal(1000 * MS, Fraction(-110), terms("later"))
    assert opened(0).on_signal(1000 * MS, Fraction(0), terms("later"))


def test_what_was_sent_last_is_what_counts() -> None:
    """Small steps add up against the last sent, not against the last seen; a sent one sets time and net anew."""
    opportunity = opened()

    sent = [opportunity.on_signal(1000 * MS + n, Fraction(100 + 4 * n), terms(str(n))) for n in range(1, 7)]

    assert sent == [False, False, True, False, False, True]
    assert opportunity.event == 2
    assert not opportunity.on_signal(2000 * MS + 5, Fraction(124), terms("later"))
    assert opportunity.on_signal(2000 * MS + 6, Fraction(124), terms("later"))


def test_the_peak_is_the_first_when_equal() -> None:
    """Over every evaluation, sent or not; the closing has the last terms and the peak's."""
    opportunity = opened()
    for n, net in enumerate((101, 105, 105, 99)):
        opportunity.on_signal(1000 * MS + n, Fraction(net), terms(str(n)))

    closing = opportunity.on_end(1250 * MS)

    assert (closing.peak.texts["net_usd"], closing.terms.texts["net_usd"]) == ("1", "3")
    assert (closing.opportunity_id, closing.event, closing.updates) == ("o", 1, 0)
    assert (closing.duration_ns, closing.survived_ms) == (250 * MS, [10, 50, 100])


@pytest.mark.parametrize(
    ("duration_ns", "outlived"),
    [
        (0, []),
        (10 * MS, []),
        (10 * MS + 1, [10]),
        (1000 * MS, [10, 50, 100, 250]),
        (1000 * MS + 1, [10, 50, 100, 250, 1000]),
    ],
)
def test_a_horizon_is_outlived_when_it_is_exceeded(duration_ns: int, outlived: list[int]) -> None:
    """Lasting just so long is not longer."""
    assert survived_ms(duration_ns) == outlived


def test_a_snapshot_holds_all_of_a_life() -> None:
    """Restored it is sent, peaks and ends as the other does."""
    opportunity = opened()
    opportunity.on_signal(1300 * MS, Fraction(997, 7), terms("peak"))
    opportunity.on_signal(1400 * MS, Fraction(2), terms("last"))

    restored = Opportunity.restored(json.loads(json.dumps(opportunity.snapshot())))

    assert restored.snapshot() == opportunity.snapshot()
    ends = [each.on_end(1500 * MS) for each in (opportunity, restored)]
    assert [(e.event, e.duration_ns, e.peak.texts, e.terms.texts) for e in ends] == 2 * [
        (3, 500 * MS, {"net_usd": "peak"}, {"net_usd": "last"})
    ]
