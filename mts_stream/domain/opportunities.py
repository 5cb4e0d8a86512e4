"""The life cycle of an opportunity of one direction: opened, updated, closed (DESIGN section 5)."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any
from uuid import NAMESPACE_OID, uuid5

from mts_stream.domain.terms import Terms

SURVIVAL_MS = (10, 50, 100, 250, 1000)
UPDATE_AFTER_NS = 10**9
UPDATE_SHARE = 10  # a tenth of the net last sent
NS_PER_MS = 10**6
Net = Any  # int, or Fraction where a scale has changed


@dataclass(frozen=True, slots=True)
class Closing:
    """How an opportunity lived."""

    opportunity_id: str
    event: int
    terms: Terms  # of the last open evaluation
    duration_ns: int
    updates: int
    peak: Terms
    survived_ms: list[int]


def opportunity_id(pair: str, direction: str, message_id: str) -> str:
    """The id of the opportunity that a record opened; anybody can compute it from the raw log."""
    return str(uuid5(NAMESPACE_OID, f"mts|{pair}|{direction}|{message_id}"))


def survived_ms(duration_ns: int) -> list[int]:
    """The horizons that a duration exceeds."""
    return [horizon for horizon in SURVIVAL_MS if duration_ns > horizon * NS_PER_MS]


class Opportunity:
    """An open opportunity: what was sent last, its peak over every evaluation, and its last terms."""

    __slots__ = ("_unit", "event", "id", "opened_ns", "peak", "peak_net", "sent_net", "sent_ns", "terms")

    def __init__(self, opportunity: str, now_ns: int, net: Net, terms: Terms, unit: int = 1) -> None:
        self.id = opportunity
        self.event = 0
        self.opened_ns = self.sent_ns = now_ns
        self.sent_net = net
        self.terms = self.peak = terms
        self.peak_net = net
        self._unit = unit

    def on_signal(self, now_ns: int, net: Net, terms: Terms, unit: int = 1) -> bool:
        """A later evaluation that is a signal again; says whether it is to be sent as an update.

        `net` is in multiples of 1/unit USD; the unit is another when the registry has changed the pair's scale.
        """
        if unit != self._unit:
            change = Fraction(unit, self._unit)
            self.sent_net, self.peak_net, self._unit = self.sent_net * change, self.peak_net * change, unit
        self.terms = terms
        if net > self.peak_net:
            self.peak, self.peak_net = terms, net
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
            self.id, self.event + 1, self.terms, duration_ns, self.event, self.peak, survived_ms(duration_ns)
        )

    def snapshot(self) -> dict[str, Any]:
        """As JSON data."""
        return {
            "id": self.id,
            "event": self.event,
            "opened_ns": self.opened_ns,
            "sent_ns": self.sent_ns,
            "sent_net": str(Fraction(self.sent_net) / self._unit),
            "peak_net": str(Fraction(self.peak_net) / self._unit),
            "peak": self.peak.texts,
            "terms": self.terms.texts,
        }

    @classmethod
    def restored(cls, data: dict[str, Any]) -> "Opportunity":
        """The opportunity of a snapshot."""
        opportunity = cls(data["id"], data["opened_ns"], Fraction(data["sent_net"]), Terms.restored(data["terms"]))
        opportunity.event, opportunity.sent_ns = data["event"], data["sent_ns"]
        opportunity.peak, opportunity.peak_net = Terms.restored(data["peak"]), Fraction(data["peak_net"])
        return opportunity
