"""What a demo is told, and the settings that follow from it: the environment wins over the demo's own choices."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mts_stream.settings import Settings, load_settings

UNATTENDED_S = 60.0
"""How long a demo runs when nobody can press Ctrl-C and no duration was given."""

CHOICES = {"MAX_FEED_LAG_MS": "2000", "CHECKPOINT_INTERVAL_S": "1", "SINK_BATCH_AGE_MS": "250"}
"""Settings that suit a short run on one small machine."""

FAULT_CHOICES = {"REGISTRY_INTERVAL_S": "20", "REST_WEIGHT_SHARE": "0.9"}
"""Under faults the venues' lists are read more often, so that a delisting is seen within a minute's run, and the
snapshots of a dozen lost connections a minute may use what nobody else uses of the simulated venues' limits."""

PORTS = ("WORKER_WEB_PORT", "SINK_WEB_PORT", "PRODUCER_METRICS_PORT", "WEB_PORT")


WORKER = "worker"


def worker_name(index: int) -> str:
    """The name of a worker in logs, metrics and its group: worker, worker-2, worker-3."""
    return WORKER if index == 0 else f"{WORKER}-{index + 1}"


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """One demo: how long (None: until it is stopped), how large, which market, and what it leaves behind."""

    duration_s: float | None = UNATTENDED_S
    pairs: int = 5
    seed: int = 1
    record: Path | None = None
    data: Path | None = None
    as_json: bool = False
    faults: bool = False
    workers: int = 1


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the parts of one demo listen."""

    kafka: str
    clickhouse: str
    ports: Mapping[str, int]
    more_workers: tuple[int, ...] = ()  # the web ports of the second worker and on

    def url(self, variable: str) -> str:
        """The address of the web server whose port the variable names."""
        return f"http://127.0.0.1:{self.ports[variable]}"

    @property
    def web(self) -> str:
        """The live page."""
        return self.url("WEB_PORT")

    @property
    def metrics(self) -> dict[str, str]:
        """Prometheus endpoints by process."""
        names = {"worker": "WORKER_WEB_PORT", "sink": "SINK_WEB_PORT", "producers": "PRODUCER_METRICS_PORT"}
        more = {name: f"http://127.0.0.1:{port}" for name, port in self.workers.items() if name != WORKER}
        urls = {name: self.url(variable) for name, variable in names.items()} | more
        return {name: f"{url}/metrics" for name, url in urls.items()}

    @property
    def workers(self) -> dict[str, int]:
        """The workers' names and web ports."""
        ports = (self.ports["WORKER_WEB_PORT"], *self.more_workers)
        return {worker_name(index): port for index, port in enumerate(ports)}


def is_set(variable: str, environment: Mapping[str, str]) -> bool:
    """Whether the environment says something on a variable, in whatever case."""
    return any(name.upper() == variable and value for name, value in environment.items())


def part_environment(
    addresses: Addresses, directory: Path, environment: Mapping[str, str], faults: bool = False
) -> dict[str, str]:
    """What is added to the environment of every part: its addresses and directories, and choices nobody else made."""
    wanted = CHOICES | (FAULT_CHOICES if faults else {})
    choices = {name: value for name, value in wanted.items() if not is_set(name, environment)}
    return {
        **choices,
        **{variable: str(port) for variable, port in addresses.ports.items()},
        "KAFKA_BOOTSTRAP_SERVERS": addresses.kafka,
        "CLICKHOUSE_URL": addresses.clickhouse,
        "WORKER_DATA_DIR": str(directory / "worker"),
        "SINK_DATA_DIR": str(directory / "sink"),
    }


def worker_environment(name: str, port: int, directory: Path) -> dict[str, str]:
    """What one of several workers has for itself: without a name, the group would deal anew at every end of one."""
    return {
        "WORKER_WEB_PORT": str(port), "WORKER_DATA_DIR": str(directory / name), "WORKER_INSTANCE_ID": name,
    }  # fmt: skip


def settings_of(part_env: Mapping[str, str]) -> Settings:
    """The settings that a part with this added environment has in force; raises SettingsError."""
    return load_settings(**{name.lower(): value for name, value in part_env.items()})


def ports_wanted(environment: Mapping[str, str] = os.environ) -> dict[str, int | None]:
    """The port of each web server: what the environment says, None for a free one; raises SettingsError."""
    settings = load_settings()
    return {
        variable: getattr(settings, variable.lower()) if is_set(variable, environment) else None for variable in PORTS
    }
