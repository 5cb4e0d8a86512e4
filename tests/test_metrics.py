"""Metrics: one table, names that say their unit, served over HTTP."""

import re
import urllib.request

import pytest

from mts_stream import metrics

FAMILIES = list(metrics.REGISTRY.collect())


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_a_metric_is_ours_and_explained(family: object) -> None:
    """Every name begins with mts_, and every metric says what it counts."""
    assert re.fullmatch(r"mts_[a-z_]+[a-z]", family.name)  # type: ignore[attr-defined]
    assert len(family.documentation) > 10  # type: ignore[attr-defined]


def test_they_are_served_as_text() -> None:
    """A free port on loopback answers with the values as they stand."""
    metrics.UNDELIVERED.inc()
    port = metrics.serve_metrics("127.0.0.1", 0)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        text = answer.read().decode()

    assert re.search(r"^mts_undelivered_total [1-9]", text, re.MULTILINE)


@pytest.mark.parametrize(
    ("process", "own", "foreign"),
    [("worker", "mts_pairs", "mts_store_up"), ("sink", "mts_store_up", "mts_pairs")],
)
def test_a_process_shows_its_own_metrics(process: str, own: str, foreign: str) -> None:
    """A gauge of another process would stand at 0 and look like a fault."""
    names = {family.name for family in metrics.registry_of(process).collect()}

    assert own in names
    assert foreign not in names
    assert "mts_dead_letters" in names
    assert "mts_undelivered" not in names


def test_nothing_else_is_served() -> None:
    """The registry is ours alone: no metric of the Python process or of a library appears by accident."""
    assert all(family.name.startswith("mts_") for family in FAMILIES)
