"""The small parts: universe, plans, ladders, histories, texts, weights, settings."""

from itertools import islice, pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mts_stream.errors import SettingsError
from producers.simulator.book import ASK, BID, LEVELS, Book, Ladder
from producers.simulator.episodes import REST_S, plan_episodes
from producers.simulator.funding import next_funding_ms
from producers.simulator.history import BookHistory
from producers.simulator.settings import SimulatorSettings
from producers.simulator.text import LevelText
from producers.simulator.universe import PAIRS_MAX, Listing, build_universe
from producers.simulator.weights import WeightMeter, retry_after_s


def _listing(pair: str, venue: str, market: str) -> Listing:
    specs = {spec.pair: spec for spec in build_universe(PAIRS_MAX)}
    return next(listing for listing in specs[pair].listings if listing.leg == (venue, market))


@pytest.mark.parametrize(
    ("pair", "venue", "market", "symbol", "multiplier"),
    [
        ("PEPE-USDT", "binance", "spot", "PEPEUSDT", 1),
        ("PEPE-USDT", "binance", "perp", "1000PEPEUSDT", 1000),
        ("SHIB-USDT", "bybit", "perp", "SHIB1000USDT", 1000),
        ("SATS-USDT", "binance", "spot", "1000SATSUSDT", 1000),
        ("SATS-USDT", "bybit", "perp", "10000SATSUSDT", 10_000),
        ("BABYDOGE-USDT", "binance", "perp", "1MBABYDOGEUSDT", 1_000_000),
        ("1INCH-USDT", "bybit", "spot", "1INCHUSDT", 1),
    ],
)
def test_symbols_are_spelled_as_each_venue_does(
    pair: str, venue: str, market: str, symbol: str, multiplier: int
) -> None:
    """Multipliers hide in prefixes and suffixes, differently per venue, and some digits are part of the name."""
    listing = _listing(pair, venue, market)

    assert (listing.symbol, listing.multiplier) == (symbol, multiplier)


def test_plans_leave_each_pair_alone_between_its_episodes() -> None:
    """Episodes start one after the other, never two on one pair, some of them too small to pay."""
    plans = list(islice(plan_episodes(build_universe(5), Random(1), 6.0, 3.5, 50), 200))
    gaps = [later.start_step - earlier.start_step for earlier, later in pairwise(plans)]

    assert plans[0].start_step == 300
    assert sum(gaps) / len(gaps) / 50 == pytest.approx(3.5, rel=0.2)
    assert sum(not plan.profitable for plan in plans) == 50
    assert {plan.leg for plan in plans} == {listing.leg for listing in build_universe(1)[0].listings}
    for pair in {plan.pair for plan in plans}:
        own = [plan for plan in plans if plan.pair == pair]
        assert all(b.start_step - a.end_step >= REST_S * 50 - 1 for a, b in pairwise(own))
    assert all(0.4 <= (plan.end_step - plan.start_step) / 50 <= 5.02 for plan in plans)


@given(slot_ticks=st.integers(1, 5000), mid=st.floats(1e4, 1e7), seed=st.integers(0, 1000))
def test_a_touch_encloses_the_mid_and_prices_never_collide(slot_ticks: int, mid: float, seed: int) -> None:
    """Bids lie at or below the mid and asks above it; keys away from the touch have prices away from it."""
    book = Book(_listing("BTC-USDT", "bybit", "perp"), 845_500.0, Random(seed))
    book.slot_ticks = slot_ticks
    bids, asks = Ladder(BID, slot_ticks), Ladder(ASK, slot_ticks)
    bid, ask = book._touch_keys(mid)
    bid_prices = [bids.price(bid + depth) for depth in range(5)]
    ask_prices = [asks.price(ask + depth) for depth in range(5)]

    assert bid_prices[0] <= mid <= ask_prices[0] + 1
    assert bid_prices == sorted(set(bid_prices), reverse=True)
    assert ask_prices == sorted(set(ask_prices))


@settings(max_examples=40)
@given(moves=st.lists(st.floats(-0.03, 0.03), min_size=1, max_size=12), seed=st.integers(0, 1000))
def test_changes_are_exactly_what_turns_one_book_into_the_next(moves: list[float], seed: int) -> None:
    """Applying every change to the first book gives the last one, however far the price jumped."""
    listing = _listing("ETH-USDT", "binance", "perp")
    book = Book(listing, 315_000.0, Random(seed))
    history = BookHistory(book.last_id, book.bids.top(LEVELS), book.asks.top(LEVELS), 1000)
    mid = 315_000.0
    for move in moves:
        mid *= 1 + move
        update = book.update(mid)
        assert update is not None
        assert update.first_id <= update.last_id == book.last_id
        history.add(update.last_id, update.changes)
        assert history.at(book.last_id) == (dict(book.bids.top(LEVELS)), dict(book.asks.top(LEVELS)))


