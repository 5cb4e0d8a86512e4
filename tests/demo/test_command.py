"""The command line of the demo, before anything is started."""

import sys
from pathlib import Path
from typing import Any

import pytest

from mts_stream.commands.root import run
from mts_stream.local.demo.options import UNATTENDED_S, DemoOptions


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[DemoOptions]:
    """What the command hands on; nothing is started."""
    options: list[DemoOptions] = []

    async def remember(given: DemoOptions, voice: Any) -> int:
        options.append(given)
        return 0

    monkeypatch.setattr("mts_stream.local.demo.run.run_demo", remember)
    return options


def test_without_a_terminal_it_ends_by_itself(asked: list[DemoOptions]) -> None:
    """Nobody could press Ctrl-C."""
    assert run(["demo"]) == 0
    assert asked == [DemoOptions(UNATTENDED_S)]


def test_in_a_terminal_it_runs_until_it_is_stopped(asked: list[DemoOptions], monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless a duration was given."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)

    assert (run(["demo"]), run(["demo", "--duration", "2"])) == (0, 0)
    assert [options.duration_s for options in asked] == [None, 2]


def test_everything_that_was_asked_for_is_handed_on(asked: list[DemoOptions], tmp_path: Path) -> None:
    """Option by option."""
    line = ["--duration", "5", "--pairs", "7", "--seed", "3", "--record", str(tmp_path), "--data", str(tmp_path)]
    line += ["--workers", "2"]

    assert run(["demo", *line, "--json"]) == 0
    assert asked == [DemoOptions(5, 7, 3, tmp_path, tmp_path, True, workers=2)]


def test_without_the_extra_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line with the package and the remedy."""
    for name in [name for name in sys.modules if name.startswith("mts_stream.local.demo.")]:
        if not name.endswith((".command", ".options")):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "psutil", None)

    assert run(["demo"]) == 1
    assert "`psutil`" in capsys.readouterr().err


def test_a_wrong_setting_starts_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Exit 2 with the variable's name, and no directory was made."""
    monkeypatch.setenv("MIN_NOTIONAL", "-1")

    assert run(["demo", "--data", str(tmp_path / "data")]) == 2
    assert "MIN_NOTIONAL" in capsys.readouterr().err
    assert not (tmp_path / "data").exists()
