"""The messages: the perps' depth of a recorded capture, once per pair, interleaved as they would have come.

tests/data/conformance/btc.jsonl.gz, of which the symbol, the pair and a phase of up to a second are changed. It has its
faults (gaps, doubled and late frames, a reset): every engine has to get over them alike.
"""

import gzip
import hashlib
import random
from pathlib import Path

from mts_stream.errors import BadRecordError
from mts_stream.wire.envelope import Envelope, decode_envelope, encode_envelope

CAPTURE = Path(__file__).parents[2] / "data" / "conformance" / "btc.jsonl.gz"
PAIR = "BTC-USDT"
NS_PER_S = 10**9


Message = tuple[bytes, bytes]
"""Key, which is the pair, and value: an envelope of the raw log."""


def recorded(count: int) -> list[Envelope]:
    """The first records of the capture that the job reads."""
    found = []
    with gzip.open(CAPTURE) as lines:
        for line in lines:
            try:
                record = decode_envelope(line)
            except BadRecordError:
                continue
            is_wanted = record.kind in ("frame", "keyframe")
            if is_wanted and (record.pair, record.market, record.channel) == (PAIR, "perp", "depth"):
                found.append(record)
                if len(found) == count:
                    break
    return found


def messages(pairs: int, per_pair: int, seed: int) -> list[Message]:
    """The log of so many pairs, in the order of time."""
    phase, source = random.Random(seed), recorded(per_pair)
    timed: list[tuple[int, int, Message]] = []
    for number in range(pairs):
        symbol, name, shift_ns = b"B%03dUSDT" % number, b"B%03d-USDT" % number, phase.randrange(NS_PER_S)
        for record in source:
            received_ns = record.received_ns + shift_ns
            value = encode_envelope(
                venue=record.venue, market=record.market, channel=record.channel, kind=record.kind,
                symbol=symbol.decode(), pair=name.decode(), received_ns=received_ns, conn=record.conn, gen=record.gen,
                seq=record.seq, frame=bytes(record.frame).replace(b"BTCUSDT", symbol), known_range=record.range,
            )  # fmt: skip
            timed.append((received_ns, number, (name, value)))
    return [message for _, _, message in sorted(timed, key=lambda each: each[:2])]


def digest(results: "list[Message]") -> str:
    """Of all results, each pair's in their order."""
    by_key: dict[bytes, list[bytes]] = {}
    for key, value in results:
        by_key.setdefault(key, []).append(value)
    whole = hashlib.sha256()
    for key in sorted(by_key):
        whole.update(key + b"\n" + b"\n".join(by_key[key]) + b"\n\n")
    return whole.hexdigest()[:16]
