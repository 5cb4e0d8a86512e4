"""The levels of a book side as the venues write them: a JSON array of [price, size], both strings."""

import json
from typing import Any

from mts_stream.domain.rejection import BadRecordError

Level = tuple[str, str]  # price, size; both as the venue writes them
SHOWN_CHARS = 60
_EMPTY_LEVEL = b',["",""]'


def quoted(levels: bytes, where: object) -> list[Level]:
    """The levels in the venue's own bytes; raises BadRecordError `bad_frame` for any other shape."""
    try:
        texts = plain_numbers(levels)
    except ValueError:
        return _quoted_slowly(levels, where)
    return list(zip(texts[::2], texts[1::2], strict=True))


def plain_numbers(levels: bytes) -> list[str]:
    """Price, size, price, size; raises ValueError for whatever has more in it than digits and points."""
    shape = levels.translate(None, b"0123456789.")
    count = len(shape) // len(_EMPTY_LEVEL)
    if count and shape == b"[" + (_EMPTY_LEVEL * count)[1:] + b"]":
        return levels.translate(None, b'"[]').decode().split(",")
    if levels != b"[]":
        raise ValueError("not the form in which the venues write levels")
    return []


def _quoted_slowly(levels: bytes, where: object) -> list[Level]:
    """Blanks, signs, escapes, and what is no array of levels at all."""
    try:
        found = json.loads(levels.decode())
    except (ValueError, RecursionError) as error:
        raise BadRecordError("bad_frame", f"{where}: levels: {error}") from None
    if not isinstance(found, list):
        raise BadRecordError("bad_frame", f"{where}: levels: {levels[:SHOWN_CHARS]!r} is no array")
    return [_level(index, level, where) for index, level in enumerate(found)]


def _level(index: int, level: Any, where: object) -> Level:
    match level:
        case [str(price), str(size)]:
            return price, size
    shown = json.dumps(level)[:SHOWN_CHARS]
    raise BadRecordError("bad_frame", f"{where}: level {index}: {shown!r} is no pair of strings")
