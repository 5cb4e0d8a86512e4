"""What the sink's tests share: clean topics, the sink as a process, and what stands in ClickHouse."""

import json
import os
import secrets
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from mts_stream.local.ports import free_ports
from mts_stream.settings import Settings, load_settings
from mts_stream.wire import topics
from mts_stream.wire.kafka import Reader, client_config, committed_offsets, create_topics
from tests.integration.pages import get_page
from tests.sinks.messages import Sent

DEADLINE_S = 60.0
STOP_S = 10.0


def until(what: str, check: Callable[[], Any], deadline_s: float = DEADLINE_S) -> Any:
    """Poll until `check` gives something true; fails with `what` after the deadline."""
    ends = time.monotonic() + deadline_s
    while not (result := check()):
        assert time.monotonic() < ends, f"{what}: not within {deadline_s:.0f} s"
        time.sleep(0.05)
    return result


def clean(settings: Settings) -> None:
    """New, empty topics, and no committed offsets."""
    admin = AdminClient(client_config(settings))
    until("the old group is gone", lambda: _without_group(admin))
    ours = {topic.name for topic in topics.TOPICS}
    standing = ours & set(admin.list_topics(timeout=10).topics)
    for future in (admin.delete_topics(list(standing)) if standing else {}).values():
        future.result(20)
    until("the old topics are gone", lambda: not ours & set(admin.list_topics(timeout=10).topics))
    create_topics(settings)


def clean_settings(kafka: str, clickhouse: str) -> Settings:
    """Empty topics, and a database of the test's own."""
    settings = load_settings(
        kafka_bootstrap_servers=kafka, clickhouse_url=clickhouse, partitions=4,
        clickhouse_database=f"t_{secrets.token_hex(6)}",
    )  # fmt: skip
    clean(settings)
    return settings


def _without_group(admin: AdminClient) -> bool:
    """Delete the sink's group; not possible while a killed member is still counted in, or the broker just started."""
    (future,) = admin.delete_consumer_groups([topics.SINK_GROUP]).values()
    try:
        future.result(20)
    except KafkaException as error:
        return bool(error.args[0].name() == "GROUP_ID_NOT_FOUND")
    return True


def caught_up(settings: Settings) -> bool:
    """Whether the sink has committed everything on the stored topics."""
    with Reader(settings, topics.STORED_TOPICS) as reader:
        ends = {key: end for key, end in reader.end_offsets().items() if end}
    found = {topic: committed_offsets(settings, topics.SINK_GROUP, topic) for topic in topics.STORED_TOPICS}
    return all(found[topic].get(partition) == end for (topic, partition), end in ends.items())


def dead_letters(settings: Settings) -> list[dict[str, Any]]:
    """Everything on mts.dlq."""
    with Reader(settings, [topics.DEAD_LETTERS]) as reader:
        return [json.loads(record.value or b"") for record in reader.read_to_end()]


def rows(settings: Settings, sql: str) -> list[list[Any]]:
    """The answer of ClickHouse; none while it is down or the tables do not stand yet."""
    asked = {"database": settings.clickhouse_database, "output_format_json_quote_64bit_integers": "0"}
    request = urllib.request.Request(f"{settings.clickhouse_url}/?{urlencode(asked)}", sql.encode())
    request.add_header("X-ClickHouse-Format", "JSONCompact")
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            body = answer.read()
    except OSError:
        return []
    found: list[list[Any]] = json.loads(body)["data"] if body.startswith(b"{") else []
    return found


def stored(settings: Settings) -> dict[str, int]:
    """Rows by primary table, each natural key once."""
    found = rows(
        settings,
        "SELECT (SELECT count() FROM signals FINAL), (SELECT count() FROM spreads_1s FINAL), "
        "(SELECT count() FROM funding_rates FINAL), (SELECT count() FROM feed_quality FINAL)",
    )
    return dict(zip(topics_in_order, found[0], strict=True)) if found else {}


topics_in_order = (topics.SIGNALS, topics.SPREADS, topics.FUNDING, topics.QUALITY)


def distinct(messages: Iterable[Sent]) -> dict[str, int]:
    """How many results these are, by topic and natural key."""
    keys = {
        topics.SIGNALS: ("id",),
        topics.SPREADS: ("pair", "direction", "window_start_ns"),
        topics.FUNDING: ("message_id",),
        topics.QUALITY: ("type", "subject", "window_start_ns"),
    }
    seen: dict[str, set[Any]] = {topic: set() for topic in topics_in_order}
    for topic, _, value in messages:
        message = json.loads(value)
        seen[topic].add(tuple(message[key] for key in keys[topic]))
    return {topic: len(found) for topic, found in seen.items()}


class SinkProcess:
    """`faust -A mts_stream.sink worker` on a port of its own, with its log in a file."""

    def __init__(self, settings: Settings, folder: Path, **variables: str) -> None:
        self.port = free_ports(1)[0]
        self.log_path = folder / f"sink-{self.port}.log"
        environment = os.environ | {
            "KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers,
            "CLICKHOUSE_URL": settings.clickhouse_url,
            "CLICKHOUSE_DATABASE": settings.clickhouse_database,
            "PARTITIONS": str(settings.partitions),
            "SINK_DATA_DIR": str(folder / "data"),
            "SINK_RETRY_MAX_S": "0.5",
            "BROKER_SESSION_TIMEOUT_S": "6",
            **variables,
        }
        command = [str(Path(sys.executable).with_name("faust")), "-A", "mts_stream.sink", "worker", "-l", "info"]
        with self.log_path.open("w") as log:
            self.process = subprocess.Popen(
                [*command, "--web-port", str(self.port)], env=environment, cwd=folder, stdout=log, stderr=log
            )

    def __enter__(self) -> "SinkProcess":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.stop()  # not kill: the group would wait for it

    def log(self) -> str:
        """What it has written."""
        return self.log_path.read_text()

    def get(self, path: str) -> tuple[int, str]:
        """Status and body of a page; 0 while nobody listens."""
        return get_page(self.port, path)

    def health(self) -> tuple[int, str]:
        """The status of /health and its reason."""
        status, body = self.get("/health")
        return status, str(json.loads(body)["reason"]) if body.startswith("{") else body

    def kill(self) -> None:
        """As the kernel or a person in a hurry does."""
        self.process.kill()
        self.process.wait(STOP_S)

    def stop(self) -> tuple[int, float]:
        """SIGTERM: the exit code, and how long it took."""
        started = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(3 * STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the sink does not end:\n{self.log()[-3000:]}") from None
        return code, time.monotonic() - started
