"""What every signal says alike, whatever it is about (DESIGN section 8)."""

from typing import Any

from mts_stream.domain.economics import EconomicSettings

NS_PER_MS = 10**6
SCHEMA_VERSION = 1


def signal_head(settings: EconomicSettings, kind: str, identity: str, pair: str, at_ns: int) -> dict[str, Any]:
    """The fields of a SignalMessage; `emitted_ns` is event time until somebody sends it."""
    return {
        "id": identity,
        "type": kind,
        "schema_version": SCHEMA_VERSION,
        "pair": pair,
        "event_time_ns": at_ns,
        "emitted_ns": at_ns,
        "expires_ns": at_ns + settings.signal_ttl_ms * NS_PER_MS,
        "config_id": settings.config_id,
    }


def opportunity_head(
    settings: EconomicSettings, kind: str, opportunity: str, event: int, pair: str, direction: str, at_ns: int
) -> dict[str, Any]:
    """The fields of an OpportunityMessage, its legs excepted."""
    head = signal_head(settings, kind, f"{opportunity}-{event}", pair, at_ns)
    return head | {"opportunity_id": opportunity, "event": event, "direction": direction}
