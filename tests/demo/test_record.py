"""What a recording leaves on disk, from a real broker."""

import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mts_stream.errors import UsageError
from mts_stream.local.demo.drain import Span, behind, end_offsets, first_unhandled
from mts_stream.local.demo.record import one_line, prepare_directory, without_repeats, write_recording
from mts_stream.settings import ECONOMIC_VARIABLES, Settings, load_settings
from mts_stream.wire.kafka import create_topics, send_all
from mts_stream.wire.topics import DEAD_LETTERS, RAW, SIGNALS, SPREADS, WORKER_GROUP
from tests.demo.results import record, signal, window


@pytest.fixture(scope="module")
def cluster(make_broker: Callable[[Path], object], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A broker of this file's own: a recording reads whole topics."""
    import asyncio

    loop = asyncio.new_event_loop()
    broker = make_broker(tmp_path_factory.mktemp("kafka"))
    loop.run_until_complete(broker.start())  # type: ignore[attr-defined]
    settings = load_settings(kafka_bootstrap_servers=broker.address, partitions=2, max_feed_lag_ms=2000)  # type: ignore[attr-defined]
    create_topics(settings)
    letter = {"origin": "worker", "topic": RAW, "partition": 0, "offset": 1}
    send_all(
        settings,
        [
            *((RAW, key, b'{"n":%d}' % n) for n, key in enumerate([b"BTC-USDT", b"ETH-USDT", b"BTC-USDT"])),
            (RAW, b"BTC-USDT", b"two\nlines"),
            *((SPREADS, b"BTC-USDT", json.dumps(window(start)).encode()) for start in (0, 1, 0)),
            *((SIGNALS, b"BTC-USDT", json.dumps(signal("opened", 0)).encode()) for _ in range(2)),
            *((DEAD_LETTERS, None, json.dumps(letter).encode()) for _ in range(2)),
        ],
    )
    yield settings
    loop.run_until_complete(broker.stop())  # type: ignore[attr-defined]
    loop.close()


def test_a_recording_holds_records_results_and_settings(cluster: Settings, tmp_path: Path) -> None:
    """Raw values per partition in order, results once each, the economic settings in force as strings."""
    assert write_recording(cluster, tmp_path, lambda: False) == 4
    captures = [gzip.decompress(path.read_bytes()).splitlines() for path in tmp_path.glob("capture-*.jsonl.gz")]
    bitcoin = next(lines for lines in captures if b'{"n":0}' in lines)

    assert [line for line in bitcoin if line != b'{"n":1}'] == [b'{"n":0}', b'{"n":2}', b"two lines"]
    assert sum(map(len, captures)) == 4
    assert [len((tmp_path / name).read_text().splitlines()) for name in ("spreads.jsonl", "signals.jsonl")] == [2, 1]
    assert len((tmp_path / "dlq.jsonl").read_text().splitlines()) == 1
    settings = json.loads((tmp_path / "settings.json").read_text())
    assert tuple(settings) == ECONOMIC_VARIABLES
    assert settings["MAX_FEED_LAG_MS"] == "2000"


def test_a_recording_can_be_given_up(cluster: Settings, tmp_path: Path) -> None:
    """Somebody pressed Ctrl-C twice."""
    assert write_recording(cluster, tmp_path, lambda: True) == 1


def test_what_a_group_has_to_handle_lies_between_its_commits_and_the_ends(cluster: Settings) -> None:
    """A group that never committed begins at the first record."""
    begins, ends = first_unhandled(cluster, WORKER_GROUP, RAW), end_offsets(cluster, RAW)

    assert set(begins.values()) == {0}
    assert Span(begins, ends).records == 4
    assert (behind(ends, begins), behind(ends, ends), behind(ends, {})) == (4, 0, 4)


def test_a_directory_with_a_capture_is_refused(tmp_path: Path) -> None:
    """Two runs in one directory would be no capture of either."""
    prepare_directory(tmp_path / "new")
    (tmp_path / "new" / "capture-3.jsonl.gz").touch()

    with pytest.raises(UsageError, match="capture-3"):
        prepare_directory(tmp_path / "new")


def test_a_directory_that_cannot_be_is_refused(tmp_path: Path) -> None:
    """Before the demo has run, not after."""
    (tmp_path / "file").touch()

    with pytest.raises(UsageError, match="choose a directory"):
        prepare_directory(tmp_path / "file" / "below")


def test_repeats_are_dropped_and_the_order_is_the_partitions() -> None:
    """The first of each natural key stays; what cannot be read has its place for a key."""
    letter = {"origin": "producer", "topic": None, "partition": None, "offset": None, "payload_base64": "YQ=="}
    kept = [
        record(SPREADS, window(5), partition=0, offset=1),
        record(SPREADS, b"{", partition=0, offset=2),
        record(SPREADS, window(1), partition=1, offset=0),
        record(DEAD_LETTERS, letter, partition=1, offset=5),
        record(DEAD_LETTERS, letter | {"payload_base64": "Yg=="}, partition=1, offset=6),
    ]
    repeats = [record(SPREADS, window(5), partition=0, offset=9), record(DEAD_LETTERS, letter, partition=1, offset=7)]

    assert without_repeats([*reversed(kept), *repeats]) == kept


def test_a_value_is_one_line_whatever_it_holds() -> None:
    """No value at all is an empty line."""
    assert (one_line(b"a\r\nb"), one_line(None)) == (b"a  b\n", b"\n")
