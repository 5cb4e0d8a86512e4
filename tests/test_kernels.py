"""The setting KERNEL: what it names is used, what does not load is told once or refused."""

import sys

import pytest

from mts_stream.commands.checks import compiled_kernel
from mts_stream.errors import SettingsError
from mts_stream.kernels import chosen_kernel, kernel_in_use
from mts_stream.settings import load_settings
from mts_stream.startup import settings_or_exit
from tests.domain.kernels import built

COMPILED = "mts_stream.domain.order_book_compiled"


@pytest.fixture
def not_built(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine without a compiler."""
    monkeypatch.setitem(sys.modules, COMPILED, None)


def test_the_kernel_is_the_one_that_is_named() -> None:
    """Python where it is asked for; compiled where it is built and not forbidden."""
    built("compiled")
    assert [chosen_kernel(choice).name for choice in ("python", "compiled", "auto")] == [
        "python",
        "compiled",
        "compiled",
    ]
    assert compiled_kernel(load_settings()).startswith("compiled")
    assert compiled_kernel(load_settings(kernel="python")).startswith("Python")


def test_without_it_python_runs_and_says_so_once(
    not_built: None, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """One warning with the reason, and the doctor names the command that builds it."""
    assert kernel_in_use("auto").name == "python"

    said = capfd.readouterr().out + caplog.text
    assert said.count("no compiled kernel") == 1 and COMPILED in said
    assert "setup.py build_ext" in compiled_kernel(load_settings())


def test_a_kernel_that_is_asked_for_and_does_not_load_is_a_wrong_setting(
    not_built: None, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A worker ends with 2 and a line that names the setting and what builds the kernel."""
    with pytest.raises(SettingsError, match="KERNEL=compiled"):
        chosen_kernel("compiled")
    monkeypatch.setenv("KERNEL", "compiled")
    with pytest.raises(SystemExit) as ended:
        settings_or_exit()
    assert ended.value.code == 2
    assert "setup.py build_ext --inplace" in capfd.readouterr().err
