"""The outcome of an evaluation in one sentence: what was earned, or what was missing and why."""

from mts_stream.domain.evaluation import SIGNAL
from mts_stream.domain.exact import plain_rounded, scaled
from mts_stream.domain.explanation import Explanation, Gate, LegView
from mts_stream.explain.answering import Answer, LegRecords, Look
from mts_stream.explain.windowed import message_of

NS_PER_MS = 10**6


def summary(answer: Answer) -> str:
    """An answer in one sentence."""
    if answer.signal_type is None or answer.signal_type.startswith("arbitrage."):
        assert answer.look is not None, "it was evaluated"
        return verdict(answer.look)
    message = message_of(answer)
    names = ("kind", "phase", "score", "rate", "net_bps", "carry_bps", "cost_bps", "reason")
    return "signal: " + ", ".join(f"{name} {message[name]}" for name in names if message.get(name) is not None)


def verdict(look: Look) -> str:
    """For a trader: `signal: ...` or `refused, <outcome>: ...`."""
    seen = look.evaluation
    if seen.outcome == SIGNAL:
        assert seen.amounts is not None, "a signal has amounts"
        return (
            f"signal: net {seen.amounts['net_usd']} USD = {seen.amounts['net_bps']} bps "
            f"of {seen.amounts['buy_notional']} USD"
        )
    return f"refused, {seen.outcome}: {_why(look)}"


def _why(look: Look) -> str:
    seen = look.evaluation
    if seen.outcome == "quarantined":
        return f"the registry holds the pair back: {seen.quarantined}"
    if seen.outcome.startswith("book_"):
        return _invalid_book(look)
    if seen.outcome == "funding_unknown":
        return "; ".join(
            f"{leg.leg}: {leg.funding.why_unknown}" for leg in seen.legs if leg.funding and not leg.funding.known
        )
    missed = [gate for gate in seen.gates if gate.passed is False and gate.outcome == seen.outcome]
    texts = [_missed(gate) for gate in missed]
    if seen.outcome == "below_threshold":
        texts.append(_took(seen))
    return "; ".join(texts)


def _invalid_book(look: Look) -> str:
    seen = look.evaluation
    leg, records = next((leg, notes) for leg, notes in zip(seen.legs, look.legs, strict=True) if leg.state != "valid")
    lasted_ms = (seen.event_time_ns - records.state_since_ns) // NS_PER_MS
    return f"the book of the {leg.side} leg {leg.leg} is not valid but {leg.state}, {_since(leg, records, lasted_ms)}"


def _since(leg: LegView, records: LegRecords, lasted_ms: int) -> str:
    changed = records.state_changed_by
    if changed is None:
        return "since before these records"
    how = "since this record" if lasted_ms == 0 else f"for {lasted_ms} ms"
    return f"{how} ({changed.channel} {changed.kind} {changed.message_id}, {changed.place})"


def _missed(gate: Gate) -> str:
    missing = (gate.margin or "").removeprefix("-")
    unit = f" {gate.unit}" if gate.unit else ""
    what = {"no_edge": "short of fees and slippage", "implausible": "too wide to be true"}.get(gate.outcome, "short")
    return f"{gate.name} {gate.actual}{unit}, needed {gate.required}: {missing}{unit} {what}"


def _took(seen: Explanation) -> str:
    assert seen.amounts is not None, "it was walked"
    bought = scaled(seen.amounts["buy_notional"])
    shares = {
        name: plain_rounded(scaled(seen.amounts[f"{name}_usd"]) * 10**4, bought, 2)
        for name in ("gross", "fees", "slippage", "carry")
    }
    turns = " twice" if seen.net_basis == "round_trip" else ""
    return (
        f"of {shares['gross']} bps gross, fees took {shares['fees']}{turns}, slippage {shares['slippage']}; "
        f"carry gave {shares['carry']}"
    )
