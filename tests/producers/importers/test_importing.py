"""`python -m producers import`: what is kept, what is dropped and counted, and what is refused in one line."""

import gzip
import re
import zipfile
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner

from mts_stream.domain.market_data import AuditRecord, ConnectionStatus, DepthUpdate, FundingUpdate, RegistryUpdate
from mts_stream.errors import CaptureError, UsageError
from mts_stream.replay import read_lines
from mts_stream.wire.codec import decode_record
from mts_stream.wire.envelope import decode_envelope
from producers.importers import FORMATS
from producers.importers.importing import ImportOptions, check_output, import_capture
from producers.importers.source import finest_step, pair_of
from producers.record_commands import import_command
from tests.producers.importers.conftest import FILES, Imported, last_line, states

BEGIN_NS = 1_723_161_255_000_000_000
S = 1_000_000_000
Run = Callable[..., Any]


def source_lines(name: str) -> list[bytes]:
    """The lines of a recorded hftbacktest file."""
    return gzip.decompress(FILES[name][1].read_bytes()).splitlines()


def at(seconds: float, message: object) -> bytes:
    """A line of hftbacktest's format."""
    return b"%d %b" % (BEGIN_NS + int(seconds * S), orjson.dumps(message))


def diff(first: int, last: int, bids: Sequence[Sequence[str]] = (), asks: Sequence[Sequence[str]] = ()) -> Any:
    """A combined frame of spot depth."""
    data = {"e": "depthUpdate", "E": 1, "s": "ABCUSDT", "U": first, "u": last, "b": bids, "a": asks}
    return {"stream": "abcusdt@depth@100ms", "data": data}


SNAPSHOT = {"lastUpdateId": 10, "bids": [["99.5", "1.25"], ["99", "1"]], "asks": [["100", "2"], ["101", "1"]]}


def imported_lines(tmp_path: Path, lines: Sequence[bytes], **more: Any) -> Imported:
    """A capture made of lines written for the test."""
    path, out = tmp_path / "source.txt", tmp_path / "out.jsonl"
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return Imported(out, import_capture(FORMATS["hftbacktest"], path, out, ImportOptions(**more)))


@pytest.mark.parametrize("name", ["perp", "spot"])
def test_every_line_is_counted_as_taken_or_dropped(imported: dict[str, Imported], name: str) -> None:
    """The counts equal those of the file, kind by kind."""
    kinds: Counter[str] = Counter()
    for line in source_lines(name):
        stream = orjson.loads(line.partition(b" ")[2]).get("stream", "@snapshot")
        kinds[stream.split("@")[1]] += 1
    counts = imported[name].counts

    assert counts["lines"] == sum(kinds.values()) == sum([*counts["taken"].values(), *counts["dropped"].values()])
    assert counts["dropped"] == {"bookTicker": kinds["bookTicker"], "trade": kinds["trade"]}
    assert counts["taken"] == {"depth": kinds["depth"], "snapshot": 1}
    assert (counts["resyncs"], counts["snapshots_unfit"], counts["times_raised"], counts["broken"]) == (0, 0, 0, None)


def test_markets_symbols_and_steps_are_seen_from_the_files(imported: dict[str, Imported]) -> None:
    """Nobody has to say what a file holds."""
    seen = {name: (c.counts["market"], c.counts["pair"], c.counts["tick_size"], c.counts["lot_size"])
            for name, c in imported.items()}  # fmt: skip
    assert seen == {
        "perp": ("perp", "BTC-USDT", "0.1", "0.001"),
        "spot": ("spot", "BTC-USDT", "0.01", "0.00001"),
        "bybit": ("perp", "XRP-USDT", "0.0001", "1"),
    }


@pytest.mark.parametrize("name", ["perp", "spot"])
def test_frames_and_times_are_the_files_own(imported: dict[str, Imported], name: str) -> None:
    """The exchange's bytes untouched, the receive times as recorded."""
    ours = [
        (envelope.received_ns, bytes(envelope.frame))
        for envelope in map(decode_envelope, imported[name].lines)
        if envelope.kind in ("frame", "snapshot")
    ]
    theirs = []
    for line in source_lines(name):
        time, _, body = line.partition(b" ")
        if b"@depth@" in body[:60]:
            theirs.append((int(time), body[body.index(b'"data":') + 7 : -1]))
        elif b'"stream"' not in body[:20]:
            theirs.append((int(time), body))
    assert ours == theirs


