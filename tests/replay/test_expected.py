"""Replays against results that two independent Decimal implementations of the design agree on."""

import subprocess
import sys
from pathlib import Path

import pytest

from mts_stream.replay import replay
from mts_stream.replay.running import FILES
from tests.conformance.cases import CASES, DATA, capture_of, settings_of
from tests.domain.kernels import NAMES, built


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("case", CASES)
def test_replay_gives_the_expected_results_to_the_last_digit(case: str, name: str, tmp_path: Path) -> None:
    """Every message, window and dead letter of an expected file comes out of its capture, on either kernel."""
    replay([capture_of(case)], tmp_path, settings_of(case).economics(), kernel=built(name).name)

    compared = subprocess.run(
        [sys.executable, str(DATA / "compare.py"), str(DATA / case), str(tmp_path)], capture_output=True, text=True
    )

    assert compared.returncode == 0, compared.stdout


@pytest.mark.parametrize("case", CASES)
def test_both_kernels_give_the_same_bytes(case: str, tmp_path: Path) -> None:
    """What stands in no expected file is the same too: the words of dead letters, quality, funding, the order."""
    folders = [tmp_path / name for name in NAMES]
    for name, folder in zip(NAMES, folders, strict=True):
        replay([capture_of(case)], folder, settings_of(case).economics(), kernel=built(name).name)

    for file in FILES:
        python, compiled = ((folder / file).read_bytes() for folder in folders)
        assert compiled == python, file
