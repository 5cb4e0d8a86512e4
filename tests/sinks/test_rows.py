"""Each message becomes exactly one row of its primary table, with numbers rounded half-even to the column's places."""

import gzip
import json
from collections import Counter
from decimal import Context, Decimal
from typing import Any

import pytest

from mts_stream.domain.engine import PartitionEngine
from mts_stream.errors import BadRecordError
from mts_stream.settings import load_settings
from mts_stream.sinks.rows import _AMOUNTS, _QUALITY_DECIMALS, COLUMNS, PRIMARY, Row, rows_of
from mts_stream.sinks.scaled import BPS_PLACES, FEE_PLACES, MONEY_PLACES
from mts_stream.wire import topics
from mts_stream.wire.codec import decode_record, encode_message, topic_of
from mts_stream.wire.results import BookQuality, ConnectionQuality
from tests.sinks import messages

EXACT = Context(prec=60)


def named(row: Row) -> dict[str, Any]:
    """A row by its columns, decimals as numbers again."""
    values = dict(zip(COLUMNS[row.table], row.values, strict=True))
    return {name: value if value is None else _number(name, value) for name, value in values.items()}


def _number(name: str, value: Any) -> Any:
    """Of a column of decimals the number that its integer stands for."""
    if name.endswith("fee_bps"):
        return Decimal(value).scaleb(-FEE_PLACES)
    if "_bps" in name or name in _QUALITY_DECIMALS:
        return Decimal(value).scaleb(-BPS_PLACES)
    is_money = name in _AMOUNTS or name.endswith(("price", "rate", "_usd", "size_at_peak"))
    return Decimal(value).scaleb(-MONEY_PLACES, EXACT) if is_money else value


@pytest.mark.parametrize(
    ("topic", "message"),
    [
        *((topics.SIGNALS, message) for message in messages.signals()),
        (topics.SPREADS, messages.windows()[0]),
        (topics.FUNDING, messages.funding_change()),
        (topics.QUALITY, messages.book_quality()),
        (topics.QUALITY, messages.connection_quality()),
    ],
    ids=lambda value: value if isinstance(value, str) else value.get("type", ""),
)
def test_one_message_is_one_row_of_its_primary_table(topic: str, message: dict[str, Any]) -> None:
    """So that results on topics and rows stored can be counted against each other; each row says where it came from."""
    rows = rows_of(topic, messages.delivery(message, offset=42, partition=7))

    assert [row.table for row in rows].count(PRIMARY[topic]) == 1
    for row in rows:
        assert len(row.values) == len(COLUMNS[row.table])
        assert row.values[-2:] == (7, 42)


def test_every_message_of_the_captures_has_its_rows() -> None:
    """Arbitrage messages are a signal, an event and the opportunity's state; windows are one row."""
    for message in messages.arbitrage():
        tables = [row.table for row in rows_of(topics.SIGNALS, messages.delivery(message))]
        assert tables == ["signals", "opportunity_events", "opportunities"]
    for row in messages.windows("random-a"):
        assert [row.table for row in rows_of(topics.SPREADS, messages.delivery(row))] == ["spreads_1s"]


def test_an_event_keeps_its_numbers() -> None:
    """Columns hold what the message says, legs by side."""
    message = messages.of_type("arbitrage.closed")
    row = named(rows_of(topics.SIGNALS, messages.delivery(message))[1])

    assert row["net_usd"] == Decimal(message["net_usd"])
    assert row["sell_average_price"] == Decimal(message["legs"][1]["average_price"])
    assert row["buy_message_id"] == message["legs"][0]["message_id"]
    assert (row["reason"], row["survived_ms"]) == (message["reason"], message["survived_ms"])


def test_an_opportunity_knows_when_it_opened_unless_its_last_event_is_an_update() -> None:
    """`opened` is the time itself, `closed` its time less the duration; an update does not say."""
    states = {}
    for kind in ("opened", "updated", "closed"):
        message = messages.of_type(f"arbitrage.{kind}")
        row = named(rows_of(topics.SIGNALS, messages.delivery(message))[2])
        states[kind] = (row["state"], row["opened_time"])
    closed = messages.of_type("arbitrage.closed")

    assert states["opened"] == ("open", messages.of_type("arbitrage.opened")["event_time_ns"])
    assert states["updated"] == ("open", None)
    assert states["closed"] == ("closed", closed["event_time_ns"] - closed["duration_ns"])


