"""The market: one path per seed, quiet without episodes, displaced by exactly one leg with them."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from producers.simulator.economics import direction_name, directions, judge, net_profit
from producers.simulator.market import STEPS_PER_S, Market, SimulatedLeg
from producers.simulator.settings import SimulatorSettings
from producers.simulator.universe import LEGS

NEVER_S = 1e6


def _legs(market: Market, pair: str) -> dict[tuple[str, str], SimulatedLeg]:
    return {leg.listing.leg: leg for leg in market.legs.values() if leg.listing.pair == pair}


def _mid(leg: SimulatedLeg) -> float:
    return sum(leg.book.touch()) / 2


def test_the_same_seed_gives_the_same_path() -> None:
    """Two markets of one seed make the same updates; another seed makes others."""
    one, same, other = (Market(SimulatorSettings(pairs=3, seed=seed)) for seed in (4, 4, 5))
    paths = [[[update for _, update in market.step().updates] for _ in range(400)] for market in (one, same, other)]

    assert paths[0] == paths[1]
    assert paths[0] != paths[2]


def test_a_pair_moves_the_same_whatever_else_is_listed() -> None:
    """Each walk and book draws from its own generator."""
    few, many = (Market(SimulatorSettings(pairs=n, seed=9, first_episode_s=NEVER_S)) for n in (1, 12))
    for _ in range(200):
        few.step()
        many.step()

    for key, leg in few.legs.items():
        assert list(leg.book.bids.top(50)) == list(many.legs[key].book.bids.top(50))


@pytest.mark.parametrize("seed", [1, 2])
def test_no_direction_is_profitable_in_quiet_times(seed: int) -> None:
    """Without episodes noise and basis stay below ten basis points, so nothing is worth a trade."""
    market = Market(SimulatorSettings(pairs=12, seed=seed, first_episode_s=NEVER_S))
    for _ in range(900):
        market.step()
        if market.index % 15 == 0:
            for spec in market.pairs:
                if not spec.ambiguous:
                    assert _best_edge_bps(market, spec.pair) < 10
                    assert market.judge(spec.pair).expected == ()


def _best_edge_bps(market: Market, pair: str) -> float:
    books = {leg: found.unit_levels() for leg, found in _legs(market, pair).items()}
    return max((books[sell][1][0][0] / books[buy][0][0][0] - 1) * 10_000 for buy, sell in directions(books))


def test_books_are_never_crossed_and_always_deep() -> None:
    """Each book has a spread and its levels, in episodes too."""
    market = Market(SimulatorSettings(pairs=4, seed=2, first_episode_s=0.2, episode_interval_s=0.5))
    for _ in range(300):
        for leg, _ in market.step().updates:
            bid, ask = leg.book.touch()
            assert bid < ask
            assert min(len(list(side.top(1000))) for side in (leg.book.bids, leg.book.asks)) >= 200


def test_an_episode_moves_both_sides_of_one_leg_at_once_and_back() -> None:
    """At its first step the leg's book stands off by the displacement, after its last one no more."""
    market = Market(SimulatorSettings(pairs=2, seed=3, first_episode_s=1.0, episode_interval_s=30))
    began = None
    before: dict[tuple[str, str], float] = {}
    while began is None:
        before = {leg.listing.key: _mid(leg) for leg in market.legs.values()}
        result = market.step()
        began = result.began[0][0] if result.began else None
    moved = {
        leg.listing.leg: (_mid(leg) / before[leg.listing.key] - 1) * 10_000
        for leg in _legs(market, began.pair).values()
    }

    assert moved.pop(began.leg) == pytest.approx(began.displacement_bps, abs=4)
    assert all(abs(bps) < 4 for bps in moved.values())
    assert began.leg in [leg.listing.leg for leg, _ in result.updates]

    while not (result := market.step()).ended:
        pass
    assert market.index == began.end_step
    assert _best_edge_bps(market, began.pair) < 10


def test_profitable_plans_are_profitable_and_noise_is_not() -> None:
    """Of many episodes each that is meant as an opportunity is one in the books, and none of the small ones."""
    labels = []
    for seed in range(1, 5):
        market = Market(SimulatorSettings(pairs=5, seed=seed, first_episode_s=0.5, episode_interval_s=0.8))
        for _ in range(25 * STEPS_PER_S):
            labels += [(plan.profitable, judgement) for plan, judgement in market.step().began]

    assert len(labels) > 80
    assert {bool(label.expected) for profitable, label in labels if profitable} == {True}
    assert {label.expected + label.borderline for profitable, label in labels if not profitable} == {()}


