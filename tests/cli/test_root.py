"""One command for everything: its help, its exit codes, and its errors in one line."""

import subprocess
import sys
from collections.abc import Callable

import click
import pytest

from mts_stream.commands import root
from mts_stream.commands.root import COMMANDS, run
from mts_stream.errors import SettingsError, StoreError
from mts_stream.local.ports import free_ports
from tests.cli import running


def test_every_command_can_be_loaded() -> None:
    """The table names a click command for each, and the name it goes by."""
    for name in COMMANDS:
        assert isinstance(root.root.get_command(click.Context(root.root), name), click.Command)


def test_the_help_lists_all_commands_and_loads_none(capsys: pytest.CaptureFixture[str]) -> None:
    """Asking for help must not cost the start of Kafka's client."""
    assert run(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(f"  {name} " in shown for name in COMMANDS)

    heavy = "confluent_kafka", "aiohttp", "faust", "chdb", "rich"
    show = "import sys; from mts_stream.commands.root import run; run(['--help'])"
    code = f"{show}; sys.exit(any(module in sys.modules for module in {heavy!r}))"
    assert subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL).returncode == 0


@pytest.mark.parametrize("arguments", [["nonsense"], ["demo", "--nonsense"], ["demo", "--pairs", "0"], ["topics"]])
def test_wrong_usage_exits_with_2(arguments: list[str]) -> None:
    """Nothing is started for what cannot be meant."""
    assert run(arguments) == 2


@pytest.mark.parametrize(
    ("error", "code", "shown"),
    [
        (StoreError("ClickHouse\nis away"), 1, "mts-stream: ClickHouse is away\n"),
        (SettingsError("PARTITIONS: must be more"), 2, "mts-stream: PARTITIONS: must be more\n"),
        (KeyboardInterrupt(), 130, "\n"),
    ],
)
def test_an_expected_error_is_one_line_and_a_code(
    error: BaseException, code: int, shown: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No traceback for what a user can act on."""
    install(monkeypatch, lambda: raise_(error))

    assert run(["broken"]) == code
    assert capsys.readouterr().err == shown


def test_a_bug_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is not expected keeps its traceback."""
    install(monkeypatch, lambda: raise_(ZeroDivisionError()))

    with pytest.raises(ZeroDivisionError):
        run(["broken"])


def install(monkeypatch: pytest.MonkeyPatch, action: Callable[[], None]) -> None:
    """Make `mts-stream broken` do something."""
    command = click.Command("broken", callback=action)
    monkeypatch.setattr(root.LazyGroup, "get_command", lambda self, ctx, name: command)


def raise_(error: BaseException) -> None:
    """Raise, as an expression."""
    raise error


def test_a_reader_that_leaves_ends_the_command_quietly() -> None:
    """`mts-stream show-config | true`."""
    command = f"{sys.executable} -m mts_stream.cli show-config | true; exit ${{PIPESTATUS[0]}}"
    ended = subprocess.run(["bash", "-c", command], capture_output=True, text=True)

    assert ended.returncode in (0, 1)
    assert ended.stderr == ""


def test_a_broker_that_is_away_is_said_in_one_line() -> None:
    """Not by the client library's own complaints."""
    address = f"127.0.0.1:{free_ports(1)[0]}"
    ended = running.run("topics", "list", KAFKA_BOOTSTRAP_SERVERS=address)

    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (1, "", 1)
    assert address in ended.stderr