@pytest.mark.parametrize("name", ["perp", "spot", "bybit"])
def test_a_capture_begins_with_its_registry_and_its_connection(imported: dict[str, Imported], name: str) -> None:
    """Registry, `up`, then `alive` every second; times and numbers never go back."""
    events = imported[name].events
    statuses = [event for event in events if isinstance(event, ConnectionStatus)]
    times = [event.origin.received_ns for event in events]
    numbers = [event.origin.seq for event in events if not isinstance(event, RegistryUpdate)]

    assert isinstance(events[0], RegistryUpdate)
    assert events[1] is statuses[0] and statuses[0].state == "up"
    said = [event.origin.received_ns for event in statuses]
    assert {after - before for before, after in pairwise(said)} == {S}
    assert times == sorted(times)
    assert numbers == list(range(1, len(numbers) + 1))


def test_a_snapshot_is_merged_with_the_frames_around_it(tmp_path: Path) -> None:
    """Old frames are dropped, later ones merged: the keyframe has the last frame's sequence and the known range."""
    lines = [
        at(0.0, diff(8, 9, [["99", "7"]])),
        at(0.1, diff(10, 12, [["99", "3"]], [["100", "0"]])),
        at(0.2, SNAPSHOT),
        at(0.3, diff(13, 13, [["98", "1"]])),
    ]
    capture = imported_lines(tmp_path, lines)
    keyframe = next(e for e in map(decode_envelope, capture.lines) if e.kind == "keyframe")

    assert orjson.loads(bytes(keyframe.frame)) == {
        "lastUpdateId": 12, "bids": [["99.5", "1.25"], ["99", "3"]], "asks": [["101", "1"]],
    }  # fmt: skip
    assert keyframe.range == ("99", "101")
    assert capture.counts["frames_without_book"] == 2
    assert states(capture.events)[-1] == {"ABC-USDT/binance:spot": "valid"}


@pytest.mark.parametrize(("name", "lost"), [("perp", 20), ("perp", 150), ("spot", 20), ("spot", 150)])
def test_a_line_missing_in_the_file_is_a_gap_and_counted(name: str, lost: int, tmp_path: Path) -> None:
    """There is no second snapshot: the book stays invalid, for the importer and for the engine."""
    lines = source_lines(name)[:3000]
    depth = [i for i, line in enumerate(lines) if b"@depth@" in line[:60]]
    del lines[depth[lost]]
    capture = imported_lines(tmp_path, lines)

    assert capture.counts["resyncs"] == 1
    assert capture.counts["frames_without_book"] > len(depth) - lost - 10
    shown = [state[f"BTC-USDT/binance:{name}"] for state in states(capture.events)]
    assert shown[-1] == "gap" and Counter(shown)["valid"] > 5


def test_a_snapshot_that_does_not_join_gives_no_book(tmp_path: Path) -> None:
    """Frames are missing between the snapshot and the next frame."""
    capture = imported_lines(tmp_path, [at(0, diff(20, 21)), at(1, SNAPSHOT), at(2, diff(22, 23))])

    assert capture.counts["snapshots_unfit"] == 1
    assert capture.counts["by_kind"].get("keyframe") is None
    assert set(states(capture.events)[-1].values()) == {"empty"}


