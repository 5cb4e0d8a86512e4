"""The engine of one pair: how a record is handled, in the order of DESIGN section 5, "When".

(a) event time moves  (b) windows that ended close  (c) connections fall silent or come back
(d) the record is applied  (e) directions of the legs that it touched are evaluated, in the order of their names
"""

from collections.abc import Iterable
from dataclasses import fields
from decimal import Decimal
from typing import Any

from mts_stream.domain.direction import Direction
from mts_stream.domain.economics import EconomicSettings, Route
from mts_stream.domain.exact import DECIMALS, scaled, scaled_decimal
from mts_stream.domain.fees import NS_PER_DAY
from mts_stream.domain.funding import parse_rate
from mts_stream.domain.funding_anomalies import funding_anomaly
from mts_stream.domain.instrument import Instrument
from mts_stream.domain.kernel import Kernel
from mts_stream.domain.leg import NEVER_NS, Leg
from mts_stream.domain.market_data import (
    ConnectionStatus,
    DepthUpdate,
    FundingUpdate,
    MarketEvent,
    Origin,
    RegistryUpdate,
)
from mts_stream.domain.messages import FundingChange, Message
from mts_stream.domain.pricing import PairScale
from mts_stream.domain.quality import minute_end_ns
from mts_stream.domain.rejection import BadRecordError
from mts_stream.domain.sequencing import STILL
from mts_stream.domain.windows import window_end_ns

NS_PER_MS = 10**6


