"""The files that configure one Apache Kafka node on this machine: `server.properties` and `log4j2.properties`."""

from __future__ import annotations

import base64
import uuid
from pathlib import Path

from mts_stream.local.ports import HOST

SESSION_TIMEOUT_MS, HEARTBEAT_INTERVAL_MS = 4000, 500
MESSAGE_BYTES_MAX = 4 * 1024 * 1024 + 64 * 1024  # a message of 4 MiB and the overhead of its batch
CLEANER_BUFFER_BYTES = 8 * 1024 * 1024  # Kafka's default of 128 MiB would be a quarter of the heap


def server_properties(data: Path, port: int, controller_port: int) -> str:
    """One KRaft node that is broker and controller, on loopback, with one replica of everything."""
    lines = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@{HOST}:{controller_port}",
        "listeners": f"PLAINTEXT://{HOST}:{port},CONTROLLER://{HOST}:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://{HOST}:{port}",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "log.dirs": escaped(str(data)),
        "auto.create.topics.enable": "false",
        "default.replication.factor": 1,
        "offsets.topic.num.partitions": 1,
        "offsets.topic.replication.factor": 1,
        "transaction.state.log.num.partitions": 1,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        # A first consumer would wait 3 s for others to join.
        "group.initial.rebalance.delay.ms": 0,
        "message.max.bytes": MESSAGE_BYTES_MAX,
        "replica.fetch.max.bytes": MESSAGE_BYTES_MAX,
        "log.cleaner.dedupe.buffer.size": CLEANER_BUFFER_BYTES,
        # After kill -9 the controller refuses the same node until the old session is over (9 s by default).
        "broker.session.timeout.ms": SESSION_TIMEOUT_MS,
        "broker.heartbeat.interval.ms": HEARTBEAT_INTERVAL_MS,
        "num.network.threads": 2,
        "num.io.threads": 2,
        "background.threads": 2,
    }
    return "".join(f"{key}={value}\n" for key, value in lines.items())


def log4j_properties(log: Path) -> str:
    """Logs of level INFO and above to one file, which is turned over at 16 MB, twice."""
    lines = {
        "status": "error",
        "appender.file.type": "RollingFile",
        "appender.file.name": "file",
        "appender.file.fileName": escaped(str(log)),
        "appender.file.filePattern": f"{escaped(str(log))}.%i",
        "appender.file.layout.type": "PatternLayout",
        "appender.file.layout.pattern": "%d %p %c{1}: %m%n",
        "appender.file.policies.type": "Policies",
        "appender.file.policies.size.type": "SizeBasedTriggeringPolicy",
        "appender.file.policies.size.size": "16MB",
        "appender.file.strategy.type": "DefaultRolloverStrategy",
        "appender.file.strategy.max": 2,
        "rootLogger.level": "info",
        "rootLogger.appenderRef.file.ref": "file",
    }
    return "".join(f"{key}={value}\n" for key, value in lines.items())


def meta_properties(cluster_id: str, directory_id: str) -> str:
    """The file that names the cluster, the node and the directory, as Kafka's format tool writes it."""
    return f"cluster.id={cluster_id}\ndirectory.id={directory_id}\nnode.id=1\nversion=1\n"


def new_id() -> str:
    """An id in Kafka's form, 22 characters; none begins with a dash, which its own tool cannot read."""
    while True:
        text = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not text.startswith("-"):
            return text


def escaped(value: str) -> str:
    """A value as Java's properties files want it."""
    return value.replace("\\", "\\\\")
