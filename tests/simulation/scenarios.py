"""What is played: one fault by its name at one venue, or a stretch of the mix; each gives an Outcome."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from random import Random
from typing import Any

from producers.simulator.faults.active import Fault
from producers.simulator.faults.catalog import BOOK, CATALOG, MIX, VENUE, FaultKind
from producers.simulator.settings import SimulatorSettings
from producers.simulator.universe import BINANCE, PERP, BookKey
from tests.simulation.bounds import FROM_BEFORE, KILLED, LOG_FULL, MIXED, RESYNC_S, SEEDED, START_S, Bound, bound_of
from tests.simulation.rig import REGISTRY_S, Run, running
from tests.simulation.witness import VALID

SYMBOL, SECOND_SYMBOL = "BTCUSDT", "ETHUSDT"
NEVER_S = 1e6
EPISODES = {"first_episode_s": 1.0, "episode_interval_s": 1.5}
"""Arbitrage again and again, so that there are signals to judge."""

PROVOKE_AFTER_S = 0.2
LINGER_S = 1.0
FAULT_S_MAX = 10.0
"""None of those that end lasts longer."""

END_AFTER_S = 8.0
"""A fault ends at a step of the market, which may lag, and a host that refused listens again a little later."""

REGISTRY_FAULT_S = REGISTRY_S + 1.0
"""What the registry has to meet, as where no book asks for a snapshot, is played so long."""

OUR_FAULTS_S = 0.5, 4.0
REFUSED_S = 9.0
ASKED_S = 0.3
"""By then a snapshot is asked for."""

MIX_FIRST_S, MIX_LAST_S = 3.0, 25.0
MIX_PAIRS = 2

UNDISTURBED = {"doubled_frames", "server_shutdown", "delisting_announced"}
"""What no book may notice: the same frame again; a connection that is changed before the venue ends it; a far end."""

LISTED = {"delisting", "listing", "funding_interval_change"}
"""What shows in no book: the registry tells it."""

LASTING = {"delisting", "delisting_announced"}
"""What does not end."""

SEEN_AS = {
    "lost_frames": {"gap"},
    "reordered_frames": {"gap"},
    "crossed_book": {"crossed"},
    "half_open": {"silent", "disconnected"},
    "venue_restart": {"disconnected"},
    "connection_refused": {"disconnected"},
    "delisting": {"delisted"},
    "halting": {"delisted"},
} | {name: {"disconnected"} for name in CATALOG if name.startswith("close_")}
"""States of which a book that a fault concerned must have had one."""


@dataclass(slots=True)
class Outcome:
    """One run: seconds, counts, and in words what was not as stated."""

    fault: str
    seed: int
    place: str
    seen_s: float = 0.0
    recovered_s: float = 0.0
    compared: int = 0
    wrong: int = 0
    signals: int = 0
    false_signals: int = 0
    met: int = 0
    problems: list[str] = field(default_factory=list)


async def play_named(name: str, venue: str, seed: int) -> Outcome:
    """One fault at all markets of a venue that can have it, with what provokes it."""
    outcome = Outcome(name, seed, venue)
    rng = Random(f"{seed}/{name}/{venue}")
    try:
        async with running(_settings(name, seed)) as run:
            await run.until_valid(START_S)
            await asyncio.sleep(rng.uniform(0.0, 1.0))  # any moment between the pings and statuses of a second
            run.witness.forget_states()
            faults = _begin(run, CATALOG[name], venue, rng)
            await _provoke(run, CATALOG[name], faults)
            if name in LISTED:
                outcome.seen_s = await _see_registry(run, bound_of(name).seen_s)
            elif name in LASTING:
                await run.let_pass(REGISTRY_S + 1.0)
            await _recover(run, outcome, faults)
            _note_named(run, outcome, faults)
    except AssertionError as error:
        outcome.problems.append(str(error))
    return outcome


async def play_story(name: str, seed: int) -> Outcome:
    """What no fault of the catalogue does alone: each story breaks every book that it concerns, and heals."""
    outcome = Outcome(name, seed, "all")
    rng = Random(f"{seed}/{name}")
    try:
        async with running(SimulatorSettings(pairs=1, seed=seed, **EPISODES)) as run:
            await run.until_valid(START_S)
            await run.let_pass(rng.uniform(0.0, 1.0))
            run.witness.forget_states()
            concerned = await _STORIES[name](run, rng)
            await run.until(lambda: run.witness.disturbed() >= concerned, END_AFTER_S, run.witness.states)
            await _recover(run, outcome, [])
            _note(run, outcome)
    except AssertionError as error:
        outcome.problems.append(str(error))
    return outcome


async def _kill_producers(run: Run, rng: Random) -> set[BookKey]:
    """Killed without a word, and started anew."""
    await run.kill()
    await asyncio.sleep(rng.uniform(*OUR_FAULTS_S))
    run.start()
    return set(run.witness.books)


async def _fill_log(run: Run, rng: Random) -> set[BookKey]:
    """The log takes nothing for a while."""
    run.sink.has_room = False
    await asyncio.sleep(rng.uniform(*OUR_FAULTS_S))
    run.sink.has_room = True
    return set(run.witness.books)


async def _answer_from_before(run: Run, rng: Random) -> set[BookKey]:
    """Snapshots are on their way while Binance starts anew with other ids: they come on connections that never asked.

    bybit's come on the socket itself.
    """
    concerned = {key for key in run.witness.books if key[0] == BINANCE}
    for venue, market, symbol in concerned:
        run.simulator.inject("slow_rest", venue, market, duration_s=1.0, delay_s=rng.choice((3.0, 6.0)))
        run.simulator.inject("lost_frames", venue, market, symbol, frames=1)
    await run.until(lambda: run.witness.disturbed() >= concerned, END_AFTER_S, run.witness.states)
    await run.let_pass(ASKED_S)
    run.simulator.inject("venue_restart", BINANCE)
    return concerned


async def _stand_on_tops(run: Run, rng: Random) -> set[BookKey]:
    """USD-M's REST refuses everybody: books that are lost stand on the top that the socket brings, again and again."""
    concerned = {key for key in run.witness.books if key[:2] == (BINANCE, PERP)}
    run.simulator.inject("rest_429", BINANCE, PERP, duration_s=REFUSED_S)
    for _ in range(2):
        run.witness.forget_states()
        for venue, market, symbol in concerned:
            run.simulator.inject("lost_frames", venue, market, symbol, frames=1)
        await run.until(lambda: run.witness.disturbed() >= concerned, END_AFTER_S, run.witness.states)
        await run.until_valid(RESYNC_S)
        await run.let_pass(rng.uniform(*OUR_FAULTS_S) / 2)
    seeded = {key for key in concerned if run.witness.is_narrow(key)}
    assert seeded == concerned, f"stood, but not on their tops: {concerned - seeded}"
    return concerned


