"""A raw log of as many pairs and as long as one likes: the recorded pair of tests/data/conformance under other names.

All pairs' first record, all pairs' second, and so on; after the last the recording begins again with new generations of
its connections, whose keyframes begin new books. Every record has a time of its own, `received_ns`, by which a result
is found again; the exchanges' times in a frame move along. Each second the connections say that they are alive.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import orjson

from mts_stream.domain.kernel import kernel
from mts_stream.domain.market_data import DepthUpdate
from mts_stream.errors import BadRecordError
from mts_stream.wire.codec import decode_record
from tests.benchmarks.many_pairs import recorded

LINES = 6_100  # the recorded pair's own and its connections'
NS_PER_S, NS_PER_MS, MS_PER_HOUR = 10**9, 10**6, 3_600_000
CONNECTIONS = (("binance", "spot", "b-spot-1"), ("binance", "perp", "b-perp-1"), ("bybit", "spot", "y-spot-1"),
               ("bybit", "perp", "y-perp-1"))  # fmt: skip
GENERATIONS = 2  # of a connection within the recording
_PARTS = re.compile(rb'BTC-USDT|BTCUSDT|"gen":\d+|"received_ns":\d+|\b1[67]\d{11}\b')


class Due(NamedTuple):
    """A record, its key, and when it is due; without a key it is for every partition."""

    after_ns: int
    key: bytes | None
    value: bytes


class Template:
    """A recorded line, and how it reads for another pair at another time."""

    def __init__(self, line: bytes) -> None:
        parsed = orjson.loads(line)
        self.is_listing = parsed["kind"] == "registry"
        self._is_funding = parsed["channel"] == "funding"
        self._received_ns = parsed["received_ns"]
        self._parts: list[tuple[bytes, int]] = []
        self._text = _PARTS.sub(self._part, line.replace(b"%", b"%%"))

    def _part(self, found: "re.Match[bytes]") -> bytes:
        text = found.group()
        kind, number = (text[:4], text.rpartition(b":")[2]) if text[:1] in b'"B' else (b"time", text)
        self._parts.append((text if text[:1] == b"B" else kind, int(number) if number.isdigit() else 0))
        return {b'"gen': b'"gen":%d', b'"rec': b'"received_ns":%d', b"time": b"%d"}.get(kind, b"%b")

    def at(self, name: bytes, received_ns: int, cycle: int) -> bytes:
        """The line of this pair at this time."""
        shift_ms = (received_ns - self._received_ns) // NS_PER_MS
        if self._is_funding:
            shift_ms -= shift_ms % (8 * MS_PER_HOUR)
        values = {b"BTC-USDT": name + b"-USDT", b"BTCUSDT": name + b"USDT", b'"rec': received_ns}
        return self._text % tuple(
            number + shift_ms if kind == b"time" else number + GENERATIONS * cycle if kind == b'"gen' else values[kind]
            for kind, number in self._parts
        )


@lru_cache
def templates() -> tuple[Template, ...]:
    """The recorded pair's lines that are no dead letters; each connection's own are left out."""
    return tuple(Template(line) for line in recorded(LINES) if b'"pair":"BTC-USDT"' in line and _is_sound(line))


def _is_sound(line: bytes) -> bool:
    """No impossible number: 800 pairs' dead letters in a row are no market."""
    try:
        event = decode_record(line)
        if isinstance(event, DepthUpdate):
            kernel().new_book().read(event.bids, event.asks, event.origin)
    except BadRecordError:
        return False
    return True


def log(pairs: int, begin_ns: int, rates: list[tuple[float, int]], lines_max: int | None = None) -> Iterator[Due]:
    """Records at rates: so many a second, so many of them. `begin_ns` is the time of the first.

    With `lines_max` the recording begins again after so many lines of a pair.
    """
    lines, number, after_ns, alive = templates()[:lines_max], 0, 0, 0
    for rate, count in rates:
        first, since_ns = number, after_ns
        for number in range(first, first + count):
            after_ns = since_ns + round((number - first) * NS_PER_S / rate)
            if after_ns >= alive * NS_PER_S:
                yield from _alive(begin_ns, after_ns, alive)
                alive = after_ns // NS_PER_S + 1
            turn, pair = divmod(number, pairs)
            cycle, line = divmod(turn, len(lines))
            name = b"P%03d" % pair
            yield Due(after_ns, name + b"-USDT", lines[line].at(name, begin_ns + after_ns, cycle))
        number, after_ns = first + count, since_ns + round(count * NS_PER_S / rate)


def _alive(begin_ns: int, after_ns: int, seq: int) -> Iterator[Due]:
    for venue, market, conn in CONNECTIONS:
        status = {
            "v": 1, "venue": venue, "market": market, "channel": "depth", "kind": "status", "symbol": "", "pair": "",
            "conn": conn, "gen": 1, "seq": seq + 1, "frame": {"state": "alive", "reason": ""},
            "received_ns": begin_ns + after_ns,
        }  # fmt: skip
        yield Due(after_ns, None, orjson.dumps(status))
