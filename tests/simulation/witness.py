"""Sees every record on its way into the engine, and every step of the market, and keeps what was wrong.

step of the market   -> how long has a book that says valid not been the venue's any more?
record into the engine -> are the engine's and the producer's book of it the venue's, at their sequences?
signal out of it     -> were both touches true?
"""

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from mts_stream.domain.engine import Handled, PartitionEngine
from mts_stream.domain.leg import Leg
from mts_stream.domain.market_data import DepthUpdate, MarketEvent, Origin
from mts_stream.domain.messages import Message, SignalMessage
from mts_stream.local.demo.claims import Claim, TrueTouches, Verdicts, claims_of, judge, touches_of
from mts_stream.wire.codec import encode_message
from producers.book_feed import BookFeed
from producers.service import ProducerService
from producers.simulator.settings import STEP_MS
from producers.simulator.simulator import Simulator
from producers.simulator.universe import BookKey
from tests.simulation.truth_check import TruthCheck

STEP_S = STEP_MS / 1000
MOVES_MAX = 65_536
"""Moves of a book that a client has not followed yet; above that the oldest are forgotten."""

VALID = "valid"


@dataclass(slots=True)
class BookWatch:
    """One of the engine's books: its check, the moves of the venue's that it has not followed, its states."""

    pair: str
    leg: str
    check: TruthCheck
    moves: deque[tuple[tuple[int, int], int]] = field(default_factory=lambda: deque(maxlen=MOVES_MAX))
    behind_steps_max: int = 0
    states: set[str] = field(default_factory=set)
    state: str = "empty"

    @property
    def behind_max_s(self) -> float:
        """For how long at most it said valid although the venue's had moved on."""
        return self.behind_steps_max * STEP_S

    def forgive(self, step: int) -> None:
        """Count what was not followed from now on."""
        moves = [(position, step) for position, _ in self.moves]
        self.moves.clear()
        self.moves.extend(moves)

    def note(self, state: str) -> None:
        """It says so now."""
        self.state = state
        self.states.add(state)


