"""The seeded market: one log-price walk per pair, a book per listing around it, episodes and funding, step by step.

Pure: no clock and no I/O. The same settings give the same path whoever looks on: each walk, book and plan draws
from its own generator, seeded by its name, and nothing outside moves them.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from producers.simulator.book import Book, BookUpdate
from producers.simulator.economics import Judgement, Level, judge
from producers.simulator.episodes import EpisodePlan, plan_episodes
from producers.simulator.settings import STEP_MS, SimulatorSettings
from producers.simulator.universe import PERP, Leg, Listing, PairSpec, build_universe

STEPS_PER_S = 1000 // STEP_MS

_WALK_BPS_PER_SQRT_S = 1.0
_BASIS_BPS = 1.2
_PERP_PREMIUM_BPS = 0.8
_NOISE_DECAY = 0.95
_NOISE_BPS = 0.2
_NOISE_BPS_MAX = 1.5
_JUDGED_LEVELS = 100
_RATE_STEPS = 10 * STEPS_PER_S
_RATE_8H = 0.0001
_RATE_SPREAD = 0.3


class PricePath:
    """The common price of one pair: a random walk of its logarithm."""

    def __init__(self, unit_price: float, rng: Random) -> None:
        self.unit_price = unit_price
        self._rng = rng
        self._sigma = _WALK_BPS_PER_SQRT_S / 10_000 / math.sqrt(STEPS_PER_S)

    def advance(self) -> None:
        """Walk one step."""
        self.unit_price *= math.exp(self._sigma * self._rng.gauss(0.0, 1.0))


class SimulatedLeg:
    """One listing's book with what sets it apart from the common price: basis, noise, displacement, funding rate."""

    def __init__(self, spec: PairSpec, listing: Listing, path: PricePath, seed: int) -> None:
        self.listing = listing
        self.displacement_bps = 0.0
        self.due_step = 0.0
        self.funding_rate = 0.0
        self.told_listing = listing
        self.halted_ms: int | None = None
        self.ends_ms: int | None = None
        self.is_listed = True
        self._path = path
        self._rng = Random(f"{seed}/{listing.venue}/{listing.market}/{listing.symbol}")  # noqa: S311
        self._scale = listing.price / spec.unit_price * 10.0**listing.price_digits
        self._basis_bps = self._rng.uniform(-_BASIS_BPS, _BASIS_BPS)
        self._basis_bps += _PERP_PREMIUM_BPS * self._rng.random() if listing.market == PERP else 0.0
        self._noise_bps = 0.0
        self._interval_steps = STEPS_PER_S / listing.updates_per_s
        self.book = Book(listing, self._mid_ticks(), self._rng)
        self.draw_funding_rate()

    @property
    def is_halted(self) -> bool:
        """Whether the instrument is not traded any more, since `halted_ms`."""
        return self.halted_ms is not None

    @property
    def index_price(self) -> float:
        """The common price in the listing's own unit; episodes do not move it."""
        return self._path.unit_price * self._scale / 10.0**self.listing.price_digits

    @property
    def mark_price(self) -> float:
        """The index moved by the leg's standing basis."""
        return self.index_price * (1 + self._basis_bps / 10_000)

    def update(self, step: int) -> BookUpdate | None:
        """Move the book to where its mid is now and say when it moves next."""
        if self.is_halted:
            return None
        self.due_step = max(self.due_step, step - 1.0) + self._interval_steps * (0.6 + 0.8 * self._rng.random())
        noise = self._noise_bps * _NOISE_DECAY + self._rng.gauss(0.0, _NOISE_BPS)
        self._noise_bps = max(-_NOISE_BPS_MAX, min(_NOISE_BPS_MAX, noise))
        return self.book.update(self._mid_ticks())

    def draw_funding_rate(self) -> None:
        """A new rate near 0.01 % per 8 hours, shared out over the leg's interval."""
        hours = self.listing.funding_interval_hours
        if hours is not None:
            spread = 1 + _RATE_SPREAD * (2 * self._rng.random() - 1)
            self.funding_rate = round(_RATE_8H * hours / 8 * spread, 8)

    def unit_levels(self) -> tuple[list[Level], list[Level]]:
        """Asks and bids in unit prices and sizes, for judging an episode."""
        listing = self.listing
        price = 10.0**-listing.price_digits / listing.multiplier
        size = 10.0**-listing.size_digits * listing.multiplier
        sides = (self.book.asks, self.book.bids)
        asks, bids = ([(p * price, q * size) for p, q in side.top(_JUDGED_LEVELS)] for side in sides)
        return asks, bids

    def _mid_ticks(self) -> float:
        off_bps = self._basis_bps + self._noise_bps + self.displacement_bps
        return self._path.unit_price * self._scale * (1 + off_bps / 10_000)


