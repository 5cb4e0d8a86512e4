"""One fault while it runs, and all that run now."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Fault:
    """A fault that has begun; `market` and `symbol` None mean all of them, `left` how often it still bites."""

    id: int
    name: str
    venue: str
    market: str | None
    symbol: str | None
    params: dict[str, Any]
    start_ns: int
    until_step: float
    left: int | None = None
    hits: int = 0
    end_ns: int | None = None
    held: list[Any] = field(default_factory=list)

    def covers(self, venue: str, market: str | None, symbol: str | None) -> bool:
        """Whether it concerns this place, and is not used up."""
        here = venue == self.venue and self.market in (None, market) and self.symbol in (None, symbol)
        return here and self.left != 0

    def hit(self) -> None:
        """It bit once."""
        self.hits += 1
        if self.left is not None:
            self.left -= 1

    def is_over(self, step: int) -> bool:
        """Whether its time or its count is used up."""
        return self.left == 0 or step >= self.until_step

    def row(self) -> dict[str, Any]:
        """What the truth says of it; `end_ns` is None while it runs, `hits` 0 if no client met it."""
        return {
            "kind": "fault",
            "id": self.id,
            "name": self.name,
            "venue": self.venue,
            "market": self.market,
            "symbol": self.symbol,
            "start_ns": self.start_ns,
            "end_ns": self.end_ns,
            "hits": self.hits,
            "params": self.params,
        }


class ActiveFaults:
    """The running faults by name; empty nearly always, so that asking costs nothing."""

    def __init__(self) -> None:
        self.step = 0
        self._by_name: dict[str, list[Fault]] = {}

    def __bool__(self) -> bool:
        return bool(self._by_name)

    def add(self, fault: Fault) -> None:
        """A fault begins."""
        self._by_name.setdefault(fault.name, []).append(fault)

    def find(self, name: str, venue: str, market: str | None, symbol: str | None = None) -> Fault | None:
        """The first running fault of this name that covers the place."""
        for fault in self._by_name.get(name, ()):
            if fault.covers(venue, market, symbol):
                return fault
        return None

    def bite(self, name: str, venue: str, market: str | None, symbol: str | None = None) -> Fault | None:
        """As `find`, and the fault counts it."""
        fault = self.find(name, venue, market, symbol)
        if fault is not None:
            fault.hit()
        return fault

    def take_over(self) -> list[Fault]:
        """Remove and return the faults that are over at this step."""
        over = [fault for faults in self._by_name.values() for fault in faults if fault.is_over(self.step)]
        for fault in over:
            self._by_name[fault.name].remove(fault)
            if not self._by_name[fault.name]:
                del self._by_name[fault.name]
        return over

    def all(self) -> list[Fault]:
        """Every running fault."""
        return [fault for faults in self._by_name.values() for fault in faults]
