"""Damaged messages of both venues: typed errors alone, no hang, no growing memory, and no keyframe that is refused."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from mts_stream.exchanges import MARKETS
from tests.exchanges.fuzzing import fuzz

FRAMES = int(os.environ.get("FUZZ_FRAMES", "20000"))
SLOWEST_S_MAX = 2.0  # of CPU, for messages of up to 70 KB
GROWTH_MB_MAX = 200


@pytest.fixture
def _silence() -> Iterator[None]:
    """A line for each gap would fill the memory that is measured."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL), cache_logger_on_first_use=False
    )
    yield
    structlog.reset_defaults()


@pytest.mark.timeout(3600)
@pytest.mark.usefixtures("_silence")
def test_no_damage_comes_through(pytestconfig: pytest.Config, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever is damaged: understood, refused by type, or dead-lettered; each within its time."""
    seed = int(pytestconfig.option.hypothesis_seed)
    before_mb = _resident_mb()
    accounts = fuzz(MARKETS, FRAMES, seed)
    grown_mb = _resident_mb() - before_mb

    with capsys.disabled():
        print(f"\nfuzz: {FRAMES} damaged messages, seed {seed}, memory grew by {grown_mb:.0f} MB")
        for name, account in accounts.items():
            slowest_ms = account.slowest_s * 1000
            print(f"  {name}: {account.damaged}, slowest {slowest_ms:.1f} ms, {dict(account.outcomes.most_common(8))}")
    assert all(account.slowest_s < SLOWEST_S_MAX for account in accounts.values())
    assert grown_mb < GROWTH_MB_MAX
    for account in accounts.values():
        assert account.damaged >= FRAMES // len(MARKETS)
        assert account.outcomes["read"] and account.outcomes["impossible_number"] and account.outcomes["bad_frame"]


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
