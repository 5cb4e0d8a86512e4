"""The comparison that chaos runs end with sees every kind of fault."""

import json

from mts_stream.settings import Settings
from mts_stream.wire import topics
from mts_stream.wire.kafka import Record, send_all
from tests.chaos.store_rows import compare, store_calmly
from tests.clickhouse.asking import ask
from tests.integration.sink_parts import clean_settings
from tests.sinks import messages
from tests.sinks.messages import Sent

DROP = "ALTER TABLE signals DELETE WHERE type = 'trading.signal' SETTINGS mutations_sync = 2"


def store(settings: Settings, results: list[Sent], first: int = 0) -> None:
    """Rows of results, as they are, without a sink."""
    records = [Record(topic, 0, n, key, value, 0) for n, (topic, key, value) in enumerate(results, start=first)]
    store_calmly(settings, records)


def test_the_comparison_sees_what_is_lost_doubled_or_changed(kafka: str, clickhouse: str) -> None:
    """A row that lacks, one of no result, one with another value, and a dead letter that never came; else nothing."""
    settings = clean_settings(kafka, clickhouse)
    changes = [messages.sent(topics.FUNDING, messages.funding_change(number)) for number in range(3)]
    results = [*changes[:2], *(messages.sent(topics.SIGNALS, each) for each in messages.signals())]
    poison = messages.sent(topics.FUNDING, messages.funding_change() | {"rate": 1})
    refused = {poison[2]: "bad_message"}
    send_all(settings, [*results, *results[:3], poison])
    store(settings, results)
    seen = compare(settings, refused)

    assert (seen.sent, seen.repeats, seen.stored, seen.letters) == (len(results), 3, len(results), 0)
    assert [each.split(" (")[0] for each in seen.lost] == ["dead letter"]
    assert (seen.doubled, seen.wrong) == ([], [])

    another = json.loads(changes[1][2]) | {"rate": "0.5"}
    store(settings, [messages.sent(topics.FUNDING, another), changes[2]], first=100)
    ask(settings.clickhouse_url, DROP, settings.clickhouse_database)
    worse = compare(settings, refused)
    assert [each.split(" (")[0] for each in worse.lost] == ["dead letter", "signals"]
    assert [each.split(" (")[0] for each in worse.doubled] == ["funding_rates"]
    assert [change.count("'0.5'") for change in worse.wrong] == [1]
