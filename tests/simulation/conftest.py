"""Plays runs some at a time, quietly, and tells at the end in one table what came of all of them."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

import pytest
import structlog

from tests.simulation.scenarios import Outcome
from tests.simulation.table import table

AT_ONCE = 10
"""Runs of one process at a time: together about two thirds of a core, so that no step of a market has to wait."""

PROPERTY = "conformance"
REPORT = Path("build/conformance.md")

Play = Callable[[Iterable[Coroutine[None, None, Outcome]]], Coroutine[None, None, list[Outcome]]]


@pytest.fixture
def play(record_property: Callable[[str, object], None]) -> Iterator[Play]:
    """Play runs and keep their outcomes for the table; every failed one is told, not the first alone."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))

    async def play_all(runs: Iterable[Coroutine[None, None, Outcome]]) -> list[Outcome]:
        room = asyncio.Semaphore(AT_ONCE)

        async def one(run: Coroutine[None, None, Outcome]) -> Outcome:
            async with room:
                return await run

        outcomes = await asyncio.gather(*map(one, runs))
        for outcome in outcomes:
            record_property(PROPERTY, asdict(outcome))
        failed = [outcome for outcome in outcomes if outcome.problems]
        assert not failed, "\n".join(f"{one.fault} {one.place} seed {one.seed}: {one.problems}" for one in failed)
        return outcomes

    yield play_all
    structlog.reset_defaults()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table, and keep it."""
    reports = [report for some in terminalreporter.stats.values() for report in some]
    properties = [one for report in reports for one in getattr(report, "user_properties", ()) if report.when == "call"]
    outcomes = [Outcome(**fields) for name, fields in properties if name == PROPERTY]
    if not outcomes:
        return
    lines = table(outcomes)
    terminalreporter.section("conformance")
    for line in lines:
        terminalreporter.write_line(line)
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text("\n".join(lines) + "\n")
