"""The first Prometheus configuration: scrapes what the compose file runs, asks for metrics that exist."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from mts_stream import metrics

FOLDER = Path(__file__).parents[2] / "deploy" / "prometheus"
CONFIG = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
RULES = [rule for group in yaml.safe_load((FOLDER / "rules.yml").read_text())["groups"] for rule in group["rules"]]
SERVICES = yaml.safe_load((FOLDER.parents[1] / "docker-compose.yml").read_text())["services"]
SUFFIXES = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}


def series_names() -> set[str]:
    """The names under which our metrics appear when scraped."""
    found = set()
    for family in metrics.REGISTRY.collect():
        found |= {family.name + suffix for suffix in SUFFIXES[family.type]}
    return found


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_alerts_ask_for_metrics_that_exist(rule: dict[str, str]) -> None:
    """An alert on a metric that nobody exports would never fire."""
    asked = set(re.findall(r"\bmts_\w+", rule["expr"]))

    assert asked <= series_names()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_alerts_say_what_to_do(rule: dict[str, dict[str, str]]) -> None:
    """An alert has a severity, says what is wrong and where to look."""
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert {"summary", "look_at"} == set(rule["annotations"])


def test_targets_are_services_of_the_compose_file() -> None:
    """Every process scraped is a service whose port is the one it serves metrics on."""
    (ours,) = (job for job in CONFIG["scrape_configs"] if job["job_name"] == "mts")
    targets = [target for group in ours["static_configs"] for target in group["targets"]]

    assert len(targets) == 3
    for target in targets:
        service, port = target.split(":")
        assert f"127.0.0.1:{port}:{port}" in SERVICES[service]["ports"]


def test_promtool_accepts_it() -> None:
    """Prometheus's own checker takes the configuration and its rules."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian: prometheus)")
    command = [promtool, "check", "config", "--syntax-only", str(FOLDER / "prometheus.yml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)

    assert done.returncode == 0, done.stderr