def test_the_signal_row_keeps_the_message_to_the_byte() -> None:
    """The exact decimal strings can be read back."""
    delivery = messages.delivery(messages.of_type("arbitrage.opened"))

    assert named(rows_of(topics.SIGNALS, delivery)[0])["message"] == delivery.value


@pytest.mark.parametrize("message", [messages.book_quality(), messages.connection_quality()])
def test_all_that_quality_says_is_stored(message: dict[str, Any]) -> None:
    """Every field of the model has its column, decimals as numbers; what the other type has is null or empty."""
    model = {"book": BookQuality, "connection": ConnectionQuality}[message["type"]]
    row = named(rows_of(topics.QUALITY, messages.delivery(message))[0])
    columns = {"gen": "generation", "window_start_ns": "window_start"}
    told = {columns.get(name, name): value for name, value in message.items()}

    assert message.keys() == model.model_fields.keys()
    for name, value in told.items():
        is_decimal = isinstance(value, str) and name.endswith(("_ms", "_percent"))
        assert row[name] == (Decimal(value) if is_decimal else value), name
    assert not any(row[name] for name in row.keys() - told.keys() - {"source_partition", "source_offset"})


def test_quality_of_an_older_release_is_stored() -> None:
    """A topic keeps its messages over an upgrade: what they did not say is null, or an empty map."""
    new = ("gaps", "books", "latency_p90_ms", "clock_offset_ms", "frames_by_channel")
    message = {name: value for name, value in messages.connection_quality().items() if name not in new}
    row = named(rows_of(topics.QUALITY, messages.delivery(message))[0])

    assert [row[name] for name in new] == [None, None, None, None, {}]


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("0.0000000000000000005", "0"),
        ("0.0000000000000000015", "0.000000000000000002"),
        ("0.0000000000000000025", "0.000000000000000002"),
        ("-0.0000000000000000015", "-0.000000000000000002"),
        ("99999999999999999999.999999999999999999", "99999999999999999999.999999999999999999"),
    ],
)
def test_money_is_rounded_half_even_to_eighteen_places(text: str, stored: str) -> None:
    """Decimal(38, 18), the tie to the even neighbour."""
    message = messages.of_type("arbitrage.opened") | {"net_usd": text}
    rows = rows_of(topics.SIGNALS, messages.delivery(message))

    assert named(rows[1])["net_usd"] == Decimal(stored)


@pytest.mark.parametrize("text", ["100000000000000000000", "9" * 39, "0." + "1" * 300])
def test_a_number_without_room_is_refused_by_name(text: str) -> None:
    """Twenty digits before the point are the most; more would be another number in the store."""
    message = messages.of_type("arbitrage.opened") | {"net_usd": text}

    with pytest.raises(BadRecordError) as refused:
        rows_of(topics.SIGNALS, messages.delivery(message))
    assert refused.value.reason == "out_of_range"


def test_a_message_that_fits_no_model_has_no_row() -> None:
    """It is refused as a whole, with what is wrong and where."""
    message = messages.windows()[0] | {"evaluations": -1}

    with pytest.raises(BadRecordError, match="evaluations"):
        rows_of(topics.SPREADS, messages.delivery(json.dumps(message).encode()))


@pytest.mark.parametrize("name", ["btc", "random-a", "random-b"])
def test_whatever_the_engine_says_has_its_rows(name: str) -> None:
    """Through the codec, as on the topics: no result of a capture is refused."""
    engine = PartitionEngine(load_settings(min_notional=20, arbitrage_min_profit_usd=0).economics())
    counts: Counter[str] = Counter()
    with gzip.open(messages.CAPTURES / f"{name}.jsonl.gz") as lines:
        for offset, line in enumerate(lines):
            try:
                results = engine.on_event(decode_record(line), offset).messages
            except BadRecordError:
                continue
            for message in results:
                value = encode_message(message, message.event_time_ns if hasattr(message, "emitted_ns") else None)
                counts[topic_of(message)] += len(rows_of(topic_of(message), messages.delivery(value, offset))) > 0
    assert set(counts) == {topics.SIGNALS, topics.SPREADS, topics.FUNDING, topics.QUALITY}
