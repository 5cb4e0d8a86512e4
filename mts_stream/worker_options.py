"""How our workers set Faust up: brokers and their security, producer, pages, logs, and parts of Faust replaced."""

import asyncio
import logging
import ssl
from pathlib import Path
from typing import Any

import faust
from faust.assignor import PartitionAssignor
from faust.tables import TableManager
from yarl import URL

from mts_stream import transport
from mts_stream.errors import MtsError
from mts_stream.settings import Settings
from mts_stream.startup import exit_with
from mts_stream.wire.topics import MESSAGE_BYTES_MAX

FETCHES_QUEUED_MAX = 8
PRODUCER_BATCH_BYTES = 262_144
PRODUCER_LINGER_S = 0.005
REBALANCE_S = 30.0  # how long the group waits for its members; health.RECOVERY_STALLED_S is more


def faust_options(settings: Settings, *, web_port: int, data_dir: Path, instance_id: str) -> dict[str, Any]:
    """Everything of `faust.App(...)` but its name."""
    return {
        "env_prefix": "FAUST_",  # else WEB_PORT, our page's, would win over `web_port` in Faust
        **_broker_options(settings), **_producer_options(), **_web_options(settings, web_port),
        "datadir": str(data_dir), "store": "memory://", "autodiscover": False, "origin": "mts_stream",
        "key_serializer": "raw", "value_serializer": "raw",
        "topic_partitions": settings.partitions, "topic_replication_factor": settings.replication_factor,
        "topic_allow_declare": False, "topic_disable_leader": True, "table_standby_replicas": 0,
        "stream_wait_empty": False, "stream_buffer_maxsize": FETCHES_QUEUED_MAX,
        "worker_redirect_stdouts": False, "logging_config": _logging_config(),
        "consumer_group_instance_id": instance_id or None,
        "TableManager": QuickTables, "Worker": QuickEnd, "PartitionAssignor": Assignor,
    }  # fmt: skip


def _broker_options(settings: Settings) -> dict[str, Any]:
    session_s = settings.broker_session_timeout_s
    return {
        "broker": transport.broker_url(settings),
        "broker_credentials": _credentials(settings),
        "broker_session_timeout": float(session_s),
        "broker_heartbeat_interval": session_s / 6,
        "broker_max_poll_records": settings.fetch_records_max,
        "broker_max_poll_interval": 300.0,
        "broker_rebalance_timeout": REBALANCE_S,
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


class QuickTables(TableManager):  # type: ignore[misc]
    """Faust waits a second for tables that are declared late; ours all stand, and a restart need not wait."""

    async def on_start(self) -> None:
        """Begin with the tables that there are."""
        await self._update_channels()
        await self.recovery.start()


class QuickEnd(faust.Worker):  # type: ignore[misc]
    """Faust sleeps a second more when everything has ended, and prints every end as a traceback."""

    async def _sentinel_task(self) -> None:
        await asyncio.sleep(0)

    def _shutdown_loop(self) -> None:
        try:
            super()._shutdown_loop()
        except BaseException as error:
            told = error if isinstance(error, MtsError) else getattr(getattr(self, "app", None), "told", None)
            if told is None:
                raise
            exit_with(told)  # what broke on the way out is not why it ends


class Assignor(PartitionAssignor):  # type: ignore[misc]
    """Faust knows a member by its web address; one with a name of its own comes back under it on any port."""

    @property
    def _url(self) -> URL:
        name = self.app.conf.consumer_group_instance_id
        return URL.build(scheme="http", host=name) if name else super()._url