def test_a_history_forgets_beyond_its_bound() -> None:
    """What is older than the kept updates is refused, not guessed; between two ids the earlier book holds."""
    history = BookHistory(10, [(5, 1)], [(6, 1)], 2)
    for sequence in (20, 30, 40):
        history.add(sequence, [(BID, 5, sequence)])

    assert [history.at(sequence)[BID][5] for sequence in (20, 29, 30, 40)] == [20, 20, 30, 40]
    with pytest.raises(LookupError):
        history.at(19)


@given(asked=st.lists(st.integers(0, 60), max_size=60))
def test_a_history_answers_in_whatever_order_it_is_asked(asked: list[int]) -> None:
    """Each answer is a book of its own, whatever was asked before, while updates come in and old ones go."""
    history = BookHistory(0, [(500, 9)], [(600, 1)], 20)
    for sequence, question in enumerate(asked, start=1):
        history.add(sequence, [(BID, 500, sequence), (BID, sequence, 1)])
        if not history.holds(question):
            with pytest.raises(LookupError):
                history.at(question)
            continue
        bids, asks = history.at(question)
        assert bids == {500: question or 9} | dict.fromkeys(range(1, question + 1), 1)
        assert asks == {600: 1}
        bids.clear()
        asks.clear()


@pytest.mark.parametrize(
    ("pair", "venue", "market", "price", "size", "none"),
    [
        ("BTC-USDT", "binance", "spot", "12.34000000", "0.07890000", "0.00000000"),
        ("BTC-USDT", "binance", "perp", "1234.5", "0.789", "0.000"),
        ("PEPE-USDT", "binance", "spot", "0.00012345", "789.00000000", "0.00000000"),
        ("PEPE-USDT", "bybit", "perp", "0.0012345", "789", "0"),
    ],
)
def test_numbers_are_printed_as_the_venue_does(
    pair: str, venue: str, market: str, price: str, size: str, none: str
) -> None:
    """Binance spot always has eight digits, the others those of tick and lot; Bybit removes with a bare 0."""
    listing = _listing(pair, venue, market)
    text = LevelText(listing, "0" if venue == "bybit" else None)
    lots = round(float(size) * 10**listing.size_digits)

    assert text.price(round(float(price) * 10**listing.price_digits)) == price
    assert (text.size(lots), text.size(0)) == (size, none)


def test_the_price_cache_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A price that wanders far does not fill the memory."""
    monkeypatch.setattr("producers.simulator.text._CACHED_PRICES_MAX", 3)
    text = LevelText(_listing("BTC-USDT", "bybit", "perp"))

    assert [text.price(ticks) for ticks in range(10)] == [f"0.{ticks}" for ticks in range(10)]
    assert len(text._prices) <= 3


def test_a_perp_settles_at_whole_intervals_of_the_epoch() -> None:
    """The next settlement is after now, also at the very moment of one; spot has none."""
    hour_ms = 3_600_000
    four = _listing("SOL-USDT", "binance", "perp")

    assert four.funding_interval_hours == 4
    assert next_funding_ms(four, 4 * hour_ms - 1) == 4 * hour_ms
    assert next_funding_ms(four, 4 * hour_ms) == 8 * hour_ms
    assert next_funding_ms(_listing("SOL-USDT", "binance", "spot"), 5) == 0


def test_weights_are_counted_by_the_minute() -> None:
    """Above the limit a request is refused until the next minute begins."""
    meter = WeightMeter(10)

    assert [meter.take(5, at) for at in (0, 1000, 59_999, 60_000)] == [True, True, False, True]
    assert meter.used == 5
    assert [retry_after_s(at) for at in (0, 59_500, 59_999)] == [60, 1, 1]


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("pairs", {"pairs": 0}),
        ("connection_life_s", {"connection_life_s": 0.0}),
        ("pairs", {"pairs": 51}),
        ("port_base", {"port_base": 80}),
        ("first", {"first_episode_s": -1}),
    ],
)
def test_a_setting_out_of_range_is_named(name: str, wrong: dict[str, int]) -> None:
    """Bad numbers are refused with the setting's name."""
    with pytest.raises(SettingsError, match=name):
        SimulatorSettings(**wrong)  # type: ignore[arg-type]
