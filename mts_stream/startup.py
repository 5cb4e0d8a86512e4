"""How a worker begins: its settings, its directory, Kafka and the topics; each refusal is one line and a code."""

import asyncio
import errno
import socket
import sys
import time
from pathlib import Path
from typing import NoReturn

from mts_stream.domain.economics import EconomicSettings
from mts_stream.errors import KafkaUnavailableError, ListenError, MtsError, SettingsError
from mts_stream.exchanges import MARKETS
from mts_stream.kernels import chosen_kernel
from mts_stream.logs import get_logger
from mts_stream.settings import Settings, load_settings
from mts_stream.wire.kafka import create_topics, topic_partitions
from mts_stream.wire.topics import TOPICS

CONNECT_S = 2.0
BACKOFF_FIRST_S = 0.2
BACKOFF_MAX_S = 5.0

log = get_logger("mts_stream.startup")


def settings_or_exit() -> Settings:
    """The settings of the environment; a wrong one prints its line and ends the process with code 2."""
    try:
        settings = load_settings()
        check_fees(settings.economics(), time.time_ns())
        chosen_kernel(settings.kernel)
        return settings
    except MtsError as error:
        exit_with(error)


def check_fees(economics: EconomicSettings, now_ns: int) -> None:
    """See that every leg that a route may need has a fee today, not only when it is evaluated; raises SettingsError."""
    needed = {market for route in (*economics.routes, *economics.same_venue_routes) for market in route}
    legs = sorted((listed.venue, listed.market) for listed in MARKETS if listed.market in needed)
    missing = economics.fees.missing(legs, now_ns)
    if missing:
        raise SettingsError(f"FEES_FILE: no fee of {', '.join(missing)} is in force today; give one for each leg")


def exit_with(error: MtsError) -> NoReturn:
    """Print the error's one line and end the process with its code."""
    print(f"error: {error}", file=sys.__stderr__, flush=True)
    raise SystemExit(error.exit_code)


def make_directory(path: Path) -> None:
    """Make the worker's directory with its parents, which Faust does not; raises SettingsError."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(
            f"the worker's data directory {path}: {error.strerror}; choose one that can be written"
        ) from error


def check_port(host: str, port: int, *, process: str) -> None:
    """See that the web server of a worker can listen, before Faust starts anything; raises ListenError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        in_use = error.errno == errno.EADDRINUSE
        why = "the port is in use" if in_use else error.strerror or str(error)
        raise ListenError(
            f"the {process}'s web server cannot listen on {host}:{port} ({process.upper()}_WEB_PORT): {why}; "
            f"{'stop what uses it, or ' if in_use else ''}choose another with {process.upper()}_WEB_PORT or --web-port"
        ) from error


async def kafka_ready(settings: Settings) -> None:
    """Wait until a broker answers, then create the topics that are missing.

    Raises SettingsError where a topic stands with another number of partitions.
    """
    wait_s = BACKOFF_FIRST_S
    while True:
        try:
            await _connect(settings)
            created = await asyncio.to_thread(create_topics, settings)
        except (OSError, TimeoutError, KafkaUnavailableError) as error:
            log.warning("waiting for Kafka", servers=settings.kafka_bootstrap_servers, error=str(error), wait_s=wait_s)
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, BACKOFF_MAX_S)
            continue
        log.info("kafka ready", servers=settings.kafka_bootstrap_servers, topics_created=created)
        return


def missing_topics(settings: Settings) -> list[str]:
    """Which of our topics the cluster does not have; raises KafkaUnavailableError."""
    return sorted({topic.name for topic in TOPICS} - topic_partitions(settings).keys())


async def _connect(settings: Settings) -> None:
    """Open a connection to one of the servers: quicker to say no, and to cancel, than an admin client."""
    errors: list[Exception] = []
    for server in settings.kafka_bootstrap_servers.split(","):
        host, _, port = server.strip().rpartition(":")
        try:
            _, writer = await asyncio.wait_for(asyncio.open_connection(host.strip("[]"), int(port)), CONNECT_S)
        except (OSError, TimeoutError) as error:
            errors.append(error)
            continue
        writer.close()
        return
    raise errors[-1]
