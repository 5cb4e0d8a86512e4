"""The services of docker-compose.yml as processes of this machine: their own commands, variables and health checks."""

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import yaml

from mts_stream.local.ports import free_ports
from mts_stream.settings import Settings

ROOT = Path(__file__).parents[2]
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
BIN = Path(sys.executable).parent
PORTS = {
    6066: "WORKER_WEB_PORT", 6067: "SINK_WEB_PORT", 6068: "PRODUCER_METRICS_PORT", 8080: "WEB_PORT",
}  # fmt: skip
POLL_S = 0.2


def free_port() -> int:
    """A port that nobody has."""
    return free_ports(1)[0]


def substituted(text: str, given: dict[str, str]) -> str:
    """Compose's `${NAME:-default}`."""
    return re.sub(r"\$\{(\w+):-([^}]*)\}", lambda match: given.get(match[1], match[2]), text)


class Service:
    """One service, run natively: addresses and ports are this machine's, all else is the file's."""

    def __init__(self, name: str, settings: Settings, folder: Path, **more: str) -> None:
        self.name = name
        self.ports = {fixed: free_port() for fixed in PORTS}
        self.log = folder / f"{name}.log"
        command = SERVICES[name]["command"]
        words = shlex.split(substituted(command, more)) if isinstance(command, str) else command
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [str(BIN / words[0]), *words[1:]], env=self._environment(settings, folder) | more, cwd=folder,
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip

    def _environment(self, settings: Settings, folder: Path) -> dict[str, str]:
        fixed = {key: str(value) for key, value in SERVICES[self.name]["environment"].items()}
        here = {
            "KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers,
            "CLICKHOUSE_URL": settings.clickhouse_url,
            "CLICKHOUSE_DATABASE": settings.clickhouse_database,
            "CLICKHOUSE_USER": settings.clickhouse_user,
            "CLICKHOUSE_PASSWORD": settings.clickhouse_password.get_secret_value(),
            "METRICS_HOST": "127.0.0.1",
            "WEB_HOST": "127.0.0.1",
            "WORKER_DATA_DIR": str(folder / "worker"),
            "SINK_DATA_DIR": str(folder / "sink"),
            "DATA_DIR": str(folder / "data"),
        }
        return os.environ | fixed | here | {PORTS[fixed]: str(port) for fixed, port in self.ports.items()}

    def complaint(self) -> str:
        """What the service's own health check says is wrong; nothing when it passes."""
        kind, *command = SERVICES[self.name]["healthcheck"]["test"]
        assert kind == "CMD"
        here = [re.sub(r":(6\d{3}|8080)/", lambda m: f":{self.ports[int(m[1])]}/", word) for word in command]
        done = subprocess.run([str(BIN / here[0]), *here[1:]], capture_output=True, text=True, timeout=20)
        return "" if done.returncode == 0 else done.stderr[-500:] or "failed"

    def becomes_healthy(self, deadline_s: float = 60) -> "Service":
        """Wait for the health check; fails with the service's log."""
        ends = time.monotonic() + deadline_s
        while complaint := self.complaint():
            assert self.process.poll() is None and time.monotonic() < ends, f"{complaint}\n{self.text()[-5000:]}"
            time.sleep(POLL_S)
        return self

    def says(self, text: str, deadline_s: float = 60) -> "Service":
        """Return when its log holds a text."""
        ends = time.monotonic() + deadline_s
        while text not in self.text():
            assert time.monotonic() < ends, f"{self.name} did not say {text!r}:\n{self.text()}"
            time.sleep(POLL_S)
        return self

    def completes(self, deadline_s: float = 60) -> int:
        """The exit code of a service that ends by itself."""
        return self.process.wait(deadline_s)

    def stop(self, deadline_s: float = 30) -> int:
        """What `docker compose stop` does: SIGTERM, and the grace period of the file at most."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(deadline_s)

    def text(self) -> str:
        """What it wrote."""
        return self.log.read_text()

    def kill(self) -> None:
        """End it, whatever it does."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)
