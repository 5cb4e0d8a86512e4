"""When a demo's books add up, and what is said when they do not."""

from typing import Any

import pytest

from mts_stream.local.demo.accounts import Accounts, Handled


def accounts(**changes: Any) -> Accounts:
    """Books that add up, changed by keyword."""
    values: dict[str, Any] = {
        "published": 100, "handled": Handled(70, 29, 1), "results": 10, "stored": 9, "missing": 1, "refused": 1,
    }  # fmt: skip
    return Accounts(**values | changes)


def test_books_that_add_up_have_no_problems() -> None:
    """Every record was handled once, every result was stored or refused."""
    assert accounts().problems() == []
    assert (accounts().lost, accounts().doubled) == (0, 0)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"published": 101}, "records: 101 published"),
        ({"published": 99}, "records: 99 published"),
        ({"missing": 2}, "1 lost"),
        ({"surplus": 1}, "1 doubled"),
        ({"without_episode": 2}, "2 opened where no episode was"),
        ({"untrue": 3, "verified": 1}, "3 from books that were not the true ones"),
        ({"unverified": 4}, "none of 4 could be held"),
        ({"confirmed": 101}, "101 records confirmed"),
        ({"unfinished": ["the sink is 3 results behind"]}, "not finished: the sink"),
    ],
)
def test_whatever_does_not_add_up_is_said(changes: dict[str, Any], word: str) -> None:
    """One line for each sum, with its numbers."""
    problems = accounts(**changes).problems()

    assert len(problems) == 1
    assert word in problems[0]


def test_a_signal_is_false_by_its_books_or_by_the_episodes() -> None:
    """What the simulator has forgotten is counted apart."""
    assert accounts(untrue=1, without_episode=2, verified=9, unverified=3).false_signals == 3
    assert accounts(verified=9, unverified=3).problems() == []


def test_somebody_else_may_have_published_too() -> None:
    """Only what Kafka confirmed and does not have is wrong."""
    assert accounts(confirmed=99).problems() == []


def test_skipped_records_explain_a_difference_only_after_an_earlier_run() -> None:
    """In a directory that was used before, checkpoints hold what the committed offset does not say."""
    handled = Handled(70, 20, 0, skipped=10)

    assert accounts(handled=handled).problems() != []
    assert accounts(handled=handled, resumed=True).problems() == []
    assert accounts(handled=handled, resumed=True, published=101).problems() != []


def test_the_done_line_has_the_agreed_keys_in_order() -> None:
    """Programs read these."""
    assert list(accounts().done_line()) == [
        "event", "published", "evaluated", "not_evaluated", "dead", "results", "stored", "refused", "lost", "doubled",
        "false_signals", "faults",
    ]  # fmt: skip


def test_the_last_counts_of_a_killed_worker_are_known_to_nobody() -> None:
    """Its results must add up all the same."""
    assert accounts(workers_lost=["worker-2"], published=140).problems() == []
    assert len(accounts(workers_lost=["worker-2"], missing=3).problems()) == 1