def test_a_silence_in_the_file_stays_a_silence(tmp_path: Path) -> None:
    """No `alive` is made up for a time in which nothing came."""
    lines = [at(0, diff(8, 9)), at(0.1, SNAPSHOT), at(0.2, diff(10, 11)), at(60, diff(12, 12)), at(61, diff(13, 13))]
    capture = imported_lines(tmp_path, lines)
    alive = [e.origin.received_ns - BEGIN_NS for e in capture.events if isinstance(e, ConnectionStatus)]

    assert [ns // S for ns in alive if ns < 60 * S] == [0, 1, 2]
    assert any(ns >= 60 * S for ns in alive)


def test_what_cannot_be_used_is_counted_by_its_kind(tmp_path: Path) -> None:
    """Trades, other symbols, strange lines; times that go back are raised."""
    other = diff(1, 2)
    other["data"]["s"] = "XYZUSDT"
    lines = [
        b"hello", at(0, diff(8, 9)), at(0.1, SNAPSHOT), b"", at(0.2, diff(10, 11)), at(0.15, diff(12, 12)),
        at(0.3, {"stream": "abcusdt@trade", "data": {}}), at(0.3, other), at(0.4, {"code": -1}),
        at(0.4, {"stream": "abcusdt@depth@100ms", "data": {"s": 1}}), b"123 {}", at(0.5, {"stream": "!x", "data": {}}),
    ]  # fmt: skip
    capture = imported_lines(tmp_path, lines)

    assert capture.counts["dropped"] == {
        "!x": 1, "no_line_of_this_format": 2, "other_symbol": 1, "trade": 1, "unreadable_frame": 1,
        "unreadable_snapshot": 1,
    }  # fmt: skip
    assert capture.counts["times_raised"] == 1
    assert capture.counts["lines"] == 11
    assert set(states(capture.events)[-1].values()) == {"valid"}


def test_funding_of_usd_m_is_kept(tmp_path: Path) -> None:
    """markPrice frames become funding records."""
    frame = diff(8, 9)
    frame["data"]["pu"] = 7
    data = {"e": "markPriceUpdate", "E": 1, "s": "ABCUSDT", "r": "0.0001", "T": 5}
    mark = {"stream": "abcusdt@markPrice@1s", "data": data}
    capture = imported_lines(tmp_path, [at(0, frame), at(0.1, SNAPSHOT), at(0.2, mark)])
    funding = [event for event in capture.events if isinstance(event, FundingUpdate)]

    assert [event.rate for event in funding] == ["0.0001"]
    assert capture.counts["taken"] == {"depth": 1, "funding": 1, "snapshot": 1}


def test_levels_that_cannot_be_end_the_book(tmp_path: Path) -> None:
    """The frame is kept as it came; what follows it has no book."""
    capture = imported_lines(
        tmp_path, [at(0, diff(8, 9)), at(0.1, SNAPSHOT), at(0.2, diff(10, 11, [["-1", "x"]])), at(4, diff(12, 12))]
    )
    assert capture.counts["resyncs"] == 1


def test_a_market_that_leaves_the_known_range_is_told(tmp_path: Path) -> None:
    """One snapshot knows a part of the book: how long the market stood outside is counted, and its return is seen."""
    away = diff(10, 11, asks=[["100", "0"], ["101", "0"], ["103", "1"]])
    lines = [at(0, diff(8, 9)), at(0.1, SNAPSHOT), at(0.5, away)]
    lines += [at(0.6 + n, diff(12 + n, 12 + n)) for n in range(3)]
    lines += [at(4, diff(15, 15, asks=[["100.95", "1"]])), at(5.5, diff(16, 16))]
    capture = imported_lines(tmp_path, lines)
    shown = [state["ABC-USDT/binance:spot"] for state in states(capture.events)]

    assert capture.counts["range_used_up_s"] == 4 and capture.counts["resyncs"] == 0
    assert "exhausted" in shown
    assert shown[-1] == "valid"  # within a second of its return


def test_the_registry_says_what_the_options_say(imported: dict[str, Imported], command: Run, tmp_path: Path) -> None:
    """Pair, steps, minimum and funding interval by hand; the last line is JSON; gzip works as well."""
    out = tmp_path / "out.jsonl.gz"
    done = command(
        "import", "--format", "bybit-ob", FILES["bybit"][1], "--out", out, "--json", "--pair", "RIPPLE-USDT",
        "--market", "spot", "--tick-size", "0.01", "--lot-size", "5", "--min-notional", "7",
        "--funding-interval-hours", "4",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    counts = last_line(done.stdout)
    registry = decode_record(next(iter(read_lines(out, lambda _: None, pytest.fail))))

    assert (counts["event"], counts["market"], counts["by_kind"]["frame"]) == ("done", "spot", 50)
    assert isinstance(registry, RegistryUpdate)
    leg = registry.listing.legs[0]
    assert (registry.listing.pair, leg.market) == ("RIPPLE-USDT", "spot")
    assert [str(x) for x in (leg.tick_size, leg.lot_size, leg.min_notional)] == ["0.01", "5", "7"]
    assert leg.funding_interval_hours == 4


def test_a_file_that_breaks_off_gives_what_can_be_read(command: Run, tmp_path: Path) -> None:
    """A warning says where; the capture is whole."""
    path, out = tmp_path / "cut.gz", tmp_path / "out.jsonl.zst"
    path.write_bytes(FILES["spot"][1].read_bytes()[:100_000])
    done = command("import", "--format", "hftbacktest", path, "--out", out)

    assert done.returncode == 0
    assert "warning" in done.stderr and "broken after line" in done.stderr
    assert "bookTicker dropped" in done.stdout and "0 times out of step" in done.stdout
    records = [decode_record(line) for line in read_lines(out, lambda _: None, pytest.fail)]
    assert sum(isinstance(record, DepthUpdate) for record in records) > 200
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize(
    ("format_name", "content", "words"),
    [
        ("hftbacktest", b"what is this\n", "no depth stream in it; is it a file of format hftbacktest?"),
        ("hftbacktest", at(0, diff(1, 2)) + b"\n", "no REST snapshot of a book after it"),
        ("bybit-ob", b"{}\n", "no snapshot of a book in it"),
        ("bybit-ob", b"PK\x03\x04nonsense", "cannot be read"),
        ("hftbacktest", b"\x1f\x8bnonsense", "broken after line 0"),
    ],
)
def test_a_file_of_another_kind_is_refused(format_name: str, content: bytes, words: str, tmp_path: Path) -> None:
    """It says what was looked for; nothing is written."""
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(CaptureError, match=re.escape(words)):
        import_capture(FORMATS[format_name], path, tmp_path / "out.jsonl.zst", ImportOptions())
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("out", "words"),
    [
        ("out.txt", "a capture's name ends in .jsonl.zst, .jsonl.gz, .jsonl"),
        ("there.jsonl", "it exists already"),
        ("no/out.jsonl", "there is no folder"),
    ],
)
def test_an_output_that_cannot_be_is_refused(out: str, words: str, tmp_path: Path) -> None:
    """Wrong usage, before the file is read."""
    (tmp_path / "there.jsonl").write_text("mine")
    with pytest.raises(UsageError, match=words):
        check_output(tmp_path / out)


def test_wrong_numbers_are_refused(tmp_path: Path) -> None:
    """Exit 2, naming the option."""
    arguments = ["--format", "bybit-ob", FILES["bybit"][1], "--out", tmp_path / "o.jsonl", "--lot-size", "x"]
    done = CliRunner().invoke(import_command, [str(argument) for argument in arguments])
    assert done.exit_code == 2 and "--lot-size" in done.output and "no number above 0" in done.output


def test_an_error_is_one_line_and_code_1(command: Run, tmp_path: Path) -> None:
    """Nothing is written."""
    (tmp_path / "file").write_text("what is this")
    done = command("import", "--format", "hftbacktest", tmp_path / "file", "--out", tmp_path / "out.jsonl.zst")

    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1 and done.stderr.startswith("producers: ")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def _bybit(depth: int, symbol: str, kind: str = "snapshot", last: int = 1) -> bytes:
    data = {"s": symbol, "b": [["1", "2"]], "a": [["2", "2"]], "u": last, "seq": 1}
    topic = f"orderbook.{depth}.{symbol}"
    return orjson.dumps({"topic": topic, "type": kind, "ts": 1_700_000_000_000 + last, "data": data})


def test_a_bybit_file_of_another_depth_needs_its_market(tmp_path: Path) -> None:
    """ob200 was published for spot and linear: nothing is guessed."""
    path = tmp_path / "x.data"
    lines = [_bybit(200, "ABCUSDT"), b"noise", _bybit(200, "XYZUSDT"), _bybit(200, "ABCUSDT", "delta", 2)]
    path.write_bytes(b"\n".join(lines))
    with pytest.raises(CaptureError, match=r"orderbook\.200 does not say its market; add --market spot or perp"):
        import_capture(FORMATS["bybit-ob"], path, tmp_path / "o.jsonl", ImportOptions())

    counts = import_capture(FORMATS["bybit-ob"], path, tmp_path / "o.jsonl", ImportOptions(market="spot"))
    assert counts["dropped"] == {"no_order_book": 1, "other_symbol": 1} and counts["taken"] == {"depth": 2}


def test_a_symbol_that_does_not_say_its_pair_needs_it(tmp_path: Path) -> None:
    """The message names the option."""
    path = tmp_path / "x.data"
    path.write_bytes(_bybit(500, "ABCXXX"))
    with pytest.raises(CaptureError, match="ABCXXX does not say its pair; add --pair"):
        import_capture(FORMATS["bybit-ob"], path, tmp_path / "o.jsonl", ImportOptions())


def test_a_zip_of_several_files_is_refused(tmp_path: Path) -> None:
    """Which one is meant is not guessed."""
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a", "1")
        archive.writestr("b", "2")
    with pytest.raises(CaptureError, match="it holds 2 files"):
        import_capture(FORMATS["bybit-ob"], path, tmp_path / "o.jsonl", ImportOptions())


def test_a_first_book_without_numbers_is_refused(tmp_path: Path) -> None:
    """Before anything is written."""
    bad = {**SNAPSHOT, "bids": [["x", "1"]]}
    with pytest.raises(CaptureError, match="best bid 'x' is no number"):
        imported_lines(tmp_path, [at(0, diff(8, 9)), at(0.1, bad)])


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """With the option that helps."""
    with pytest.raises(CaptureError, match=r"cannot write to .*: No such file or directory; choose another --out"):
        import_capture(FORMATS["bybit-ob"], FILES["bybit"][1], tmp_path / "no" / "o.jsonl", ImportOptions())


def test_audit_snapshots_are_kept(imported: dict[str, Imported]) -> None:
    """The REST answer stands in the capture, as the producers keep it."""
    assert sum(isinstance(event, AuditRecord) for event in imported["spot"].events) == 1


def test_steps_and_pairs() -> None:
    """The finest decimal that occurs; multipliers are read from names."""
    assert str(finest_step(["1.250", "3.1", "7"])) == "0.01"
    assert str(finest_step([])) == "1"
    assert pair_of("binance", "1000PEPEUSDT") == ("PEPE-USDT", 1000)
    assert pair_of("bybit", "USDT") is None
