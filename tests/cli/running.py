"""Runs the real command as a person does."""

import os
import subprocess
import sys
from pathlib import Path

TIMEOUT_S = 60
MTS_STREAM = str(Path(sys.executable).with_name("mts-stream"))


def run(*arguments: object, timeout_s: float = TIMEOUT_S, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `mts-stream ...` and give its exit code and what it wrote."""
    return subprocess.run(
        [sys.executable, "-m", "mts_stream.cli", *map(str, arguments)],
        capture_output=True, text=True, timeout=timeout_s, env={**os.environ, **environment},
    )  # fmt: skip
