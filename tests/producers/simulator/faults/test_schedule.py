"""The schedule of faults: pure, seeded, every class within a minute, at places where it can be."""

from itertools import islice, pairwise, takewhile

import pytest

from mts_stream.errors import SettingsError
from producers.simulator.faults.catalog import BOOK, CATALOG, MIX, VENUE
from producers.simulator.faults.schedule import GAP_S_MAX, FaultPlan, plan_faults
from producers.simulator.settings import SimulatorSettings
from producers.simulator.universe import LEGS, Leg, Listing, build_universe

FIRST_S = SimulatorSettings().first_fault_s


def _listings(pairs: int) -> list[Listing]:
    return [listing for spec in build_universe(pairs) for listing in spec.listings]


def _until(seconds: float, seed: int, pairs: int = 5, names: frozenset[str] = MIX) -> list[FaultPlan]:
    plans = plan_faults(names, _listings(pairs), seed, FIRST_S)
    return list(takewhile(lambda plan: plan.start_s < seconds, plans))


@pytest.mark.parametrize("pairs", [5, 50])
@pytest.mark.parametrize("seed", range(20))
def test_every_class_of_the_mix_is_played_within_a_minute(seed: int, pairs: int) -> None:
    """Each seed has its own order, and leaves five seconds for the last one to show."""
    assert {plan.name for plan in _until(55, seed, pairs)} == MIX


def test_the_same_seed_gives_the_same_plans() -> None:
    """Nothing but the arguments decides."""
    assert _until(150, seed=3) == _until(150, seed=3)
    assert _until(150, seed=3) != _until(150, seed=4)


@pytest.mark.parametrize("seed", range(20))
def test_faults_are_where_they_can_be(seed: int) -> None:
    """Places, symbols and parameters are those of the catalogue; plans come in the order of their start."""
    listed = {listing.key for listing in _listings(5)}
    plans = _until(200, seed)

    assert sorted(plan.start_s for plan in plans) == [plan.start_s for plan in plans]
    for plan in plans:
        kind = CATALOG[plan.name]
        assert any(leg[0] == plan.venue and plan.market in (None, leg[1]) for leg in kind.legs)
        assert (plan.symbol is not None) == (kind.scope == BOOK)
        assert (plan.venue, plan.market, plan.symbol) in listed or plan.symbol is None
        assert plan.market is not None or kind.scope == VENUE or plan.name == "connection_refused"
        assert all(plan.params[name] in kind.params[name] for name in plan.params)


@pytest.mark.parametrize("pairs", [2, 5, 20])
@pytest.mark.parametrize("seed", range(100))
def test_a_fault_comes_when_clients_have_settled_since_the_last_one(seed: int, pairs: int) -> None:
    """A REST fault in the pause that a 429 asked for, or a cut of sockets that are down already, would meet nobody."""
    plans = _until(150, seed, pairs)
    provoked = {id(after) for plan, after in pairwise(plans) if CATALOG[plan.name].provoked_by}
    settled_s: dict[Leg, float] = {}
    for plan in plans:
        kind, concerned = (
            CATALOG[plan.name],
            [leg for leg in LEGS if leg[0] == plan.venue and plan.market in (None, leg[1])],
        )
        if id(plan) in provoked or not kind.settles_s:
            continue
        assert all(settled_s.get(leg, 0.0) <= plan.start_s for leg in concerned), plan
        until_s = plan.start_s + plan.duration_s + plan.params.get("delay_s", 0.0) + kind.settles_s
        settled_s |= dict.fromkeys(concerned, until_s)


@pytest.mark.parametrize("seed", range(20))
def test_requests_are_provoked_at_a_book_that_waits_for_none(seed: int) -> None:
    """The gap is in another book than the last fault of its leg: one that waits for a snapshot asks for no other."""
    touched: dict[Leg, str] = {}
    gaps = 0
    for earlier, plan in pairwise(_until(200, seed)):
        if plan.symbol is None or plan.market is None:
            continue
        if CATALOG[earlier.name].provoked_by == "gap":
            gaps += 1
            assert plan.name == "lost_frames" and plan.symbol != touched.get((plan.venue, plan.market))
        touched[plan.venue, plan.market] = plan.symbol
    assert gaps > 10


@pytest.mark.parametrize("seed", range(50))
def test_nothing_happens_to_a_book_that_has_ended(seed: int) -> None:
    """No frame of a delisted book could be lost."""
    plans = _until(150, seed, pairs=2)
    ended = next(plan for plan in plans if plan.name == "delisting")
    later = [plan for plan in plans if plan.start_s > ended.start_s]

    assert later and all(
        (plan.venue, plan.market, plan.symbol) != (ended.venue, ended.market, ended.symbol) for plan in later
    )


def test_a_delisting_happens_once_and_to_the_smallest_pair() -> None:
    """It lasts, so a long run would lose its market otherwise."""
    delisted = [plan for plan in _until(600, seed=1) if plan.name == "delisting"]

    assert len(delisted) == 1
    assert delisted[0].symbol in {listing.symbol for listing in build_universe(5)[-1].listings}


def test_named_faults_come_alone_and_often() -> None:
    """With few names the gaps are short; a provoked one brings what provokes it."""
    single = _until(60, 1, names=frozenset({"crossed_book"}))
    provoked = list(islice(plan_faults({"ack_missing"}, _listings(2), 1, 0.0), 4))

    assert {plan.name for plan in single} == {"crossed_book"}
    assert len(single) >= (60 - FIRST_S) / GAP_S_MAX
    assert [plan.name for plan in provoked] == ["ack_missing", "close_1006"] * 2
    assert provoked[0].market == provoked[1].market
    assert not list(plan_faults((), _listings(2), 1, 0.0))


def test_refused_regions_are_played_by_name_alone() -> None:
    """They end all use of the venue, so the mix has none."""
    assert {"region_403", "region_451"} <= CATALOG.keys() - MIX


@pytest.mark.parametrize("wrong", [{"faults": frozenset({"nope"})}, {"first_fault_s": -1.0}])
def test_unknown_faults_are_refused(wrong: dict[str, object]) -> None:
    """The settings name what is wrong and what is known."""
    with pytest.raises(SettingsError, match=r"nope|first_fault_s"):
        SimulatorSettings(**wrong)  # type: ignore[arg-type]
