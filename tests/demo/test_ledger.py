"""Results are counted once each, by their natural keys."""

from mts_stream.local.demo.ledger import ResultLedger
from mts_stream.wire.topics import DEAD_LETTERS, FUNDING, QUALITY, SIGNALS, SPREADS
from tests.demo.results import record, signal_record, window_record


def test_a_repeated_message_counts_once() -> None:
    """At-least-once delivery sends the same key again."""
    ledger = ResultLedger()
    new = ledger.on_records([window_record(0), window_record(0), window_record(1)])

    assert (ledger.results, ledger.repeats, len(new)) == (2, 1, 2)


def test_every_topic_has_its_own_key() -> None:
    """Spreads by pair, direction and window; signals by id; funding by message; quality by type, subject, window."""
    ledger = ResultLedger()
    quality = {"type": "book", "subject": "binance/perp/BTCUSDT", "window_start_ns": 0}
    ledger.on_records(
        [
            window_record(0),
            signal_record("opened"),
            record(FUNDING, {"message_id": "a"}),
            record(FUNDING, {"message_id": "b"}),
            record(QUALITY, quality),
            record(QUALITY, quality | {"type": "connection"}),
        ]
    )

    assert {topic: len(keys) for topic, keys in ledger.keys.items()} == {SPREADS: 1, SIGNALS: 1, FUNDING: 2, QUALITY: 2}


def test_an_unreadable_result_counts_by_its_place() -> None:
    """It is on the topic, so the sink has to account for it."""
    ledger = ResultLedger()

    assert ledger.on_records([record(SIGNALS, b"{"), record(SIGNALS, b"[]"), record(SIGNALS, b"{}")]) == []
    assert ledger.results == 3


def test_refusals_of_the_sink_are_counted_by_what_they_refuse() -> None:
    """A refusal that is said twice is one; the worker's dead letters are none."""
    letter = {"origin": "sink", "topic": SIGNALS, "partition": 1, "offset": 5}
    ledger = ResultLedger()
    ledger.on_records([record(DEAD_LETTERS, letter), record(DEAD_LETTERS, letter)])
    ledger.on_records([record(DEAD_LETTERS, letter | {"origin": "worker", "topic": "mts.raw"})])

    assert (len(ledger.refused), ledger.results) == (1, 0)


def test_opened_opportunities_are_kept_for_the_truth() -> None:
    """Updates and closings are not judged."""
    ledger = ResultLedger()
    ledger.on_records([signal_record("opened", 0, 7), signal_record("updated", 1), signal_record("closed", 2)])

    assert [(one.pair, one.event_time_ns) for one in ledger.opened] == [("BTC-USDT", 7)]


def test_the_end_is_reached_when_every_partition_is() -> None:
    """A partition that was never read from has to be empty."""
    ledger = ResultLedger()
    ledger.on_records([record(SPREADS, b"", partition=0, offset=4)])

    assert ledger.reached({(SPREADS, 0): 5, (SPREADS, 1): 0})
    assert not ledger.reached({(SPREADS, 0): 6})
    assert not ledger.reached({(SPREADS, 1): 1})
