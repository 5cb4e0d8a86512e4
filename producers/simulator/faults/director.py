"""Plays the faults of a run: begins what the schedule or a test asks for, ends what is over, keeps the truth of it."""

import itertools
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from producers.simulator.faults.active import Fault
from producers.simulator.faults.catalog import CATALOG, VENUE, FaultKind
from producers.simulator.faults.effects import Effects
from producers.simulator.faults.schedule import FaultPlan, plan_faults
from producers.simulator.faults.truth import FaultTruth
from producers.simulator.settings import STEP_MS, SimulatorSettings
from producers.simulator.world import World

STEPS_PER_S = 1000 // STEP_MS


class FaultDirector:
    """The faults of one run; everything happens at a step of the market, there is no timer."""

    def __init__(self, world: World, settings: SimulatorSettings, clock_ns: Callable[[], int]) -> None:
        self._world, self._clock_ns = world, clock_ns
        self._active = world.faults.active
        self._effects = Effects(world, Random(f"{settings.fault_seed}/ids"))  # noqa: S311
        self._truth: FaultTruth | None = None
        self._truth_file = settings.fault_truth_file
        self._numbers = itertools.count()
        listings = [leg.listing for leg in world.market.legs.values()]
        plans = plan_faults(settings.faults, listings, settings.fault_seed, settings.first_fault_s)
        self._plans: Iterator[FaultPlan] = itertools.takewhile(
            lambda plan: plan.start_s <= settings.last_fault_s, plans
        )
        self._next = next(self._plans, None)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The faults so far, the running ones with `end_ns` None."""
        return [] if self._truth is None else self._truth.rows

    def start(self) -> None:
        """Open the truth file."""
        self._truth = FaultTruth(self._truth_file)

    def stop(self) -> None:
        """End the record."""
        if self._truth is not None:
            self._truth.close(self._active.all(), self._clock_ns())

    async def step(self, now_ns: int) -> None:
        """End and begin what is due before the market's next step."""
        self._active.step = self._world.market.index
        if self._active:
            for fault in self._active.take_over():
                self._end(fault, now_ns)
        while self._next is not None and self._next.start_s * STEPS_PER_S <= self._active.step:
            plan, self._next = self._next, next(self._plans, None)
            self._begin(plan, now_ns)
        await self._effects.settle()

    def inject(
        self,
        name: str,
        venue: str,
        market: str | None,
        symbol: str | None,
        duration_s: float | None,
        params: dict[str, Any],
    ) -> Fault:
        """Begin a fault now; ValueError for a name, place or parameter that is not of the catalogue."""
        kind = CATALOG.get(name)
        if kind is None or not params.keys() <= kind.params.keys():
            raise ValueError(f"no fault {name!r} with {sorted(params)}")
        if not any(venue == leg[0] and market in (None, leg[1]) for leg in kind.legs):
            raise ValueError(f"{name} cannot be at {venue} {market}")
        if not any(self._world.legs(venue, market, symbol)):
            raise ValueError(f"{symbol} is not listed at {venue} {market}")
        duration_s = kind.duration_s[1] if duration_s is None else duration_s
        plan = FaultPlan(name, 0.0, duration_s, venue, None if kind.scope == VENUE else market, symbol, params)
        return self._begin(plan, self._clock_ns())

    def _begin(self, plan: FaultPlan, now_ns: int) -> Fault:
        kind, step = CATALOG[plan.name], self._world.market.index
        params = _with_defaults(kind, plan.params)
        fault = Fault(
            id=next(self._numbers),
            name=plan.name,
            venue=plan.venue,
            market=plan.market,
            symbol=plan.symbol,
            params=params,
            start_ns=now_ns,
            until_step=step + plan.duration_s * STEPS_PER_S,
            left=None if kind.counted is None else params[kind.counted],
        )
        if self._truth is not None:
            self._truth.begin(fault)
        self._active.add(fault)
        self._effects.begin(fault)
        return fault

    def _end(self, fault: Fault, now_ns: int) -> None:
        self._effects.end(fault)
        if self._truth is not None:
            self._truth.end(fault, now_ns)


def _with_defaults(kind: FaultKind, params: dict[str, Any]) -> dict[str, Any]:
    return {name: values[0] for name, values in kind.params.items()} | params
