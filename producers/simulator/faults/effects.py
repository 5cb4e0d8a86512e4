"""What a fault does to the venues when it begins and when it ends; faults that servers ask about need no effect."""

from collections.abc import Callable
from dataclasses import replace
from random import Random

from producers.simulator.book import LEVELS
from producers.simulator.faults.active import Fault
from producers.simulator.faults.catalog import CLOSE_CODES
from producers.simulator.hosts import Host
from producers.simulator.market import SimulatedLeg
from producers.simulator.universe import BINANCE
from producers.simulator.world import World

Effect = Callable[[Fault], None]

_REASONS = {1000: b"", 1001: b"going away", 1008: b"Policy violation", 1011: b"Internal error"}
_IDS = (10**9, 9 * 10**10)


class Effects:
    """Begins and ends faults in a world; `settle` opens again what refused connections."""

    def __init__(self, world: World, rng: Random) -> None:
        self._world, self._rng = world, rng
        self._reopening: list[Host] = []
        self._begin: dict[str, Effect] = {
            "sequence_reset": self._reset_sequence,
            "crossed_book": lambda fault: self._cross(fault, fault.params["slots"]),
            "half_open": self._mute,
            "connection_refused": self._refuse,
            "venue_restart": self._restart_venue,
            "server_shutdown": self._announce_shutdown,
            "funding_interval_change": self._change_interval,
            "delisting": self._delist,
            "listing": self._list,
            "delisting_announced": self._announce_end,
            "halting": self._delist,
            "clock_skew": self._count_legs,
        } | {f"close_{code}": self._close_with(code) for code in CLOSE_CODES}
        self._end: dict[str, Effect] = {
            "crossed_book": lambda fault: self._cross(fault, 0),
            "half_open": _cut_held,
            "connection_refused": self._reopen,
            "server_shutdown": _close_held,
            "funding_interval_change": self._tell_interval,
            "halting": self._trade_again,
        }

    def begin(self, fault: Fault) -> None:
        """The fault happens now."""
        effect = self._begin.get(fault.name)
        if effect is not None:
            effect(fault)

    def end(self, fault: Fault) -> None:
        """The fault is over now."""
        effect = self._end.get(fault.name)
        if effect is not None:
            effect(fault)

    async def settle(self) -> None:
        """Listen again where that is due; a port that somebody else has just now is tried again at the next step."""
        for host in list(self._reopening):
            try:
                await host.listen(host.port)
            except OSError:
                continue
            self._reopening.remove(host)

    def _legs(self, fault: Fault) -> list[SimulatedLeg]:
        legs = list(self._world.legs(fault.venue, fault.market, fault.symbol))
        fault.hits += len(legs)
        return legs

    def _count_legs(self, fault: Fault) -> None:
        self._legs(fault)

    def _hold_sessions(self, fault: Fault) -> None:
        fault.held = list(self._world.sessions(fault.venue, fault.market))
        fault.hits += len(fault.held)

    def _reset_sequence(self, fault: Fault) -> None:
        """Binance: ids jump on. Bybit: the service of the symbol starts anew with `u` 1."""
        kind = "delta" if fault.params["as_delta"] else "snapshot"
        for leg in self._legs(fault):
            self._restart_book(leg, leg.book.last_id + fault.params["jump"], kind)

    def _restart_venue(self, fault: Fault) -> None:
        """All sockets drop, and all books have ids that have nothing to do with the earlier ones."""
        self._hold_sessions(fault)
        _cut_held(fault)
        for leg in self._world.legs(fault.venue, fault.market, None):
            self._restart_book(leg, self._rng.randrange(*_IDS), "snapshot")

    def _restart_book(self, leg: SimulatedLeg, first_id: int, kind: str) -> None:
        world, key, book = self._world, leg.listing.key, leg.book
        world.faults.frames.forget(key)
        if leg.listing.venue == BINANCE:
            book.last_id = first_id
            world.histories[key].restart(first_id, book.bids.top(LEVELS), book.asks.top(LEVELS))
            world.binance[leg.listing.market].restart_book(key)
        else:
            now_ns = world.venue_clock_ns(leg.listing.venue)
            world.bybit[leg.listing.market].restart_book(key, now_ns, kind)

    def _cross(self, fault: Fault, slots: int) -> None:
        """The bids stand this many slots above where they belong, in the venue's own books."""
        for leg in self._legs(fault) if slots else self._world.legs(fault.venue, fault.market, fault.symbol):
            leg.book.cross_slots = slots
            leg.due_step = self._world.market.index

    def _mute(self, fault: Fault) -> None:
        self._hold_sessions(fault)
        for session in fault.held:
            session.mute()

    def _close_with(self, code: int) -> Effect:
        def close(fault: Fault) -> None:
            self._hold_sessions(fault)
            for session in fault.held:
                session.close_with(code, _REASONS.get(code, b""))

        return close

    def _refuse(self, fault: Fault) -> None:
        fault.held = [host for host in self._world.hosts_of(fault.venue, fault.market) if host.is_listening]
        fault.hits += sum(host.refuse() for host in fault.held)

    def _reopen(self, fault: Fault) -> None:
        self._reopening += fault.held

    def _announce_shutdown(self, fault: Fault) -> None:
        self._hold_sessions(fault)
        self._world.binance[fault.market or ""].announce_shutdown(self._world.venue_clock_ns(BINANCE))

    def _change_interval(self, fault: Fault) -> None:
        """The stream and the premium index have it at once; Bybit's lists too, Binance's fundingInfo later."""
        for leg in self._legs(fault):
            if leg.listing.funding_interval_hours is not None:
                hours = fault.params["hours"]
                other = hours * 2 if hours < 8 else 4
                hours = hours if hours != leg.listing.funding_interval_hours else other
                leg.listing = replace(leg.listing, funding_interval_hours=hours)

    def _tell_interval(self, fault: Fault) -> None:
        for leg in self._world.legs(fault.venue, fault.market, fault.symbol):
            leg.told_listing = leg.listing

    def _delist(self, fault: Fault) -> None:
        """The book stands still, the streams say nothing more, the lists give the status and time of the end."""
        for leg in self._legs(fault):
            leg.halted_ms = leg.halted_ms or fault.start_ns // 1_000_000

    def _list(self, fault: Fault) -> None:
        """A pair that was not there yet is listed and trades from now on, at both venues or at one market alone."""
        for leg in self._legs(fault):
            joining = self._world.market.legs_of_pair(leg.listing.pair) if fault.params["everywhere"] else [leg]
            for one in joining:
                one.is_listed = True

    def _announce_end(self, fault: Fault) -> None:
        """The lists give the time of the end; until then everything goes on."""
        for leg in self._legs(fault):
            leg.ends_ms = fault.start_ns // 1_000_000 + fault.params["hours"] * 3_600_000

    def _trade_again(self, fault: Fault) -> None:
        for leg in self._world.legs(fault.venue, fault.market, fault.symbol):
            leg.halted_ms, leg.due_step = None, self._world.market.index


def _cut_held(fault: Fault) -> None:
    for session in fault.held:
        session.abort()
    fault.held = []


def _close_held(fault: Fault) -> None:
    for session in fault.held:
        session.close_with(1001, _REASONS[1001])
    fault.held = []
