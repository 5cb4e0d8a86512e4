"""What the servers ask: before they send a frame, on a subscription, on a request, and what time it is."""

from producers.simulator.faults.active import ActiveFaults
from producers.simulator.faults.frames import FrameFaults

_NS_PER_S = 1_000_000_000
_ACKS = ("ack_failure", "ack_wrong_id", "ack_missing")


class Faults:
    """The running faults as the servers see them; without one every answer is the plain one."""

    def __init__(self) -> None:
        self.active = ActiveFaults()
        self.frames = FrameFaults(self.active)

    def ack(self, venue: str, market: str) -> str | None:
        """What goes wrong with this acknowledgement: `ack_failure`, `ack_wrong_id`, `ack_missing` or nothing."""
        if self.active:
            for name in _ACKS:
                if self.active.bite(name, venue, market):
                    return name
        return None

    def silences(self, venue: str, market: str, symbol: str) -> bool:
        """Whether a stream of this symbol that is subscribed to now is acknowledged and never sends."""
        return bool(self.active) and self.active.bite("silent_stream", venue, market, symbol) is not None

    def lists(self, venue: str, market: str, symbol: str) -> bool:
        """Whether the venue's own list of subscriptions names a stream of this symbol that is subscribed to now."""
        fault = self.active.find("silent_stream", venue, market, symbol) if self.active else None
        return fault is None or bool(fault.params["listed"])

    def skew_ns(self, venue: str) -> int:
        """How far the venue's clock is off now."""
        fault = self.active.find("clock_skew", venue, None) if self.active else None
        return 0 if fault is None else round(fault.params["skew_s"] * _NS_PER_S)
