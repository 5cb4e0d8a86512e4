"""The recorded files, each imported once, and a way to run a capture's records through the engine."""

import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import orjson
import pytest

from mts_stream.domain.engine import PartitionEngine
from mts_stream.domain.market_data import DepthUpdate, MarketEvent
from mts_stream.replay import read_lines
from mts_stream.settings import load_settings
from mts_stream.wire.codec import decode_record
from producers.importers import FORMATS
from producers.importers.importing import ImportOptions, import_capture

RECORDED = Path(__file__).parents[2] / "data" / "recorded"
FILES = {
    "perp": ("hftbacktest", RECORDED / "usdm_btcusdt_20240808.head.gz"),
    "spot": ("hftbacktest", RECORDED / "spot_btcusdt_20240808.head.gz"),
    "bybit": ("bybit-ob", RECORDED / "xrpusdt-ob500.data.zip"),
}


@dataclass
class Imported:
    """A capture that was made of a file, and the counts that came with it."""

    path: Path
    counts: dict[str, Any]

    @cached_property
    def lines(self) -> list[bytes]:
        """Its records."""
        broken: list[str] = []
        lines = list(read_lines(self.path, lambda _: None, broken.append))
        assert not broken
        return lines

    @cached_property
    def events(self) -> list[MarketEvent]:
        """Its records, decoded."""
        return [decode_record(line) for line in self.lines]

    @cached_property
    def depth(self) -> list[DepthUpdate]:
        """Its depth records that touch a book."""
        return [event for event in self.events if isinstance(event, DepthUpdate)]


@pytest.fixture(scope="session")
def imported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Imported]:
    """Every recorded file as a capture of ours."""
    folder = tmp_path_factory.mktemp("imported")
    captures = {}
    for name, (format_name, path) in FILES.items():
        out = folder / f"{name}.jsonl.zst"
        options = ImportOptions(keyframe_interval_s=20)
        captures[name] = Imported(out, import_capture(FORMATS[format_name], path, out, options))
    return captures


def states(events: Iterable[MarketEvent]) -> list[dict[str, str]]:
    """The state that each leg shows after every record."""
    engine = PartitionEngine(load_settings().economics())
    shown = []
    for offset, event in enumerate(events):
        engine.on_event(event, offset)
        shown.append({
            f"{pair}/{leg.name}": leg.state
            for pair, state in engine.pairs.items() for leg in state.engine.legs.values()
        })  # fmt: skip
    return shown


@pytest.fixture
def command() -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """`python -m producers ...` as a process."""

    def run(*arguments: object) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "producers", *map(str, arguments)], capture_output=True, text=True, timeout=60
        )

    return run


def last_line(out: str) -> Any:
    """The last line of stdout as JSON."""
    return orjson.loads(out.splitlines()[-1])
