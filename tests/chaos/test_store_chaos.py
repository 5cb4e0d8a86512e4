"""Sink, ClickHouse and broker killed and frozen, deliveries repeated and wrong: in the end each result is one row.

CHAOS_SEEDS=5 runs five seeds (`make chaos`), CHAOS_SEED=7 begins with that one, CHAOS_DISTURBANCES=6 is the long form.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mts_stream.local.broker import KafkaBroker
from tests.chaos.store_ground import Ground
from tests.chaos.store_rows import Comparison, compare
from tests.chaos.test_chaos import DISTURBANCES, FIRST_SEED, SEEDS
from tests.parts import small_disk_at

HEAD = "| seed | what was done | sent | repeated | stored | lost | doubled | dead letters |\n|" + "---|" * 8
SHOWN = 5
DISK_MB = 64


@pytest.fixture(scope="module")
def runs() -> Iterator[list[str]]:
    """Lines of the table that is printed at the end."""
    lines: list[str] = []
    yield lines
    print("\n" + "\n".join([HEAD, *lines]))


@pytest.mark.parametrize("seed", range(FIRST_SEED, FIRST_SEED + SEEDS))
def test_every_result_is_one_row_whatever_happens(
    make_broker: Callable[[Path], KafkaBroker], tmp_path: Path, runs: list[str], seed: int
) -> None:
    """FINAL shows exactly the distinct results of the topics, value by value; what no table takes is a dead letter."""
    with Ground(make_broker(tmp_path), tmp_path, seed) as ground:
        try:
            done = [ground.disturb() for _ in range(DISTURBANCES)]
            ground.finish()
            seen = compare(ground.settings, ground.refused)
        except AssertionError as error:
            raise AssertionError(f"CHAOS_SEED={seed}: {error}\n{ground.logs()}") from error
    runs.append(line(str(seed), done, seen))
    check(seen)


@pytest.mark.long
def test_a_full_disk_is_waited_out(make_broker: Callable[[Path], KafkaBroker], tmp_path: Path, runs: list[str]) -> None:
    """The sink says why it waits, and goes on by itself when there is room; nothing is lost."""
    with small_disk_at(tmp_path / "tables", DISK_MB), Ground(make_broker(tmp_path), tmp_path, FIRST_SEED) as ground:
        try:
            reason = ground.fill_disk()
            ground.finish()
            seen = compare(ground.settings, ground.refused)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{ground.logs()}") from error
    print(f"\n{reason}")
    runs.append(line("", ["full disk"], seen))
    check(seen)


def line(name: str, done: list[str], seen: Comparison) -> str:
    """One run as a line of the table."""
    figures = (seen.sent, seen.repeats, seen.stored, len(seen.lost), len(seen.doubled), seen.letters)
    return f"| {name} | {', '.join(done)} | {' | '.join(map(str, figures))} |"


def check(seen: Comparison) -> None:
    """Nothing lost, nothing doubled, no value other than sent."""
    assert seen.lost[:SHOWN] == []
    assert seen.doubled[:SHOWN] == []
    assert seen.wrong[:SHOWN] == []
    assert seen.stored == seen.sent > 0