def test_rates_are_those_of_the_table() -> None:
    """A book updates as often per second as its listing says."""
    market = Market(SimulatorSettings(pairs=5, seed=1, first_episode_s=NEVER_S))
    counts = dict.fromkeys(market.legs, 0)
    seconds = 20
    for _ in range(seconds * STEPS_PER_S):
        for leg, _ in market.step().updates:
            counts[leg.listing.key] += 1

    for key, count in counts.items():
        assert count / seconds == pytest.approx(market.legs[key].listing.updates_per_s, rel=0.1)


def test_the_ambiguous_pair_has_two_prices_and_no_episodes() -> None:
    """From eight pairs on one ticker means two assets, and no labelled episode is put there."""
    market = Market(SimulatorSettings(pairs=8, seed=1, first_episode_s=0.1, episode_interval_s=0.3))
    legs = _legs(market, "ONE-USDT")
    pairs = {plan.pair for _ in range(1500) for plan, _ in market.step().began}

    assert legs["bybit", "perp"].index_price / legs["binance", "perp"].index_price > 1.02
    assert len(pairs) == 7
    assert "ONE-USDT" not in pairs


def test_funding_rates_are_small_and_change() -> None:
    """Eight hours of any leg's funding stay near one basis point, so carry makes no profit by itself."""
    market = Market(SimulatorSettings(pairs=5, seed=1))
    perps = [leg for leg in market.legs.values() if leg.listing.funding_interval_hours]
    first = [leg.funding_rate for leg in perps]
    for _ in range(11 * STEPS_PER_S):
        market.step()

    assert [leg.funding_rate for leg in perps] != first
    for leg in perps:
        assert 0.5e-4 < leg.funding_rate * 8 / (leg.listing.funding_interval_hours or 8) < 1.5e-4


def test_the_directions_are_the_routes_across_venues() -> None:
    """perp>perp, spot>spot and spot>perp between different venues: six directions for four legs."""
    assert sorted(direction_name(buy, sell) for buy, sell in directions(LEGS)) == [
        "binance:perp>bybit:perp",
        "binance:spot>bybit:perp",
        "binance:spot>bybit:spot",
        "bybit:perp>binance:perp",
        "bybit:spot>binance:perp",
        "bybit:spot>binance:spot",
    ]


def test_net_profit_of_a_walk_is_what_one_computes_by_hand() -> None:
    """One level of 10 units at 100 against 101 on perps: gross 10 USD less twice the fees and one slippage a leg."""
    usd, bps = net_profit(("binance", "perp"), ("bybit", "perp"), [(100.0, 10.0), (102.0, 10.0)], [(101.0, 30.0)])
    expected = 10 - 2 * (1000 * 5 + 1010 * 5.5) / 10_000 - (1000 + 1010) / 10_000

    assert usd == pytest.approx(expected)
    assert bps == pytest.approx(expected / 1000 * 10_000)


def test_the_walk_ends_at_the_highest_notional() -> None:
    """Deeper books than 50,000 USD add nothing."""
    usd, bps = net_profit(("binance", "spot"), ("bybit", "spot"), [(100.0, 1e6)], [(102.0, 1e6)])

    assert usd == pytest.approx(50_000 * bps / 10_000)


@given(edge_bps=st.floats(-50, 200), size=st.floats(1, 1e4))
@settings(max_examples=100)
def test_a_judgement_is_either_expected_or_borderline(edge_bps: float, size: float) -> None:
    """No direction is both, and none below the gates is expected."""
    bid = 100.0 * (1 + edge_bps / 10_000)
    books = {
        ("binance", "perp"): ([(100.0, size)], [(99.0, size)]),
        ("bybit", "perp"): ([(210.0, size)], [(bid, size)]),
    }
    judgement = judge(books)

    assert not set(judgement.expected) & set(judgement.borderline)
    assert not judgement.expected or edge_bps > 27


def test_ticks_and_lots_are_powers_of_ten() -> None:
    """Every listing of the whole universe has a tick under ten basis points and a lot that is worth little."""
    for leg in Market(SimulatorSettings(pairs=50, seed=1)).legs.values():
        listing = leg.listing
        assert float(listing.tick_size) / listing.price < 1e-3
        assert listing.lot_size <= 1
        assert listing.lot_size * Decimal(listing.price) <= 100
