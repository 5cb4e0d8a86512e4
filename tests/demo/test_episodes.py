"""What counts as found, missed and found without an episode."""

import json
from pathlib import Path

import pytest

from mts_stream.local.demo.episodes import TOLERANCE_NS, Episode, Opened, compare, read_episodes

PERPS = "binance:perp>bybit:perp"
MS = 1_000_000
START, END = 10_000 * MS, 12_000 * MS
EPISODE = Episode(0, "BTC-USDT", "bybit:perp", START, END, "signal", (PERPS,))


def opened(time_ns: int, direction: str = PERPS, pair: str = "BTC-USDT") -> Opened:
    """An opportunity at a time."""
    return Opened("one", pair, direction, time_ns)


# ----|START=====END|....tolerance....|----
@pytest.mark.parametrize(
    ("time_ns", "explained"),
    [
        (START - 1, False),
        (START, True),
        (END, True),
        (END + TOLERANCE_NS, True),
        (END + TOLERANCE_NS + 1, False),
    ],
)
def test_an_opportunity_is_explained_from_the_start_to_the_tolerance_after_the_end(
    time_ns: int, explained: bool
) -> None:
    """Both ends belong to the episode, and the quotes have some time to come back."""
    comparison = compare([EPISODE], [opened(time_ns)])

    assert (comparison.found, len(comparison.found_without)) == (int(explained), int(not explained))


def test_another_pair_explains_nothing() -> None:
    """An episode speaks of its own pair alone."""
    assert len(compare([EPISODE], [opened(START, pair="ETH-USDT")]).found_without) == 1


def test_a_direction_without_the_displaced_leg_is_not_explained() -> None:
    """Who buys and sells elsewhere did not see this episode."""
    comparison = compare([EPISODE], [opened(START, "binance:spot>bybit:spot")])

    assert (comparison.found, len(comparison.found_without)) == (0, 1)


def test_a_direction_of_the_displaced_leg_that_was_not_expected_is_true_but_finds_nothing() -> None:
    """It is no false signal, and the expected one is still missed."""
    comparison = compare([EPISODE], [opened(START, "bybit:perp>binance:perp")])

    assert comparison.counts() == {"expected": 1, "found": 0, "missed": 1, "found_without": 0}


def test_only_episodes_that_expect_a_signal_can_be_missed() -> None:
    """Noise and borderline episodes may stay without a signal, and explain one if it comes."""
    noise = Episode(1, "BTC-USDT", "bybit:perp", START, END, "none", ())

    assert compare([noise], []).counts() == {"expected": 0, "found": 0, "missed": 0, "found_without": 0}
    assert compare([noise], [opened(START)]).counts()["found_without"] == 0


def test_opportunities_of_an_earlier_run_are_not_judged() -> None:
    """A directory that is used again holds signals whose truth is gone."""
    assert compare([], [opened(START)], since_ns=START + 1).found_without == []


def test_a_truth_file_is_read_line_by_line(tmp_path: Path) -> None:
    """One JSON object a line; a run that ended before the simulator began has none."""
    line = {
        "id": 7, "pair": "BTC-USDT", "venue": "bybit", "market": "perp", "start_ns": START, "end_ns": END,
        "displacement_bps": 60.0, "expect": "signal", "directions": [PERPS], "borderline": [],
    }  # fmt: skip
    path = tmp_path / "truth.jsonl"
    path.write_text(json.dumps(line) + "\n")

    assert read_episodes(path) == [Episode(7, "BTC-USDT", "bybit:perp", START, END, "signal", (PERPS,))]
    assert read_episodes(tmp_path / "none") == []
