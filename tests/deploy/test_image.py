"""deploy/Dockerfile: pinned, without rights, without secrets, and installable from what it copies."""

import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LINES = [line for line in (ROOT / "deploy" / "Dockerfile").read_text().splitlines() if line and line[0] != "#"]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCK = {
    canonicalize_name(name): pinned
    for line in (ROOT / "requirements.lock").read_text().splitlines()
    if not line.startswith("#")
    for name, _, pinned in [line.partition("==")]
}


def words(instruction: str) -> list[str]:
    """What follows each line of one instruction."""
    return [line.split(" ", 1)[1] for line in LINES if line.startswith(instruction + " ")]


def test_base_images_are_pinned() -> None:
    """Both stages stand on the same Python, pinned to its patch version."""
    bases = {line.split()[0] for line in words("FROM")}

    assert len(bases) == 1 and re.fullmatch(r"python:3\.1[1-4]\.\d+-slim-bookworm", bases.pop())


def test_it_runs_without_rights() -> None:
    """The last USER is a number that is not root's, so that an orchestrator can check it."""
    assert words("USER")[-1].isdigit() and words("USER")[-1] != "0"


def test_it_holds_no_secret_and_fetches_from_nowhere_named() -> None:
    """No secret is baked in, nothing is downloaded by address, no index is named."""
    text = "\n".join(LINES)

    assert not re.search(r"(?i)password|secret|token|https?://|--index-url|^ADD ", text, re.MULTILINE)


def test_what_is_copied_exists_and_is_sent_to_the_builder() -> None:
    """Every COPY from the context names a path that is there and that .dockerignore lets through."""
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for line in words("COPY"):
        if line.startswith("--from"):
            continue
        for source in line.split()[:-1]:
            assert (ROOT / source).exists() and source in sent


def test_the_image_has_no_development_tools() -> None:
    """The package is installed without extras."""
    (install,) = (line for line in LINES if "pip install" in line)

    assert install.endswith("--constraint requirements.lock .")


def needed(requirements: list[str], extras: tuple[str, ...] = ("",)) -> Iterator[Requirement]:
    """The requirements whose markers hold here with one of the extras."""
    for text in requirements:
        requirement = Requirement(text)
        if requirement.marker is None or any(requirement.marker.evaluate({"extra": extra}) for extra in extras):
            yield requirement


def test_the_lock_pins_all_that_the_project_needs() -> None:
    """Every package reachable from the project's requirements is pinned, to a version each asker accepts."""
    groups = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    waiting = [requirement for group in groups for requirement in needed(group)]
    seen = set()
    while waiting:
        asked = waiting.pop()
        name = canonicalize_name(asked.name)
        assert name in LOCK and asked.specifier.contains(LOCK[name], prereleases=True), asked
        key = (name, tuple(sorted(asked.extras)))
        if key not in seen:
            seen.add(key)
            waiting += needed(requires(asked.name) or [], ("", *asked.extras))


def test_what_is_installed_is_what_is_locked() -> None:
    """This environment runs the locked versions: a test says something about them alone."""
    different = {}
    for name, pinned in LOCK.items():
        try:
            found = version(name)
        except PackageNotFoundError:
            continue  # a package for another platform
        if found != pinned:
            different[name] = found

    assert not different
