"""The life cycle of an opportunity of one direction: opened, updated, closed (DESIGN section 5)."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any
from uuid import NAMESPACE_OID, uuid5

SURVIVAL_MS = (10, 50, 100, 250, 1000)
UPDATE_AFTER_NS = 10**9
UPDATE_SHARE = 10  # a tenth of the net last sent
NS_PER_MS = 10**6


@dataclass(frozen=True, slots=True)
class Closing:
    """How an opportunity lived."""

    opportunity_id: str
    event: int
    terms: dict[str, Any]  # the last open evaluation's amounts and legs, as they stand in a message
    duration_ns: int
    updates: int
    peak_net_usd: str
    size_at_peak: str

    @property
    def survived_ms(self) -> list[int]:
        """The horizons that its duration exceeds."""
        return [horizon for horizon in SURVIVAL_MS if self.duration_ns > horizon * NS_PER_MS]


def opportunity_id(pair: str, direction: str, message_id: str) -> str:
    """The id of the opportunity that a record opened; anybody can compute it from the raw log."""
    return str(uuid5(NAMESPACE_OID, f"mts|{pair}|{direction}|{message_id}"))


class Opportunity:
    """An open opportunity: what was sent last, its peak over every evaluation, and its last terms."""

    __slots__ = ("event", "id", "opened_ns", "peak_net", "peak_net_usd", "sent_net", "sent_ns", "size_at_peak", "terms")

    def __init__(self, opportunity: str, now_ns: int, net: Fraction, terms: dict[str, Any]) -> None:
        self.id = opportunity
        self.event = 0
        self.opened_ns = self.sent_ns = now_ns
        self.sent_net = net
        self.terms = terms
        self._peak(net)

    def on_signal(self, now_ns: int, net: Fraction, terms: dict[str, Any]) -> bool:
        """A later evaluation that is a signal again; says whether it is to be sent as an update."""
        self.terms = terms
        if net > self.peak_net:
            self._peak(net)
        moved = abs(net - self.sent_net) * UPDATE_SHARE >= abs(self.sent_net)
        if not moved and now_ns - self.sent_ns < UPDATE_AFTER_NS:
            return False
        self.event += 1
        self.sent_net, self.sent_ns = net, now_ns
        return True

    def on_end(self, now_ns: int) -> Closing:
        """The first evaluation that is no signal."""
        duration_ns = now_ns - self.opened_ns
        return Closing(
            self.id, self.event + 1, self.terms, duration_ns, self.event, self.peak_net_usd, self.size_at_peak
        )

    def _peak(self, net: Fraction) -> None:
        self.peak_net, self.peak_net_usd, self.size_at_peak = net, self.terms["net_usd"], self.terms["size"]

    def snapshot(self) -> dict[str, Any]:
        """As JSON data."""
        data = {name: getattr(self, name) for name in self.__slots__}
        return data | {"peak_net": str(self.peak_net), "sent_net": str(self.sent_net)}

    @classmethod
    def restored(cls, data: dict[str, Any]) -> "Opportunity":
        """The opportunity of a snapshot."""
        opportunity = cls.__new__(cls)
        for name in cls.__slots__:
            setattr(opportunity, name, data[name])
        opportunity.peak_net, opportunity.sent_net = Fraction(data["peak_net"]), Fraction(data["sent_net"])
        return opportunity