class Witness:
    """Knows the simulator, the service and the engine of a run."""

    def __init__(self, simulator: Simulator, engine: PartitionEngine) -> None:
        self.service: ProducerService | None = None
        self.verdicts = Verdicts()
        self.dead: list[str] = []
        self.steps = 0
        self._simulator, self._engine = simulator, engine
        self._books: dict[BookKey, BookWatch] = {
            key: BookWatch(leg.listing.pair, f"{key[0]}:{key[1]}", TruthCheck(simulator, key, "engine"))
            for key, leg in simulator.market.legs.items()
        }
        self._producer_checks: dict[tuple[str, BookKey], TruthCheck] = {}
        self._last_move: dict[BookKey, tuple[int, int]] = {}

    @property
    def now_s(self) -> float:
        """The market's own time: that of the wall clock, but that it waits where the machine does not let it step."""
        return self.steps * STEP_S

    def on_step(self) -> None:
        """The market has moved."""
        self.steps += 1
        legs = self._simulator.market.legs
        for key, watch in self._books.items():
            position = self._simulator.position(key)
            if legs[key].is_halted:
                watch.forgive(self.steps)  # the venue may keep its last change to itself
            if self._last_move.get(key) != position:
                self._last_move[key] = position
                watch.moves.append((position, self.steps))
            self._measure(watch)

    def before_record(self, event: MarketEvent) -> None:
        """A record is about to be handled: until now the books count as they were, the producer's and the engine's."""
        for watch in self._touched(event.origin):
            self._measure(watch)
        if isinstance(event, DepthUpdate):
            self._check_producer(event.origin)

    def after_record(self, event: MarketEvent, handled: Handled) -> None:
        """A record was handled."""
        for watch in self._touched(event.origin):
            leg = self._leg(watch)
            if leg is None:
                continue
            became_valid = leg.state == VALID != watch.state
            watch.note(leg.state)
            is_its_own = isinstance(event, DepthUpdate) and leg.instrument.symbol == event.origin.symbol
            if leg.state == VALID and (became_valid or (is_its_own and leg.name == _leg_name(event.origin))):
                watch.check.engine(leg.book.sequence, leg.book.book)
        for message in handled.messages:
            self._judge(message)

    def _check_producer(self, origin: Origin) -> None:
        feed = self.feed_of(origin)
        if feed is not None and feed.is_synced:
            key = origin.venue, origin.market, origin.symbol
            name = origin.conn, key
            if name not in self._producer_checks:
                self._producer_checks[name] = TruthCheck(self._simulator, key, f"producer {origin.conn}")
            self._producer_checks[name].producer(feed.book)

    def feed_of(self, origin: Origin) -> BookFeed | None:
        """The producer's book on the connection that wrote a record."""
        assert self.service is not None, "a record came from somewhere"
        feed = self.service.feeds.get(origin.conn)
        return None if feed is None else feed.books.get(origin.symbol)

    def is_narrow(self, key: BookKey) -> bool:
        """Whether the producers' book of this stands on the top of the venue's alone."""
        assert self.service is not None, "asked while producers run"
        feeds = [feed for feed in self.service.feeds.values() if (feed.market.venue, feed.market.market) == key[:2]]
        return any(feed.books[key[2]].is_narrow for feed in feeds if key[2] in feed.books)

    @property
    def books(self) -> dict[BookKey, BookWatch]:
        """The engine's books."""
        return self._books

    @property
    def wrong(self) -> list[str]:
        """Every book that was not the venue's although it said so."""
        checks = [watch.check for watch in self._books.values()] + list(self._producer_checks.values())
        return [text for check in checks for text in check.wrong]

    @property
    def compared(self) -> Counter[str]:
        """How many books were held against the venue's, the engine's and the producer's."""
        compared: Counter[str] = Counter()
        compared["engine"] = sum(watch.check.compared for watch in self._books.values())
        compared["producer"] = sum(check.compared for check in self._producer_checks.values())
        return compared

    def not_valid(self) -> dict[BookKey, str]:
        """The listed books that say something else than valid or delisted, and what."""
        listed = self._simulator.market.legs
        legs = {key: self._leg(watch) for key, watch in self._books.items() if listed[key].is_listed}
        return {
            key: "unlisted" if leg is None else leg.state
            for key, leg in legs.items()
            if leg is None or leg.state not in (VALID, "delisted")
        }

    def states(self) -> dict[BookKey, str]:
        """What every book says now."""
        return {key: watch.state for key, watch in self._books.items()}

    def disturbed(self) -> set[BookKey]:
        """The books that have said something else than valid since their states were forgotten."""
        return {key for key, watch in self._books.items() if watch.states != {VALID}}

    def forget_states(self) -> None:
        """Begin anew to note what the books say."""
        for watch in self._books.values():
            watch.states = {watch.state}

    def interval_hours(self, key: BookKey) -> int | None:
        """The funding interval that the engine counts with."""
        leg = self._leg(self._books[key])
        return None if leg is None else leg.funding.interval_hours or leg.instrument.funding_interval_hours

    def _touched(self, origin: Origin) -> Iterator[BookWatch]:
        for watch in self._books.values():
            if origin.pair in ("", watch.pair):
                yield watch

    def _leg(self, watch: BookWatch) -> Leg | None:
        state = self._engine.pairs.get(watch.pair)
        return None if state is None else state.engine.legs.get(watch.leg)

    def _measure(self, watch: BookWatch) -> None:
        """For how long a book that says valid has not followed the venue's."""
        leg = self._leg(watch)
        if leg is None or leg.state != VALID:
            return
        position = watch.check.epoch, leg.book.sequence
        while watch.moves and watch.moves[0][0] <= position:
            watch.moves.popleft()
        if watch.moves:
            watch.behind_steps_max = max(watch.behind_steps_max, self.steps - watch.moves[0][1])

    def _judge(self, message: Message) -> None:
        if not isinstance(message, SignalMessage):
            return
        fields: dict[str, Any] = orjson.loads(encode_message(message))
        if claims := claims_of(fields):
            self.verdicts.add(message.id, judge((claim, self._touches(claim)) for claim in claims))

    def _touches(self, claim: Claim) -> TrueTouches | None:
        place = claim.venue, claim.market, claim.symbol
        books = self._simulator.true_books(*place, claim.sequence)
        sides = [{"bids": book.bids, "asks": book.asks} for book in books]
        return touches_of({"books": sides, "multiplier": self._simulator.multiplier(*place)})


def _leg_name(origin: Origin) -> str:
    return f"{origin.venue}:{origin.market}"
