"""Topics for the tests of the page on a broker that other tests may use too."""

import contextlib

from mts_stream.errors import SettingsError
from mts_stream.settings import Settings
from mts_stream.wire.kafka import create_topics, send_all
from tests.web import results


def ensure_topics(settings: Settings) -> None:
    """Create what is missing; topics that others made with their own number of partitions will do."""
    with contextlib.suppress(SettingsError):
        create_topics(settings)


def send(settings: Settings, messages: list[results.Message]) -> None:
    """Send messages and wait until Kafka has them."""
    send_all(settings, results.records(messages))