_STORIES: dict[str, Callable[[Run, Random], Coroutine[None, None, set[BookKey]]]] = {
    KILLED: _kill_producers,
    LOG_FULL: _fill_log,
    FROM_BEFORE: _answer_from_before,
    SEEDED: _stand_on_tops,
}


async def play_mix(seed: int) -> Outcome:
    """Half a minute of the mix, then calm."""
    outcome = Outcome(MIXED, seed, "all")
    settings = SimulatorSettings(
        pairs=MIX_PAIRS, seed=seed, faults=MIX, fault_seed=seed, first_fault_s=MIX_FIRST_S, last_fault_s=MIX_LAST_S,
        **EPISODES,
    )  # fmt: skip
    try:
        async with running(settings) as run:
            await run.until_valid(START_S)
            await run.let_pass(MIX_LAST_S)
            await _recover(run, outcome, [])
            _note(run, outcome)
    except AssertionError as error:
        outcome.problems.append(str(error))
    return outcome


def _settings(name: str, seed: int) -> SimulatorSettings:
    """One pair; and beside it, where that is to be listed, one that no venue lists until then."""
    if name != "listing":
        return SimulatorSettings(pairs=1, seed=seed, **EPISODES)
    return SimulatorSettings(pairs=2, seed=seed, faults=frozenset({name}), first_fault_s=NEVER_S, **EPISODES)


def is_rest(kind: FaultKind) -> bool:
    """Whether a fault concerns requests alone."""
    return "rest" in kind.name.split("_") or kind.name.startswith("region")


def _begin(run: Run, kind: FaultKind, venue: str, rng: Random) -> list[Fault]:
    params = {name: rng.choice(values) for name, values in kind.params.items()}
    duration_s = rng.uniform(*kind.duration_s)
    if is_rest(kind) or kind.name == "halting":
        duration_s = REGISTRY_FAULT_S
    markets = [market for own, market in kind.legs if own == venue]
    if kind.scope == VENUE or (kind.name == "connection_refused" and venue != BINANCE):
        markets = [None]
    symbol = None if kind.scope != BOOK else SECOND_SYMBOL if kind.name == "listing" else SYMBOL
    inject = run.simulator.inject
    return [inject(kind.name, venue, market, symbol, duration_s=duration_s, **params) for market in markets]


