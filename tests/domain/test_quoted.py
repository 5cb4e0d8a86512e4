"""Levels as the venues write them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mts_stream.domain.quoted import quoted
from mts_stream.domain.rejection import BadRecordError

sides = st.lists(st.lists(st.text(max_size=5), min_size=2, max_size=2), max_size=5)


@given(sides, st.sampled_from([None, 1]), st.booleans(), st.sampled_from([(",", ":"), (", ", ":"), (" , ", ":")]))
def test_what_json_says_is_read_however_it_is_written(
    side: list[list[str]], indent: int | None, is_ascii: bool, separators: tuple[str, str]
) -> None:
    """Blanks, escapes, quotation marks within strings: the levels are those that a JSON reader finds."""
    written = json.dumps(side, indent=indent, ensure_ascii=is_ascii, separators=separators).encode()

    assert [list(level) for level in quoted(written, "")] == side


@pytest.mark.parametrize(
    "levels",
    [
        b"", b"[", b"{}", b'"100"', b"null", b'[["1"]]', b'[["1","2","3"]]', b"[[1,2]]", b'[["1",2]]', b'["1","2"]',
        b'[["1","2"],]', b'[["1","2"]', b'[["1","2"]][', b'[["1" "2"]]', b'[["1","2"],["3"]]', b'[["1","2"][""3","4"]]',
        b'[["1","2"],["3","4"],null]', b'[["\xff","2"]]', b"[" * 100_000, b'[["1","2"],["3":"4"]]', b'[["1","2\\"]]',
    ],
)  # fmt: skip
def test_another_shape_names_the_record(levels: bytes) -> None:
    """What is no array of pairs of strings is a dead letter."""
    with pytest.raises(BadRecordError, match="bad_frame: a/b/c: "):
        quoted(levels, "a/b/c")
