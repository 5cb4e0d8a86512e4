"""Opportunities: those open now, and the last ones that closed."""

from collections import OrderedDict, deque
from typing import Any

from mts_stream.web.messages import Leg, Opportunity

OPEN_MAX = 1000
RECENT_MAX = 50
CLOSED_IDS_MAX = 10_000
NS_PER_MS = 1_000_000


class OpportunityBoard:
    """Told events of opportunities, each perhaps more than once; asked for what is open and what closed.

    An event that came again is known by its number within its opportunity, an opportunity that closed by its id.
    A direction has one open opportunity at most: where the next one opens, the end of the one before was missed.
    """

    def __init__(self) -> None:
        self._open: OrderedDict[str, tuple[Opportunity, int | None]] = OrderedDict()
        self._open_by_direction: dict[tuple[str, str], str] = {}
        self._recent: deque[Opportunity] = deque(maxlen=RECENT_MAX)
        self._closed_ids: OrderedDict[str, None] = OrderedDict()
        self._changed: dict[str, None] = {}
        self._gone: list[str] = []
        self._closed: list[Opportunity] = []

    def on_event(self, event: Opportunity) -> bool:
        """Take an event; False for one that is known already."""
        known = self._open.get(event.opportunity_id)
        if event.opportunity_id in self._closed_ids or (known and event.event <= known[0].event):
            return False
        if event.type == "arbitrage.closed":
            self._close(event)
        else:
            self._keep_open(event, known)
        return True

    def forget_before(self, oldest_ns: int) -> None:
        """Forget open opportunities of which nothing was heard since `oldest_ns`."""
        for key in [key for key, (event, _) in self._open.items() if event.event_time_ns < oldest_ns]:
            self._drop(key)

    def open(self) -> list[dict[str, Any]]:
        """The open opportunities, oldest first."""
        return [_open_view(event, opened_ns) for event, opened_ns in self._open.values()]

    def recent(self) -> list[dict[str, Any]]:
        """The last closed ones, newest first."""
        return [_closed_view(event) for event in self._newest_first(self._recent)]

    def drain(self) -> tuple[list[dict[str, Any]], list[str], list[dict[str, Any]]]:
        """Since the last call: the open ones that changed, the ids of those gone, the closed ones."""
        changed = [_open_view(*self._open[key]) for key in self._changed if key in self._open]
        result = changed, self._gone, [_closed_view(event) for event in self._closed[-RECENT_MAX:]]
        self._changed, self._gone, self._closed = {}, [], []
        return result

    def _keep_open(self, event: Opportunity, known: tuple[Opportunity, int | None] | None) -> None:
        key, place = event.opportunity_id, (event.pair, event.direction)
        before = self._open_by_direction.get(place, key)
        if before != key:
            self._end(before)
        opened_ns = known[1] if known else (event.event_time_ns if event.event == 0 else None)
        self._open[key] = (event, opened_ns)
        self._open_by_direction[place] = key
        self._changed[key] = None
        self._keep_bound()

    def _close(self, event: Opportunity) -> None:
        self._end(event.opportunity_id)
        self._recent.append(event)
        self._closed = [*self._closed[-RECENT_MAX:], event]

    def _end(self, key: str) -> None:
        """It is not open any more, whatever else is said of it."""
        if key in self._open:
            self._drop(key)
        self._closed_ids[key] = None
        if len(self._closed_ids) > CLOSED_IDS_MAX:
            self._closed_ids.popitem(last=False)

    def _drop(self, key: str) -> None:
        event, _ = self._open.pop(key)
        self._open_by_direction.pop((event.pair, event.direction), None)
        self._gone.append(key)

    def _keep_bound(self) -> None:
        while len(self._open) > OPEN_MAX:
            self._drop(next(iter(self._open)))

    @staticmethod
    def _newest_first(events: deque[Opportunity]) -> list[Opportunity]:
        return sorted(events, key=lambda event: (event.event_time_ns, event.id), reverse=True)


def _base(event: Opportunity) -> dict[str, Any]:
    return {
        "opportunity_id": event.opportunity_id,
        "pair": event.pair,
        "direction": event.direction,
        "legs": [_leg(leg) for leg in event.legs],
        "size": event.size,
        "buy_notional": event.buy_notional,
        "net_usd": event.net_usd,
        "net_bps": event.net_bps,
        "edge_bps": event.edge_bps,
        "event_time_ms": event.event_time_ns // NS_PER_MS,
    }


def _leg(leg: Leg) -> dict[str, str]:
    return {
        "leg": f"{leg.venue}:{leg.market}",
        "symbol": leg.symbol,
        "price": leg.price,
        "average_price": leg.average_price,
    }


def _open_view(event: Opportunity, opened_ns: int | None) -> dict[str, Any]:
    return _base(event) | {
        "events": event.event + 1,
        "opened_ms": None if opened_ns is None else opened_ns // NS_PER_MS,
        "expires_ms": event.expires_ns // NS_PER_MS,
    }


def _closed_view(event: Opportunity) -> dict[str, Any]:
    return _base(event) | {
        "reason": event.reason,
        "duration_ms": event.duration_ns / NS_PER_MS,
        "updates": event.updates,
        "peak_net_usd": event.peak_net_usd,
        "survived_ms": event.survived_ms,
    }