@dataclass(frozen=True, slots=True)
class StepResult:
    """What one step did: updates of books, episodes that began (with their label) and that ended."""

    updates: list[tuple[SimulatedLeg, BookUpdate]]
    began: list[tuple[EpisodePlan, Judgement]]
    ended: list[EpisodePlan]


class Market:
    """All pairs and legs; `step` moves everything on by one step and says what changed."""

    def __init__(self, settings: SimulatorSettings) -> None:
        self.index = 0
        self.pairs = build_universe(settings.pairs)
        self._paths: list[PricePath] = []
        self.legs: dict[tuple[str, str, str], SimulatedLeg] = {}
        self._by_pair: dict[tuple[str, Leg], SimulatedLeg] = {}
        for spec in self.pairs:
            self._add_pair(spec, settings.seed)
        self._plans: Iterator[EpisodePlan] = plan_episodes(
            self.pairs,
            Random(f"{settings.seed}/episodes"),  # noqa: S311
            settings.first_episode_s,
            settings.episode_interval_s,
            STEPS_PER_S,
        )
        self._next_plan = next(self._plans)
        self._running: list[EpisodePlan] = []

    def leg(self, venue: str, market: str, symbol: str) -> SimulatedLeg | None:
        """The leg of a venue's symbol, None if it is not listed."""
        leg = self.legs.get((venue, market, symbol))
        return leg if leg is not None and leg.is_listed else None

    def legs_of_pair(self, pair: str) -> list[SimulatedLeg]:
        """All legs of a pair, listed or not yet."""
        return [leg for leg in self.legs.values() if leg.listing.pair == pair]

    def step(self) -> StepResult:
        """Advance by one step: prices walk, episodes begin and end, books that are due (or displaced) update."""
        self.index += 1
        for path in self._paths:
            path.advance()
        if self.index % _RATE_STEPS == 0:
            for leg in self.legs.values():
                leg.draw_funding_rate()
        ended, began = self._end_episodes(), self._begin_episodes()
        updates = [
            (leg, up) for leg in self.legs.values() if leg.due_step <= self.index and (up := leg.update(self.index))
        ]
        return StepResult(updates, [(plan, self.judge(plan.pair)) for plan in began], ended)

    def judge(self, pair: str) -> Judgement:
        """Which directions of a pair its books make profitable now."""
        books = {
            leg: found.unit_levels()
            for (name, leg), found in self._by_pair.items()
            if name == pair and not found.is_halted and found.is_listed
        }
        return judge(books)

    def _begin_episodes(self) -> list[EpisodePlan]:
        began = []
        while self._next_plan.start_step <= self.index:
            plan, self._next_plan = self._next_plan, next(self._plans)
            self._displace(plan, plan.displacement_bps)
            self._running.append(plan)
            began.append(plan)
        return began

    def _end_episodes(self) -> list[EpisodePlan]:
        ended = [plan for plan in self._running if plan.end_step <= self.index]
        for plan in ended:
            self._displace(plan, 0.0)
            self._running.remove(plan)
        return ended

    def _displace(self, plan: EpisodePlan, bps: float) -> None:
        leg = self._by_pair[plan.pair, plan.leg]
        leg.displacement_bps = bps
        leg.due_step = self.index

    def _add_pair(self, spec: PairSpec, seed: int) -> None:
        path = PricePath(spec.unit_price, Random(f"{seed}/{spec.pair}"))  # noqa: S311
        self._paths.append(path)
        for listing in spec.listings:
            leg = SimulatedLeg(spec, listing, path, seed)
            self.legs[listing.key] = leg
            self._by_pair[spec.pair, listing.leg] = leg
