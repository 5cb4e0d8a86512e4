"""The levels of a book side as the venues write them: a JSON array of [price, size], both strings."""

import json
from collections.abc import Iterable
from typing import Any

from mts_stream.domain.rejection import BadRecordError

Level = tuple[str, str]  # price, size; both as the venue writes them
SHOWN_CHARS = 60


def quoted(levels: bytes, where: object) -> Iterable[Level]:
    """The levels in the venue's own bytes; raises BadRecordError `bad_frame` for any other shape.

    Without a backslash a quotation mark only begins or ends a string, so that the parts between them tell everything.
    """
    try:
        text = levels.decode()
    except UnicodeDecodeError as error:
        raise BadRecordError("bad_frame", f"{where}: {error}") from None
    parts = text.split('"')
    count = len(parts) // 4
    if (
        count and len(parts) % 4 == 1 and parts[0] == "[[" and parts[-1] == "]]" and "\\" not in text
        and parts[2::4].count(",") == count and parts[4:-1:4].count("],[") == count - 1
    ):  # fmt: skip
        return zip(parts[1::4], parts[3::4], strict=True)
    return () if text == "[]" else _quoted_slowly(text, where)


def _quoted_slowly(text: str, where: object) -> list[Level]:
    """Blanks, escapes, and what is no array of levels at all."""
    try:
        levels = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadRecordError("bad_frame", f"{where}: levels: {error}") from None
    if not isinstance(levels, list):
        raise BadRecordError("bad_frame", f"{where}: levels: {text[:SHOWN_CHARS]!r} is no array")
    return [_level(index, level, where) for index, level in enumerate(levels)]


def _level(index: int, level: Any, where: object) -> Level:
    match level:
        case [str(price), str(size)]:
            return price, size
    shown = json.dumps(level)[:SHOWN_CHARS]
    raise BadRecordError("bad_frame", f"{where}: level {index}: {shown!r} is no pair of strings")
