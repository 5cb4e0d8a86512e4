"""The domain's compiled form: it gives what its sources give, and counts only while it was made from them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mts_stream.domain import compiled

ROOT = Path(__file__).parents[1]
SAME = ("tests/replay/test_expected.py", "tests/conformance/test_expected.py", "tests/conformance/test_reference.py")
TIMEOUT_S = 240


def test_the_compiled_form_gives_the_same() -> None:
    """The expected files, and the independent reference, in a process that runs it."""
    if not (compiled.FOLDER / compiled.DIGEST).exists():
        pytest.skip("the domain is not compiled: python setup.py build_ext --inplace")
    environment = os.environ | {"TEST_COMPILED": "1", "CONFORMANCE_EXAMPLES": "20"}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "compiled or both_kernels", *SAME],
        capture_output=True, text=True,
        cwd=ROOT, env=environment, timeout=TIMEOUT_S,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]


def test_it_counts_while_it_was_made_from_the_sources_that_stand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An edited source runs as it is, and so does everything with KERNEL=python; the reason can be told."""
    sources, folder = tmp_path / "domain", tmp_path / "_compiled"
    shutil.copytree(compiled.SOURCES, sources, ignore=shutil.ignore_patterns("*.so"))
    folder.mkdir()
    monkeypatch.setattr(compiled, "SOURCES", sources)
    monkeypatch.setattr(compiled, "FOLDER", folder)
    assert compiled.problem() == "the domain is not compiled"

    (folder / compiled.DIGEST).write_text(compiled.digest())
    monkeypatch.setattr(sys, "path", list(sys.path))
    path = [str(sources)]
    assert compiled.use(path) == ""
    assert path == [str(folder / "mts_stream" / "domain"), str(sources)]
    monkeypatch.setenv("KERNEL", "python")
    assert compiled.use(path) == "KERNEL=python"
    monkeypatch.delenv("KERNEL")

    with (sources / "pricing.py").open("a") as edited:
        edited.write("# another line\n")
    assert compiled.use(path) == "the domain was compiled from other sources"
    assert len(path) == 2
