"""`mts-stream signals tail`."""

import json
import time
from typing import Any

import click

from mts_stream.settings import load_settings
from mts_stream.wire.kafka import Reader
from mts_stream.wire.topics import SIGNALS


@click.group()
def signals() -> None:
    """What the signals topic carries."""


@signals.command()
@click.option("--json", "as_json", is_flag=True, help="The message values as they are, one a line.")
@click.option("--since", "since_s", type=click.FloatRange(min=0), default=0.0, help="Begin this many seconds ago.")
@click.option("--count", type=click.IntRange(min=1), help="End after so many signals.")
def tail(as_json: bool, since_s: float, count: int | None) -> None:
    """Show signals as they come, until Ctrl-C."""
    seen = 0
    with Reader(load_settings(), [SIGNALS], from_ms=int((time.time() - since_s) * 1000)) as reader:
        while count is None or seen < count:
            for record in reader.poll(0.5)[: None if count is None else count - seen]:
                seen += 1
                value = record.value or b""
                click.echo(value if as_json else signal_line(value))


def signal_line(value: bytes) -> str:
    """One signal for people: time, what happened, pair, direction, and the amounts or the reason."""
    try:
        signal = json.loads(value)
        return f"{_clock(signal['event_time_ns'])} {signal['type']:<18} {signal['pair']:<14} {_what(signal)}"
    except (ValueError, KeyError, TypeError):
        return f"not a signal: {value[:120]!r}"


def _clock(time_ns: int) -> str:
    return time.strftime("%H:%M:%S", time.gmtime(time_ns // 1_000_000_000)) + f".{time_ns // 1_000_000 % 1000:03d}"


def _what(signal: dict[str, Any]) -> str:
    parts = [signal["direction"] if "direction" in signal else f"{signal['venue']}:{signal['market']}"]
    if "net_usd" in signal:
        parts.append(f"net {signal['net_usd']} USD, {signal['net_bps']} bps of {signal['buy_notional']} USD")
    elif "net_bps" in signal:
        parts.append(f"net {signal['net_bps']} bps")
    elif "phase" in signal:
        parts.append(f"{signal['phase']}: edge {signal['edge_bps']} bps, usually {signal['median_bps']}")
    elif "kind" in signal:
        parts.append(f"{signal['kind']}: rate {signal['rate']} every {signal['interval_hours']} h")
        parts.append(f"before {signal['previous_rate']} every {signal['previous_interval_hours']} h")
    if "duration_ns" in signal:
        parts.append(f"{signal['reason']} after {signal['duration_ns'] // 1_000_000} ms")
    elif signal.get("reason"):
        parts.append(signal["reason"])
    return "  ".join(parts)