class PairEngine:
    """Books, directions and event time of one pair; `on_event` appends its results to a list."""

    __slots__ = (
        "_heard_until_ns", "_lag_max_ns", "_minute_end_ns", "_silent_after_ns", "_window_end_ns", "directions",
        "due_ns", "event_time_ns", "kernel", "legs", "pair", "quarantined", "settings",
    )  # fmt: skip

    def __init__(self, pair: str, settings: EconomicSettings, clock_ns: int, kernel: Kernel) -> None:
        self.pair = pair
        self.settings = settings
        self.kernel = kernel
        self.event_time_ns = clock_ns
        self.quarantined: str | None = None
        self.legs: dict[str, Leg] = {}
        self.directions: dict[str, Direction] = {}  # in the order of their names
        self._lag_max_ns = settings.max_feed_lag_ms * NS_PER_MS
        self._silent_after_ns = settings.silent_after_ms * NS_PER_MS
        self._window_end_ns = window_end_ns(clock_ns)
        self._minute_end_ns = minute_end_ns(clock_ns)
        self._heard_until_ns = 0  # until then no connection falls silent
        self.due_ns = 0  # before then time alone changes nothing

    @property
    def open_count(self) -> int:
        """How many of the pair's opportunities are open."""
        return sum(direction.opportunity is not None for direction in self.directions.values())

    def begin_at(self, clock_ns: int) -> None:
        """Event time of the next record is at least this; until then nothing was due."""
        if clock_ns > self.event_time_ns:
            self.event_time_ns = clock_ns

    def due_after(self, now_ns: int) -> int:
        """When something is due at the earliest once a status record of that event time is handled."""
        heard_until_ns = min(self._heard_until_ns, now_ns + self._silent_after_ns)
        return min(window_end_ns(now_ns), heard_until_ns + 1)

    def hear(self, name: str, origin: Origin, clock_ns: int) -> bool:
        """A leg's connection is alive, before anything is due; False where that may change more than its time."""
        leg = self.legs.get(name)
        if leg is None or leg.silent or not leg.book.is_ours(origin):
            return False
        self.begin_at(clock_ns)
        leg.book.seen_ns = self.event_time_ns
        return True

    def on_event(self, event: MarketEvent, out: list[Message]) -> bool:
        """Handle one record; says whether anything was evaluated. Raises BadRecordError before anything moved."""
        match event:
            case DepthUpdate():
                return self._on_depth(event, out)
            case ConnectionStatus():
                return self._on_status(event, out)
            case FundingUpdate():
                return self._on_funding(event, out)
            case RegistryUpdate():
                return self._on_registry(event, out)
        leg = self._leg_of(event.origin)
        return self._judge(self._move_time(event.origin, leg, out), event.origin, out)

    def _on_depth(self, update: DepthUpdate, out: list[Message]) -> bool:
        origin = update.origin
        leg = self._leg_of(origin)
        change = leg.book.book.read(update.bids, update.asks, origin)
        _check_range(update)
        changed = self._move_time(origin, leg, out)
        now_ns = self.event_time_ns
        taken = leg.book.on_depth(update, change, now_ns, self._lag_max_ns)
        leg.quality.on_depth(update, taken)
        if leg.silent:
            self._listen(leg, now_ns)
        self._refresh(leg, changed)
        if taken not in STILL and leg not in changed:
            changed.append(leg)
        return self._judge(changed, origin, out)

    def _on_status(self, status: ConnectionStatus, out: list[Message]) -> bool:
        origin = status.origin
        leg = self.legs.get(origin.leg)
        changed = self._move_time(origin, leg, out)
        if leg is not None:
            leg.book.on_status(status)
            self._refresh(leg, changed)
        return self._judge(changed, origin, out)

    def _on_funding(self, update: FundingUpdate, out: list[Message]) -> bool:
        origin = update.origin
        leg, rate = self._leg_of(origin), parse_rate(update)
        changed = self._move_time(origin, leg, out)
        funding = leg.funding
        if funding.on_update(update, rate):
            out.append(
                FundingChange(
                    origin.message_id, self.pair, origin.venue, origin.market, origin.symbol, self.event_time_ns,
                    funding.rate_plain, funding.next_ns, funding.interval_hours,
                )
            )  # fmt: skip
        self._watch_funding(leg, origin, out)
        return self._judge(changed, origin, out)

    def _watch_funding(self, leg: Leg, origin: Origin, out: list[Message]) -> None:
        """Tell what is odd about a leg's funding; of a quarantined pair it is only remembered."""
        findings = leg.watch_funding()
        if self.quarantined is None:
            out.extend(
                funding_anomaly(
                    self.settings, self.pair, leg.instrument, finding, origin.message_id, self.event_time_ns
                )
                for finding in findings
            )

    def _on_registry(self, update: RegistryUpdate, out: list[Message]) -> bool:
        listing = update.listing
        if listing.pair != self.pair:
            raise BadRecordError(
                "bad_frame", f"{update.origin.message_id}: a record of {self.pair} lists {listing.pair}"
            )
        for instrument in listing.legs:
            _check_instrument(self.pair, instrument)
        changed = self._move_time(update.origin, None, out)
        self.quarantined = listing.quarantined
        self._list(listing.legs)
        for leg in self.legs.values():
            self._refresh(leg, changed)
            self._watch_funding(leg, update.origin, out)
        return self._judge(changed, update.origin, out)

    def _leg_of(self, origin: Origin) -> Leg:
        for leg in self.legs.values():  # a few, looked through before a name is made to look one up
            instrument = leg.instrument
            if (
                instrument.market == origin.market
                and instrument.venue == origin.venue
                and instrument.symbol == origin.symbol
            ):
                return leg
        raise BadRecordError(
            "unknown_instrument", f"{origin.message_id}: the registry holds no such leg or symbol of {self.pair}"
        )

    def _move_time(self, origin: Origin, leg: Leg | None, out: list[Message]) -> list[Leg]:
        """Steps (a) to (c); returns the legs whose books changed their state. The record is of `leg`."""
        now_ns = max(self.event_time_ns, origin.received_ns)
        self.event_time_ns = now_ns
        changed: list[Leg] = []
        is_due = now_ns >= self.due_ns
        if is_due:
            self._close(now_ns, out)
        if leg is not None and leg.book.is_ours(origin):
            leg.book.seen_ns = now_ns
            if leg.silent:
                self._listen(leg, now_ns)
                self._refresh(leg, changed)
        if is_due:
            self._find_silence(now_ns, changed)
        return changed

    def _close(self, now_ns: int, out: list[Message]) -> None:
        while self._window_end_ns <= now_ns:
            self._close_windows(out)
        while self._minute_end_ns <= now_ns:
            self._close_minutes(out)

    def _listen(self, leg: Leg, now_ns: int) -> None:
        """A silent leg is heard again, or not."""
        leg.on_time(now_ns)
        self._heard_until_ns = min(self._heard_until_ns, leg.heard_until_ns)
        self.due_ns = min(self.due_ns, self._heard_until_ns + 1)

    def _find_silence(self, now_ns: int, changed: list[Leg]) -> None:
        """Which legs are silent by now; their times of silence only move on, so that none is missed until the next."""
        if now_ns > self._heard_until_ns:
            for leg in self.legs.values():
                leg.on_time(now_ns)
                self._refresh(leg, changed)
            self._heard_until_ns = min((leg.heard_until_ns for leg in self.legs.values()), default=NEVER_NS)
        self.due_ns = min(self._window_end_ns, self._minute_end_ns, self._heard_until_ns + 1)

    def _refresh(self, leg: Leg, changed: list[Leg]) -> None:
        if leg.refresh():
            leg.quality.on_state(self.event_time_ns, leg.state)
            if leg not in changed:
                changed.append(leg)

    def _close_windows(self, out: list[Message]) -> None:
        end_ns = self._window_end_ns
        if end_ns % NS_PER_DAY == 0:
            for leg in self.legs.values():
                leg.forget_look()  # other fees may be in force
        closed = [(direction, direction.close_window(end_ns)) for direction in self.directions.values()]
        rows = [row for _, row in closed if row is not None]
        out.extend(rows)
        for direction, row in closed:
            direction.judge_window(end_ns, row, self.quarantined is not None, out)
        # without a row no edge is carried, so nothing can come before the next record
        self._window_end_ns = window_end_ns(end_ns if rows else self.event_time_ns)

    def _close_minutes(self, out: list[Message]) -> None:
        end_ns = self._minute_end_ns
        out.extend(leg.quality.on_close(end_ns, self.pair, leg.instrument) for leg in self.legs.values())
        self._minute_end_ns = minute_end_ns(end_ns if self.legs else self.event_time_ns)

    def _judge(self, changed: list[Leg], origin: Origin, out: list[Message]) -> bool:
        """Step (e)."""
        if not changed:
            return False
        if len(changed) == 1:
            leg = changed[0]
            touched = leg.directions
            if leg.looks_as_before():
                leg.repeats += 1
                if leg.walked:
                    self._evaluate([direction for direction in touched if not direction.lasts], origin, out)
                return bool(touched)
        else:
            touched = self._directions_of_any(changed)
            for leg in changed:
                leg.looks_as_before()
        self._evaluate(touched, origin, out)
        return bool(touched)

    def _evaluate(self, directions: Iterable[Direction], origin: Origin, out: list[Message]) -> None:
        now_ns, quarantined = self.event_time_ns, self.quarantined is not None
        for direction in directions:
            message = direction.evaluate(now_ns, quarantined, origin)
            if message is not None:
                out.append(message)

    def _directions_of_any(self, legs: list[Leg]) -> tuple[Direction, ...]:
        return tuple(d for d in self.directions.values() if d.buy in legs or d.sell in legs)

    def _list(self, instruments: tuple[Instrument, ...]) -> None:
        """Take over the registry's legs: new ones begin empty, those no longer listed are delisted."""
        listed = {instrument.leg: instrument for instrument in instruments}
        unlisted = [leg.instrument for name, leg in self.legs.items() if name not in listed]
        scale = PairScale.of([*instruments, *unlisted])
        for name, leg in self.legs.items():
            leg.list_as(listed.get(name, leg.instrument), scale)
            leg.listed = name in listed
        for name, instrument in listed.items():
            if name not in self.legs:
                self.legs[name] = Leg(instrument, scale, self.settings, self.event_time_ns, self.kernel.new_book())
        self._heard_until_ns = self.due_ns = 0
        self._direct(scale)

    def _direct(self, scale: PairScale) -> None:
        directions = dict(self.directions)
        for buy in self.legs.values():
            for sell in self.legs.values():
                name = f"{buy.name}>{sell.name}"
                if name not in directions and self._is_route(buy, sell):
                    directions[name] = Direction(
                        self.pair, (buy, sell), self.settings, scale, self.kernel, self.event_time_ns
                    )
        self.directions = dict(sorted(directions.items()))
        for leg in self.legs.values():
            leg.directions = self._directions_of_any([leg])
        for direction in self.directions.values():
            direction.judge.relist(scale)

    def _is_route(self, buy: Leg, sell: Leg) -> bool:
        same_venue = buy.instrument.venue == sell.instrument.venue
        routes = self.settings.same_venue_routes if same_venue else self.settings.routes
        return buy is not sell and Route(buy.instrument.market, sell.instrument.market) in routes

    def snapshot(self) -> dict[str, Any]:
        """Everything that the next record needs, as JSON data."""
        return {
            "event_time_ns": self.event_time_ns,
            "window_end_ns": self._window_end_ns,
            "minute_end_ns": self._minute_end_ns,
            "quarantined": self.quarantined,
            "instruments": [_instrument_data(leg.instrument) for leg in self.legs.values()],
            "legs": {name: leg.snapshot() for name, leg in self.legs.items()},
            "directions": {name: direction.snapshot() for name, direction in self.directions.items()},
        }

    def restore(self, data: dict[str, Any]) -> None:
        """Take over a snapshot; a direction that other settings had and these have not is left out."""
        self.event_time_ns = data["event_time_ns"]
        self._window_end_ns, self._minute_end_ns = data["window_end_ns"], data["minute_end_ns"]
        self.quarantined = data["quarantined"]
        self._list(tuple(_instrument(values) for values in data["instruments"]))
        for name, leg in self.legs.items():
            leg.restore(data["legs"][name])
        for name, direction in self.directions.items():
            if name in data["directions"]:
                direction.restore(data["directions"][name])


def _check_range(update: DepthUpdate) -> None:
    if update.known_range is not None:
        try:
            for bound in update.known_range:
                scaled(bound)
        except ValueError as error:
            raise BadRecordError("impossible_number", f"{update.origin}: range {error}") from None


def _check_instrument(pair: str, instrument: Instrument) -> None:
    try:
        for value in (instrument.lot_size, instrument.min_notional, instrument.multiplier):
            scaled_decimal(value, DECIMALS)
    except ValueError as error:
        raise BadRecordError("impossible_number", f"{pair} {instrument.leg}: {error}") from None


_INSTRUMENT_FIELDS = tuple(field.name for field in fields(Instrument))
_DECIMAL_FIELDS = ("multiplier", "tick_size", "lot_size", "min_notional", "reference_price")


def _instrument_data(instrument: Instrument) -> dict[str, Any]:
    data = {name: getattr(instrument, name) for name in _INSTRUMENT_FIELDS}
    return data | {name: str(data[name]) for name in _DECIMAL_FIELDS}


def _instrument(data: dict[str, Any]) -> Instrument:
    return Instrument(**(data | {name: Decimal(data[name]) for name in _DECIMAL_FIELDS}))
