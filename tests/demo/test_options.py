"""The demo's settings: the environment wins over its choices, its parts' addresses are its own."""

from dataclasses import replace
from pathlib import Path

import pytest

from mts_stream.errors import SettingsError
from mts_stream.local.demo.children import commands
from mts_stream.local.demo.options import (
    PORTS,
    Addresses,
    DemoOptions,
    part_environment,
    ports_wanted,
    settings_of,
    worker_environment,
)
from mts_stream.local.demo.truth import TruthFiles

ADDRESSES = Addresses("127.0.0.1:1", "http://127.0.0.1:2", dict(zip(PORTS, (11, 12, 13, 14), strict=True)))


def test_the_demo_chooses_what_nobody_else_did() -> None:
    """A short run with one small machine in mind."""
    environment = part_environment(ADDRESSES, Path("/data"), {})

    assert environment["MAX_FEED_LAG_MS"] == "2000"
    assert settings_of(environment).max_feed_lag_ms == 2000


@pytest.mark.parametrize("name", ["MAX_FEED_LAG_MS", "max_feed_lag_ms"])
def test_the_environment_wins_over_a_choice(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In whatever case it is written."""
    monkeypatch.setenv(name, "777")
    environment = part_environment(ADDRESSES, Path("/data"), {name: "777"})

    assert "MAX_FEED_LAG_MS" not in environment
    assert settings_of(environment).max_feed_lag_ms == 777


def test_faults_read_the_venues_lists_more_often() -> None:
    """A delisting must be seen within a short run; the environment wins here too."""
    assert "REGISTRY_INTERVAL_S" not in part_environment(ADDRESSES, Path("/data"), {})
    faulty = part_environment(ADDRESSES, Path("/data"), {}, faults=True)
    assert settings_of(faulty).registry_interval_s == 20
    assert "REGISTRY_INTERVAL_S" not in part_environment(
        ADDRESSES, Path("/data"), {"REGISTRY_INTERVAL_S": "30"}, faults=True
    )


def test_the_addresses_are_always_the_demos_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """A demo must never write into somebody's cluster."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "production:9092")
    environment = part_environment(ADDRESSES, Path("/data"), {"KAFKA_BOOTSTRAP_SERVERS": "production:9092"})

    assert settings_of(environment).kafka_bootstrap_servers == "127.0.0.1:1"


def test_a_port_from_the_environment_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without one it is a free one."""
    monkeypatch.setenv("WEB_PORT", "8081")

    assert ports_wanted()["WEB_PORT"] == 8081
    assert ports_wanted()["WORKER_WEB_PORT"] is None


def test_a_wrong_setting_is_met_before_anything_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """It names its variable."""
    monkeypatch.setenv("PARTITIONS", "0")

    with pytest.raises(SettingsError, match="PARTITIONS"):
        ports_wanted()


def test_the_children_get_their_ports_and_the_market(tmp_path: Path) -> None:
    """As a user would type it."""
    found = commands(DemoOptions(pairs=3, seed=9), ADDRESSES.ports, TruthFiles.within(tmp_path), ADDRESSES.workers)

    assert list(found) == ["producers", "worker", "sink", "web"]
    assert "--sim-pairs 3 --seed 9" in " ".join(found["producers"])
    assert "--faults" not in found["producers"]
    faulty = commands(DemoOptions(faults=True), ADDRESSES.ports, TruthFiles.within(tmp_path), ADDRESSES.workers)
    assert f"--faults --fault-truth {tmp_path}" in " ".join(faulty["producers"])
    assert found["worker"][-2:] == ["--web-port", "11"]
    assert ADDRESSES.web == "http://127.0.0.1:14"
    assert ADDRESSES.metrics["producers"] == "http://127.0.0.1:13/metrics"


def test_each_of_several_workers_has_a_port_a_directory_and_a_name_of_its_own(tmp_path: Path) -> None:
    """The first keeps the port that the environment may have chosen."""
    addresses = replace(ADDRESSES, more_workers=(21, 22))
    found = commands(DemoOptions(workers=3), addresses.ports, TruthFiles.within(tmp_path), addresses.workers)

    assert addresses.workers == {"worker": 11, "worker-2": 21, "worker-3": 22}
    assert list(found) == ["producers", "worker", "worker-2", "worker-3", "sink", "web"]
    assert found["worker-3"][-2:] == ["--web-port", "22"]
    assert addresses.metrics["worker-2"] == "http://127.0.0.1:21/metrics"
    settings = settings_of(worker_environment("worker-2", 21, tmp_path))
    assert (settings.worker_instance_id, settings.worker_web_port) == ("worker-2", 21)
    assert settings.worker_data_dir == tmp_path / "worker-2"