async def _provoke(run: Run, kind: FaultKind, faults: list[Fault]) -> None:
    await asyncio.sleep(PROVOKE_AFTER_S)
    for fault in faults:
        if kind.provoked_by == "cut":
            run.simulator.inject("close_1006", fault.venue, fault.market)
        elif kind.provoked_by == "gap" and fault.venue == BINANCE:  # it makes nobody ask Bybit for a snapshot
            run.simulator.inject("lost_frames", fault.venue, fault.market, SYMBOL, frames=1)


async def _see_registry(run: Run, within_s: float) -> float:
    """Wait until the engine knows what the venues list now, and say how long that took."""
    return await run.until(lambda: not _untold(run), within_s, lambda: _untold(run))


def _untold(run: Run) -> list[str]:
    """Delistings and funding intervals that the engine does not know, or knows otherwise."""
    untold = []
    for key, leg in run.simulator.market.legs.items():
        state, hours = run.witness.books[key].state, run.witness.interval_hours(key)
        if not leg.is_listed:
            continue
        if state == "empty":
            untold.append(f"{'/'.join(key)} has no book yet")
        elif leg.is_halted != (state == "delisted"):
            untold.append(f"{'/'.join(key)} is {state}")
        elif not leg.is_halted and hours != leg.listing.funding_interval_hours:
            untold.append(f"{'/'.join(key)} every {hours} h, truly {leg.listing.funding_interval_hours}")
    return untold


async def _recover(run: Run, outcome: Outcome, faults: list[Fault]) -> None:
    """Wait until nothing is broken any more, then until every book stands, and a little longer."""
    bound = bound_of(outcome.fault)
    delay_s = max((fault.params.get("delay_s", 0.0) for fault in faults), default=0.0)
    await run.until(lambda: not _running(run), FAULT_S_MAX + END_AFTER_S, lambda: _running(run))
    outcome.recovered_s = await run.until_valid(bound.recovered_s + delay_s)
    await _see_registry(run, REGISTRY_S + 2.0)
    await run.let_pass(LINGER_S)


def _running(run: Run) -> list[dict[str, Any]]:
    return [row for row in run.simulator.fault_truth if row["end_ns"] is None and row["name"] not in LASTING]


def _note_named(run: Run, outcome: Outcome, faults: list[Fault]) -> None:
    _note(run, outcome)
    if not any(fault.hits for fault in faults):
        outcome.problems.append("the fault met nobody")
    for fault in faults:
        for key in _keys(run, fault) if fault.hits else ():
            states = run.witness.books[key].states
            expected = SEEN_AS.get(outcome.fault)
            if expected is not None and not states & expected:
                outcome.problems.append(f"{'/'.join(key)} was only {sorted(states)}")
            if outcome.fault in UNDISTURBED and states != {VALID}:
                outcome.problems.append(f"{'/'.join(key)} was {sorted(states)}")


def _note(run: Run, outcome: Outcome) -> None:
    witness = run.witness
    bound: Bound = bound_of(outcome.fault)
    behind = {key: watch.behind_max_s for key, watch in witness.books.items()}
    outcome.seen_s = max(outcome.seen_s, *behind.values())
    outcome.compared, outcome.wrong = witness.compared.total(), len(witness.wrong)
    outcome.met = sum(row["hits"] for row in run.simulator.fault_truth)
    outcome.signals = witness.verdicts.counts.total()
    outcome.false_signals = witness.verdicts.counts["untrue"]
    outcome.problems += witness.wrong[:5]
    outcome.problems += [f"dead letter: {text[:300]}" for text in witness.dead[:3]]
    if outcome.seen_s > bound.seen_s:
        late = {"/".join(key): seconds for key, seconds in behind.items() if seconds > bound.seen_s}
        outcome.problems.append(f"seen after {outcome.seen_s:.2f} s, stated are {bound.seen_s}: {late}")
    if outcome.false_signals:
        outcome.problems.append(f"false signals {witness.verdicts.untrue_ids}")
    if min(witness.compared["engine"], witness.compared["producer"]) < 100:
        outcome.problems.append(f"hardly anything was compared: {witness.compared}")


def _keys(run: Run, fault: Fault) -> list[BookKey]:
    return [
        key
        for key in run.witness.books
        if key[0] == fault.venue and fault.market in (None, key[1]) and fault.symbol in (None, key[2])
    ]
