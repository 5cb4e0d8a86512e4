"""Signals that are judged at a window's end: funding arbitrage and anomalies, with the numbers that decided."""

from collections.abc import Iterator
from typing import Any

import msgspec

from mts_stream.domain.explanation import Explanation
from mts_stream.explain.answering import Answer
from mts_stream.explain.costs import CostLine, funding_text


def is_windowed(answer: Answer) -> bool:
    """Whether the signal was judged at a window's end, not at a record."""
    return answer.signal_type is not None and not answer.signal_type.startswith("arbitrage.")


def message_of(answer: Answer) -> dict[str, Any]:
    """The message as recomputed."""
    assert answer.message is not None, "a signal has its message"
    decoded: dict[str, Any] = msgspec.json.decode(answer.message.recomputed)
    return decoded


def window_lines(answer: Answer, seen: Explanation) -> Iterator[CostLine]:
    """Line by line, as it adds up."""
    message = message_of(answer)
    if answer.signal_type == "spread.anomaly":
        yield CostLine("mean edge", "of the window, weighted by time", f"{message['edge_bps']} bps")
        yield CostLine("median", "of the direction's own past windows", f"{message['median_bps']} bps")
        yield CostLine("MAD", "median absolute deviation of the same", f"{message['mad_bps']} bps")
        reason = f", because {message['reason']}" if message.get("reason") else ""
        yield CostLine("score", f"phase: {message['phase']}{reason}", message["score"], True)
        return
    closed = "reason" in message
    for leg in seen.legs:
        yield CostLine(f"funding of {leg.leg}", funding_text(leg.funding, leg.side, seen.held_hours), "")
    for leg in seen.legs:
        yield CostLine(f"fee of {leg.leg}", f"{leg.fee_bps} bps, in and out", "")
    yield CostLine("slippage", f"{seen.slippage_bps} bps, four times", "")
    edge = "none" if seen.edge_bps is None else f"{seen.edge_bps} bps"
    yield CostLine("touch edge", "when it ended" if closed else "earned on entering: taken off the cost", edge)
    if closed:
        yield CostLine(
            "closed", f"because {message['reason']}; what follows is of the last window it was open", "", True
        )
    yield CostLine("carry", "what is received - what is paid", f"{message['carry_bps']} bps")
    yield CostLine("cost", "both fees twice + slippage - touch edge", f"{message['cost_bps']} bps")
    yield CostLine("net", "carry - cost", f"{message['net_bps']} bps", True)
