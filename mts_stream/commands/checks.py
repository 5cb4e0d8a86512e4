"""The doctor's checks: each says what it saw, or raises MtsError with what to do."""

import asyncio
import importlib.util
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import Callable

from mts_stream.commands.topics import wanted_partitions
from mts_stream.domain import IN_PYTHON_BECAUSE
from mts_stream.domain.kernel import BUILD_COMMAND
from mts_stream.errors import KafkaUnavailableError, LocalPartError, MtsError, SettingsError, StoreError
from mts_stream.kernels import chosen_kernel
from mts_stream.settings import Settings
from mts_stream.wire.topics import TOPICS

PYTHON_MIN = (3, 11)
LOCAL_PACKAGES = ("chdb", "jgo", "lz4", "psutil")
ANSWER_S = 5.0
CONNECT_S = 0.5
WEB_SERVERS = {
    "worker": "worker_web_port",
    "sink": "sink_web_port",
    "producers": "producer_metrics_port",
    "page": "web_port",
}


def python(_: Settings) -> str:
    """The interpreter is new enough."""
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < PYTHON_MIN:
        raise MtsError(f"Python {version} is too old: install {'.'.join(map(str, PYTHON_MIN))} or newer")
    return version


def local_extra(_: Settings) -> str:
    """The packages of the extra for the local parts are installed."""
    missing = [name for name in LOCAL_PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise LocalPartError(
            f"{', '.join(missing)} not installed, so no demo and no local parts: `pip install 'mts-stream[local]'`"
        )
    return "all packages of the extra [local] are installed"


def java(_: Settings) -> str:
    """Something can run the local broker."""
    from mts_stream.local.java import find_java

    return str(find_java())


def compiled_kernel(settings: Settings) -> str:
    """Books, walks and the domain around them are compiled, or Python does their work."""
    used = chosen_kernel(settings.kernel)
    if used.name == "python":
        reason = f"Python, several times slower: {used.problem or 'KERNEL=python'}"
    elif IN_PYTHON_BECAUSE:
        reason = f"compiled, the domain around it Python, half again as slow: {IN_PYTHON_BECAUSE}"
    else:
        return "compiled"
    return f"{reason}; {BUILD_COMMAND} in the sources builds it"


def kafka(settings: Settings) -> str:
    """A broker answers."""
    from mts_stream.wire.kafka import cluster_id

    where = settings.kafka_bootstrap_servers
    if not _listens(settings):
        raise KafkaUnavailableError(
            f"nothing listens at {where} (KAFKA_BOOTSTRAP_SERVERS); "
            "`mts-stream local up` starts one here, or set the address of one that runs"
        )
    return f"cluster {cluster_id(settings)} at {where}"


def _listens(settings: Settings) -> bool:
    """Nobody should wait for a client's time-out when the port is simply closed."""
    host, _, port = settings.kafka_bootstrap_servers.split(",")[0].rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), ANSWER_S).close()
    except (OSError, ValueError):
        return False
    return True


def topics(settings: Settings) -> str:
    """Every topic stands with the partitions that it should have."""
    from mts_stream.wire.kafka import topic_partitions

    if not _listens(settings):
        raise KafkaUnavailableError("not known while Kafka does not answer")
    standing = topic_partitions(settings)
    missing = [topic.name for topic in TOPICS if topic.name not in standing]
    if missing:
        raise KafkaUnavailableError(f"missing: {', '.join(missing)}; `mts-stream topics create`")
    for topic in TOPICS:
        have, want = standing[topic.name], wanted_partitions(topic, settings)
        if have != want:
            raise SettingsError(
                f"{topic.name} has {have} partitions and should have {want}; "
                "set PARTITIONS to what stands, or begin with a new cluster"
            )
    return f"all {len(TOPICS)} stand, {settings.partitions} partitions"


def clickhouse(settings: Settings) -> str:
    """The store answers."""
    if not _pings(settings):
        raise StoreError(
            f"ClickHouse does not answer at {settings.clickhouse_url} (CLICKHOUSE_URL); "
            "`mts-stream local up` starts one here, or set the address of one that runs"
        )
    return settings.clickhouse_url


def _pings(settings: Settings) -> bool:
    try:
        with urllib.request.urlopen(f"{settings.clickhouse_url}/ping", timeout=ANSWER_S):  # noqa: S310
            return True
    except (OSError, ValueError):
        return False


def tables(settings: Settings) -> str:
    """Every migration is applied."""
    if not _pings(settings):
        raise StoreError("not known while ClickHouse does not answer")
    from mts_stream.clickhouse.runner import check

    lacks = asyncio.run(check(settings))
    if lacks.pending:
        raise StoreError(f"not applied: {', '.join(lacks.pending)}; `mts-stream migrate`")
    if lacks.retention:
        raise StoreError(f"retention of {', '.join(lacks.retention)} is not what is set; `mts-stream migrate`")
    return f"{settings.clickhouse_database} is up to date"


def port_check(server: str) -> Callable[[Settings], str]:
    """A check that the port of one of our web servers is free, or one of ours has it."""

    def check(settings: Settings) -> str:
        field = WEB_SERVERS[server]
        port = getattr(settings, field)
        if not _is_open(port):
            return f"port {port} is free"
        if _is_ours(port):
            return f"port {port}: {server} runs"
        raise MtsError(f"port {port} is held by another program; end it, or set {field.upper()} to a free one")

    return check


def _is_open(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(CONNECT_S)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _is_ours(port: int) -> bool:
    """Whether it answers as our servers do: health as JSON, or metrics with our names."""
    for path, sign in (("/metrics", b"mts_"), ("/health", b'"status"')):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=ANSWER_S) as answer:
                if sign in answer.read():
                    return True
        except urllib.error.HTTPError as error:
            if sign in error.read():
                return True
        except (OSError, ValueError):
            continue
    return False


CHECKS: dict[str, Callable[[Settings], str]] = {
    "python": python,
    "extra [local]": local_extra,
    "java": java,
    "kernel": compiled_kernel,
    "kafka": kafka,
    "topics": topics,
    "clickhouse": clickhouse,
    "tables": tables,
    **{f"port: {server}": port_check(server) for server in WEB_SERVERS},
}
"""Name and check, in the order in which they are shown."""
