"""A capture of as many pairs as one likes: the recorded pair of tests/data/conformance, once for each of them.

Every pair has all four legs, and their records come in turn: all pairs' first, all pairs' second, and so on. A record
of a connection, or of the registry's other pairs, comes once. So 800 pairs together and the same pairs in groups of ten
are the same work in another order.
"""

import gzip
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from mts_stream.wire.envelope import decode_envelope, encode_envelope

CAPTURE = Path(__file__).parents[1] / "data" / "conformance" / "btc.jsonl.gz"
BEGUN = 40  # the line by which all four books are valid
PAIR, SYMBOL = b"BTC-USDT", b"BTCUSDT"


def recorded(lines: int) -> list[bytes]:
    """The first records of the pair and of the connections, as producers write them."""
    with gzip.open(CAPTURE) as file:
        return list(islice((_as_produced(line.rstrip()) for line in file if _belongs(line)), lines))


def _as_produced(line: bytes) -> bytes:
    """The envelope's fields in our producers' order, which the compiled reader knows; the frame stays as it is."""
    one = decode_envelope(line)
    return encode_envelope(
        venue=one.venue, market=one.market, channel=one.channel, kind=one.kind, symbol=one.symbol, pair=one.pair,
        received_ns=one.received_ns, conn=one.conn, gen=one.gen, seq=one.seq, frame=bytes(one.frame),
        known_range=one.range,
    )  # fmt: skip


def _belongs(line: bytes) -> bool:
    return b'"pair":"BTC-USDT"' in line or b'"pair":""' in line


def in_turn(lines: list[bytes], pairs: range) -> Iterator[bytes]:
    """The records of these pairs."""
    for line in lines:
        if b'"pair":""' in line:
            yield line
        else:
            for number in pairs:
                name = b"P%03d" % number
                yield line.replace(PAIR, name + b"-USDT").replace(SYMBOL, name + b"USDT")
