"""What both Faust workers share: settings, waiting for Kafka and its topics, logs, event loop, pages, watchdogs.

app = create_worker(settings, group="mts-stream", batched={"mts.raw"}, web_port=6066, data_dir=..., process="worker")
app.health.handled(tp, next_offset)       # after every batch
await app.crash_worker(error)             # a bug: the process ends with code 1 and commits nothing more
"""

import asyncio
import logging
import os
import ssl
import sys
import threading
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NoReturn

import faust
import uvloop
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from mts_stream import metrics, transport
from mts_stream.errors import KafkaUnavailableError, MtsError, SettingsError
from mts_stream.health import RecoveryWatch, WorkerHealth
from mts_stream.logs import configure_logging, get_logger
from mts_stream.settings import Settings, load_settings
from mts_stream.wire.kafka import create_topics
from mts_stream.wire.topics import MESSAGE_BYTES_MAX

CONNECT_S = 2.0
BACKOFF_FIRST_S = 0.2
BACKOFF_MAX_S = 5.0
END_AFTER_CRASH_S = 20.0
WATCH_INTERVAL_S = 1.0
BATCHES_QUEUED_MAX = 16
PRODUCER_BATCH_BYTES = 262_144
PRODUCER_LINGER_S = 0.005

log = get_logger("mts_stream.worker")


class WorkerApp(faust.App):  # type: ignore[misc]
    """A Faust app that waits for Kafka and its topics before it reads, and ends when it cannot go on."""

    settings: Settings
    health: WorkerHealth
    batched_topics: frozenset[str] = frozenset()

    async def on_first_start(self) -> None:
        """Make the topics first: the consumer of a topic that does not exist never starts."""
        try:
            make_directory(Path(self.conf.datadir))
            await super().on_first_start()
            await kafka_ready(self.settings)
        except MtsError as error:
            exit_with(error)
        self.add_future(self._watch_recovery())

    async def crash_worker(self, error: BaseException) -> None:
        """End the process with code 1; what is not checkpointed is read again."""
        log.critical("worker crashed", error=repr(error), exc_info=error)
        end_process_later(END_AFTER_CRASH_S)
        await self.crash(error)

    @asynccontextmanager
    async def bugs_end_it(self) -> AsyncIterator[None]:
        """What is raised inside ends the worker, from wherever Faust would have gone on."""
        try:
            yield
        except Exception as error:
            await self.crash_worker(error)
            raise

    async def _watch_recovery(self) -> None:
        watch = RecoveryWatch(self)
        while not self.should_stop:
            await asyncio.sleep(WATCH_INTERVAL_S)
            stood_s = watch.stalled_for_s()
            if stood_s is not None:
                await self.crash_worker(RuntimeError(f"recovery has not advanced for {stood_s:.0f} s"))
                return


def create_worker(
    settings: Settings, *, group: str, batched: Iterable[str], web_port: int, data_dir: Path, process: str
) -> WorkerApp:
    """The app of a worker on the batch transport, with /metrics and /health; needs no Kafka yet."""
    configure_logging(settings, process)
    app = WorkerApp(
        group, **_broker_options(settings), **_producer_options(), **_web_options(settings, web_port),
        datadir=str(data_dir), store="memory://", autodiscover=False, origin="mts_stream",
        key_serializer="raw", value_serializer="raw",
        topic_partitions=settings.partitions, topic_replication_factor=settings.replication_factor,
        topic_allow_declare=False, topic_disable_leader=True, table_standby_replicas=0,
        stream_wait_empty=False, stream_buffer_maxsize=BATCHES_QUEUED_MAX,
        worker_redirect_stdouts=False, logging_config=_logging_config(),
    )  # fmt: skip
    app.settings = settings
    transport.configure(app, batched=batched)
    app.health = WorkerHealth(app)
    app.on_worker_init.connect(_use_uvloop, weak=False)
    _add_pages(app)
    return app


def settings_or_exit() -> Settings:
    """The settings of the environment; a wrong one prints its line and ends the process with code 2."""
    try:
        return load_settings()
    except MtsError as error:
        exit_with(error)


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


def end_process_later(after_s: float) -> None:
    """A crashed worker that hangs in its own shutdown ends all the same."""
    timer = threading.Timer(after_s, os._exit, (1,))
    timer.daemon = True
    timer.start()


def _broker_options(settings: Settings) -> dict[str, Any]:
    session_s = settings.broker_session_timeout_s
    return {
        "broker": transport.broker_url(settings),
        "broker_credentials": _credentials(settings),
        "broker_session_timeout": float(session_s),
        "broker_heartbeat_interval": session_s / 6,
        "broker_max_poll_records": settings.fetch_records_max,
        "broker_max_poll_interval": 300.0,
        "consumer_auto_offset_reset": "earliest",
    }


def _producer_options() -> dict[str, Any]:
    return {
        "producer_linger": PRODUCER_LINGER_S,
        "producer_max_batch_size": PRODUCER_BATCH_BYTES,
        "producer_max_request_size": MESSAGE_BYTES_MAX,
        "producer_acks": -1,
    }


def _web_options(settings: Settings, web_port: int) -> dict[str, Any]:
    options: dict[str, Any] = {"web_bind": settings.metrics_host, "web_host": settings.metrics_host}
    off = ("web_stats_enabled", "web_graph_enabled", "web_router_enabled", "web_tables_enabled", "web_metrics_enabled")
    return options | {"web_port": web_port} | dict.fromkeys(off, False)


def _credentials(settings: Settings) -> Any:
    protocol = settings.kafka_security_protocol
    context = ssl.create_default_context(cafile=settings.kafka_ssl_ca_location or None) if "SSL" in protocol else None
    if protocol.startswith("SASL"):
        return faust.SASLCredentials(
            username=settings.kafka_sasl_username,
            password=settings.kafka_sasl_password.get_secret_value(),
            mechanism=settings.kafka_sasl_mechanism,
            ssl_context=context if protocol == "SASL_SSL" else None,
        )
    return faust.SSLCredentials(context) if protocol == "SSL" else None


def _logging_config() -> dict[str, Any]:
    """Faust's own lines through our handler; the level stays that of `-l`."""
    handler = logging.getLogger().handlers[0]
    return {"merge": True, "handlers": {"default": {"()": lambda: handler}}}


def _use_uvloop(*_: Any, **__: Any) -> None:
    """Before the command line makes its event loop, and only there."""
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())


def _add_pages(app: WorkerApp) -> None:
    @app.page("/metrics", name="metrics")  # type: ignore[untyped-decorator]
    async def show_metrics(web: Any, request: Any) -> Any:
        return web.bytes(generate_latest(metrics.REGISTRY), headers={"Content-Type": CONTENT_TYPE_LATEST})

    @app.page("/health", name="health")  # type: ignore[untyped-decorator]
    async def show_health(web: Any, request: Any) -> Any:
        status, body = app.health.report()
        return web.json(body, status=status)
