"""Ground for all tests: real parts as fixtures, a clean environment, one printed seed, no process left behind."""

import importlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from hypothesis import HealthCheck, settings

# This process runs the domain's sources, whose coverage and mutants count; what tests start runs what is built,
# and with TEST_COMPILED=1 this process too (tests/test_compiled_domain.py).
with pytest.MonkeyPatch.context() as patch:
    if not os.environ.get("TEST_COMPILED"):
        patch.setenv("KERNEL", "python")
    importlib.import_module("mts_stream.domain")

from mts_stream.settings import Settings

pytest_plugins = ["tests.parts"]

TESTS = Path(__file__).parent
OUR_VARIABLES = frozenset(name.upper() for name in Settings.model_fields)
# Folders: so no worker is left with a long test at the end.
LONG_FIRST = ("demo", "integration", "chaos", "deploy", "browser")
RUN_VARIABLE = "MTS_TEST_RUN"
END_S = 5.0

# Two noisy cores: slowness is no failure. One seed for the whole run is drawn and shown below.
SLOWNESS = (HealthCheck.too_slow, HealthCheck.data_too_large)
settings.register_profile("default", deadline=None, print_blob=True, suppress_health_check=SLOWNESS)
settings.register_profile("thorough", settings.get_profile("default"), max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Draw the run's seed, or take the one that the command line or the run's controller gives."""
    if config.option.hypothesis_seed is None:
        given = getattr(config, "workerinput", {}).get("hypothesis_seed")
        config.option.hypothesis_seed = str(given or secrets.randbelow(10**9))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: object) -> None:
    """Hand the run's seed to a worker of pytest-xdist."""
    node.workerinput["hypothesis_seed"] = node.config.option.hypothesis_seed  # type: ignore[attr-defined]


def pytest_report_header(config: pytest.Config) -> str:
    """Say how to repeat the run."""
    return f"random tests: --hypothesis-seed={config.option.hypothesis_seed} repeats this run"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the folders of long tests; the order within them stays."""

    def turn(item: pytest.Item) -> int:
        folder = item.path.relative_to(TESTS).parts[0]
        return LONG_FIRST.index(folder) if folder in LONG_FIRST else len(LONG_FIRST)

    items.sort(key=turn)


@pytest.fixture(scope="session", autouse=True)
def _only_our_environment() -> None:
    """Forget the developer's own settings: a test sees the defaults unless it sets something itself."""
    for name in [name for name in os.environ if name.upper() in OUR_VARIABLES]:
        del os.environ[name]


@pytest.fixture(scope="session", autouse=True)
def _no_process_left(_only_our_environment: None) -> Iterator[None]:
    """Whatever the run started, down to orphans of a killed parent, has ended when the last fixture is gone."""
    run = os.environ[RUN_VARIABLE] = secrets.token_hex(8)
    yield
    del os.environ[RUN_VARIABLE]
    _, left = psutil.wait_procs(_started_by(run), timeout=END_S)
    commands = [_command(process) for process in left]
    for process in left:
        process.kill()
    assert not commands, f"processes left running: {commands}"


def _started_by(run: str) -> list[psutil.Process]:
    return [p for p in psutil.process_iter() if p.pid != os.getpid() and _run_of(p) == run and _counts(p)]


def _run_of(process: psutil.Process) -> str | None:
    try:
        return process.environ().get(RUN_VARIABLE)
    except psutil.Error:
        return None


def _counts(process: psutil.Process) -> bool:
    """multiprocessing's own tracker ends with this process, not before."""
    return "resource_tracker" not in _command(process)


def _command(process: psutil.Process) -> str:
    try:
        return f"{process.pid} {' '.join(process.cmdline())[:200]}"
    except psutil.Error:
        return str(process.pid)
