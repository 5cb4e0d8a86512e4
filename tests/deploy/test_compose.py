"""docker-compose.yml holds what an operator relies on; no engine is needed to see it."""

import importlib.util
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = sorted(name for name, service in SERVICES.items() if "build" in service)
LASTING = sorted(name for name, service in SERVICES.items() if service["restart"] != "no")
LOCK = (ROOT / "requirements.lock").read_text()


def test_it_is_a_compose_file() -> None:
    """The file keeps to the Compose Specification's own schema."""
    package = importlib.util.find_spec("check_jsonschema")
    assert package is not None and package.submodule_search_locations is not None
    vendored = Path(package.submodule_search_locations[0]) / "builtin_schemas" / "vendor" / "compose-spec.json"

    jsonschema.validate(COMPOSE, json.loads(vendored.read_text()))


def test_every_part_of_the_dataflow_has_a_service() -> None:
    """Kafka, ClickHouse, migrations, producers, worker, sink, page, Prometheus and Grafana are all there."""
    expected = {"kafka", "clickhouse", "migrate", "topics", "producers", "worker", "sink", "web"}

    assert set(SERVICES) == expected | {"prometheus", "grafana"}
    assert OURS == ["migrate", "producers", "sink", "topics", "web", "worker"]


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_open_on_loopback_alone(name: str) -> None:
    """Nothing is published to the network: each port says 127.0.0.1."""
    for port in SERVICES[name].get("ports", []):
        assert re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port)


@pytest.mark.parametrize("name", SERVICES)
def test_images_are_pinned(name: str) -> None:
    """An image is named with a version of at least two numbers, never `latest`."""
    assert re.fullmatch(r"[a-z/-]+:v?\d+\.\d+(\.\d+)*", SERVICES[name]["image"])


@pytest.mark.parametrize("name", SERVICES)
def test_resources_are_limited(name: str) -> None:
    """Every service has 2 CPUs and 2 GiB at most, and logs that cannot fill the disk."""
    assert SERVICES[name]["deploy"]["resources"]["limits"] == {"cpus": "2.0", "memory": "2G"}
    assert set(SERVICES[name]["logging"]["options"]) == {"max-size", "max-file"}


@pytest.mark.parametrize("name", LASTING)
def test_lasting_services_are_health_checked(name: str) -> None:
    """Whatever keeps running has a health check with bounded time and retries."""
    check = SERVICES[name]["healthcheck"]

    assert check["test"][0] == "CMD" and check["timeout"] and check["retries"] and check["interval"]


@pytest.mark.parametrize("name", OURS)
def test_our_containers_hold_no_rights(name: str) -> None:
    """Our services run on a read-only file system, without capabilities, with time to end by themselves."""
    service = SERVICES[name]

    assert service["read_only"] is True and service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"] and service["stop_grace_period"] == "30s"


@pytest.mark.parametrize("name", SERVICES)
def test_order_of_start_is_stated(name: str) -> None:
    """A dependency says what it waits for: healthy if it lasts, completed if it ends."""
    for needed, how in SERVICES[name].get("depends_on", {}).items():
        wanted = "service_healthy" if needed in LASTING else "service_completed_successfully"

        assert how["condition"] == wanted


def test_secrets_come_from_the_environment() -> None:
    """A password stands nowhere in the file: it is taken from the environment, and its absence is refused."""
    found = {
        value
        for service in SERVICES.values()
        for key, value in service.get("environment", {}).items()
        if "PASSWORD" in key or "SECRET" in key
    }

    assert found and all(re.match(r"\$\{[A-Z_]+:\?", value) for value in found)


@pytest.mark.parametrize("name", OURS)
def test_settings_given_are_settings_known(name: str, ours_settings: Any) -> None:
    """Every variable of our services is one of Settings, with a value that Settings takes."""
    given = {key: value for key, value in SERVICES[name]["environment"].items() if "PASSWORD" not in key}
    settings = ours_settings(given)

    assert settings.max_feed_lag_ms == 2000


def test_engine_version_is_the_tested_one() -> None:
    """The ClickHouse server has the version of the engine that the tests run."""
    tested = re.search(r"^chdb-core==(\d+\.\d+)", LOCK, re.MULTILINE)
    assert tested

    assert SERVICES["clickhouse"]["image"].split(":")[1].startswith(tested[1] + ".")


@pytest.mark.parametrize("name", SERVICES)
def test_files_mounted_exist(name: str) -> None:
    """What a service mounts of this repository stands in it, and is read-only there."""
    for volume in (v for v in SERVICES[name].get("volumes", []) if v.startswith("./")):
        here, _, mode = volume.split(":")

        assert (ROOT / here).exists() and mode == "ro"


def test_the_init_script_is_shell() -> None:
    """The ClickHouse image sources or runs it once; its syntax holds, and it takes passwords from the environment."""
    script = ROOT / "deploy" / "clickhouse" / "init.sh"

    assert subprocess.run(["sh", "-n", str(script)], capture_output=True, timeout=10).returncode == 0
    assert set(re.findall(r"\$(\w+_\w+)", script.read_text())) <= SERVICES["clickhouse"]["environment"].keys()
