"""A log can be read from any place: soon the results are those of who read it all (DESIGN section 3)."""

import json
import os
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from mts_stream.domain.engine import PartitionEngine
from mts_stream.settings import load_settings
from mts_stream.wire.codec import decode_record, encode_message
from tests.conformance.random_log import as_lines
from tests.conformance.steady_log import S, steady_log

EXAMPLES = max(6, int(os.environ.get("CONFORMANCE_EXAMPLES", "0")) // 200)
SECONDS = 140
SETTLED_NS = 70 * S
SETTINGS = {
    "arbitrage_min_profit_usd": "0", "arbitrage_min_profit_bps": "0", "min_notional": "1", "slippage_bps": "0",
    "net_basis": "entry", "funding_min_net_bps": "-40", "max_depth_share": "0.5",
}  # fmt: skip
Message = dict[str, Any]


@settings(max_examples=EXAMPLES)
@given(st.integers(0, 2**32), st.floats(0, 0.4))
def test_a_log_cut_at_any_place_gives_the_same_results_soon(seed: int, share: float) -> None:
    """From 70 s after the cut every window and every opportunity is the same, but for those open across it.

    The part begins with the registry's last word: keyframes that come before a pair is known are dead letters.
    """
    log = steady_log(Random(seed), SECONDS)
    cut = int(len(log) * share)
    known = [record for record in log[: cut + 1] if record["kind"] == "registry"][-1:]
    settled_ns = log[cut]["received_ns"] + SETTLED_NS

    whole, part = results(as_lines(log)), results(as_lines(known + log[cut:]))

    assert windows(whole, settled_ns) == windows(part, settled_ns) != []
    expected, found = (lives(messages, settled_ns) for messages in (whole, part))
    assert expected and found == expected


def results(lines: list[bytes]) -> list[Message]:
    """Everything that a log leads to."""
    engine = PartitionEngine(load_settings(**SETTINGS).economics())
    told: list[Message] = []
    for offset, line in enumerate(lines):
        told += (json.loads(encode_message(m)) for m in engine.on_event(decode_record(line), offset).messages)
    return told


def windows(messages: list[Message], from_ns: int) -> list[Message]:
    """The rows of whole windows from a time on."""
    return [m for m in messages if m.get("window_start_ns", 0) >= from_ns and "outcomes" in m]


def lives(messages: list[Message], from_ns: int) -> list[Message]:
    """Arbitrage and funding messages of what opened after its direction had been without one, from a time on."""
    clear: set[tuple[str, str]] = set()
    kept = []
    for message in messages:
        kind, _, what = message.get("type", "").partition(".")
        if what not in ("opened", "updated", "closed"):
            continue
        life = (kind, message["direction"])
        if message["event_time_ns"] < from_ns:
            (clear.discard if what != "closed" else clear.add)(life)
        elif life in clear:
            kept.append(message)
        elif what == "closed":
            clear.add(life)
    return kept
