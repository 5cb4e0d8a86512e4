"""What can be read of a capture is given; what cannot is told where it stands."""

import gzip
from pathlib import Path

import pytest

from mts_stream.errors import UsageError
from mts_stream.replay import capture_lines, check_captures
from mts_stream.replay.captures import BROKEN, CHUNK_BYTES, LINE_BYTES_MAX, TOO_LONG, Unreadable, zstd
from mts_stream.wire.codec import PAYLOAD_BYTES_MAX

TEXT = b"".join(b'{"n":%d,"filled":"%s"}\n' % (n, b"x" * (n * 7919 % 90)) for n in range(20_000))
PACKED = {".jsonl": bytes, ".jsonl.gz": gzip.compress, ".jsonl.zst": zstd.compress}


def written(folder: Path, name: str, data: bytes) -> Path:
    """A file."""
    path = folder / name
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("suffix", PACKED)
def test_every_line_is_given(suffix: str, tmp_path: Path) -> None:
    """Across the chunks that a file is read in, whatever ends a line, and with a last line that lacks its end."""
    text = TEXT.replace(b"\n", b"\r\n", 500) + b"the last"

    lines = list(capture_lines(written(tmp_path, f"c{suffix}", PACKED[suffix](text))))

    assert len(text) > 3 * CHUNK_BYTES
    assert lines == [*TEXT.splitlines(), b"the last"]


@pytest.mark.parametrize("suffix", [".jsonl.gz", ".jsonl.zst"])
@pytest.mark.parametrize("share", [0.3, 0.999])
def test_a_truncated_file_gives_its_lines_and_its_break(suffix: str, share: float, tmp_path: Path) -> None:
    """Whole lines up to the break, then once that it breaks off, with what of the next line there is."""
    packed = PACKED[suffix](TEXT)

    *lines, end = capture_lines(written(tmp_path, f"c{suffix}", packed[: int(len(packed) * share)]))

    assert 100 < len(lines) < 20_000 and lines == TEXT.splitlines()[: len(lines)]
    assert isinstance(end, Unreadable) and end.reason == BROKEN
    assert TEXT.splitlines()[len(lines)].startswith(end.head) and end.size_bytes == len(end.head)


def test_damage_within_a_file_ends_it(tmp_path: Path) -> None:
    """Bytes that are no compressed data: what came before stays readable; deflate may garble a line on the way."""
    packed = bytearray(gzip.compress(TEXT))
    packed[len(packed) // 2 :] = bytes(len(packed) // 2)

    *lines, end = capture_lines(written(tmp_path, "c.jsonl.gz", bytes(packed)))

    assert len(lines) > 100 and lines[:-1] == TEXT.splitlines()[: len(lines) - 1]
    assert isinstance(end, Unreadable) and end.reason == BROKEN


def test_a_file_of_another_kind_breaks_at_once(tmp_path: Path) -> None:
    """Plain text under a compressed name."""
    (end,) = capture_lines(written(tmp_path, "c.jsonl.zst", b"{}\n"))

    assert isinstance(end, Unreadable) and end.reason == BROKEN


def test_a_line_without_end_fills_no_memory(tmp_path: Path) -> None:
    """Of a line that no record could be, the first bytes and the length are kept; the next line is read."""
    long = b"x" * (3 * LINE_BYTES_MAX)
    path = written(tmp_path, "c.jsonl.gz", gzip.compress(b"one\n" + long + b"\nthree\n" + long[: LINE_BYTES_MAX + 1]))

    one, two, three, four = capture_lines(path)

    assert (one, three) == (b"one", b"three")
    assert isinstance(two, Unreadable) and isinstance(four, Unreadable)
    assert (two.reason, two.head, two.size_bytes) == (TOO_LONG, long[:PAYLOAD_BYTES_MAX], len(long))
    assert four.size_bytes == LINE_BYTES_MAX + 1


def test_a_line_at_the_bound_is_a_line(tmp_path: Path) -> None:
    """The longest record that the topic takes."""
    longest = b"x" * LINE_BYTES_MAX

    assert list(capture_lines(written(tmp_path, "c.jsonl", longest + b"\n"))) == [longest]


def test_the_bytes_told_are_the_files(tmp_path: Path) -> None:
    """A progress bar ends at its end, also for a file that breaks off."""
    whole = gzip.compress(TEXT)
    for data in (whole, whole[:-9]):
        told: list[int] = []
        path = written(tmp_path, "c.jsonl.gz", data)
        list(capture_lines(path, told.append))

        assert sum(told) == len(data)


def test_what_is_no_capture_is_refused_by_name(tmp_path: Path) -> None:
    """A missing, an empty or a foreign file is named before anything is written."""
    written(tmp_path, "empty.jsonl", b"")
    written(tmp_path, "nothing.jsonl.gz", gzip.compress(b""))
    written(tmp_path, "notes.txt", b"x")
    (tmp_path / "folder.jsonl").mkdir()
    for name in ("missing.jsonl", "empty.jsonl", "nothing.jsonl.gz", "notes.txt", "folder.jsonl"):
        with pytest.raises(UsageError, match=name):
            check_captures([tmp_path / name])
