"""From the venues' lists to pairs: grouping, multipliers, quarantine, selection."""

from decimal import Decimal
from typing import Any

import pytest

from mts_stream.errors import SettingsError
from mts_stream.exchanges.venue import InstrumentFigures, ListedInstrument
from producers.listings import MarketKey, MarketList, build_catalogue, narrowed, select

BINANCE_PERP, BYBIT_PERP, BYBIT_SPOT = ("binance", "perp"), ("bybit", "perp"), ("bybit", "spot")


def listed(key: MarketKey, base: str, **changes: Any) -> ListedInstrument:
    """An ordinary instrument."""
    fields: dict[str, Any] = {
        "symbol": f"{base}USDT", "base": base, "quote": "USDT", "tick_size": "0.1", "lot_size": "0.01",
        "min_notional": "5", "status": "trading",
    }  # fmt: skip
    return ListedInstrument(key[0], key[1], **(fields | changes))


def lists(*rows: tuple[MarketKey, str, str, str]) -> dict[MarketKey, MarketList]:
    """Markets with instruments: market, base, reference price, turnover."""
    made: dict[MarketKey, MarketList] = {}
    for key, base, price, turnover in rows:
        standing = made.get(key, MarketList([], {}))
        figures = {**standing.figures, f"{base}USDT": InstrumentFigures(price, turnover)}
        made[key] = MarketList([*standing.instruments, listed(key, base)], figures)
    return made


def test_spellings_of_one_asset_are_one_pair() -> None:
    """1000SHIB here and SHIB1000 there; 1000SATS and 10000SATS differ by ten in price, not in worth."""
    catalogue = build_catalogue(
        lists(
            (BINANCE_PERP, "1000SHIB", "0.0283", "9"), (BYBIT_PERP, "SHIB1000", "0.0284", "9"),
            (BYBIT_SPOT, "SHIB", "0.0000283", "9"),
            (BINANCE_PERP, "1000SATS", "0.000231", "9"), (BYBIT_PERP, "10000SATS", "0.00231", "9"),
        )
    )  # fmt: skip

    assert sorted(catalogue.candidates) == ["SATS-USDT", "SHIB-USDT"]
    shib, sats = (catalogue.candidates[p].listing for p in ("SHIB-USDT", "SATS-USDT"))
    assert [(i.leg, i.symbol, i.multiplier) for i in shib.legs] == [
        ("binance:perp", "1000SHIBUSDT", 1000),
        ("bybit:perp", "SHIB1000USDT", 1000),
        ("bybit:spot", "SHIBUSDT", 1),
    ]
    assert [i.multiplier for i in sats.legs] == [1000, 10_000]
    assert shib.quarantined is None and sats.quarantined is None


def test_legs_that_differ_by_more_than_two_percent_are_quarantined() -> None:
    """Same ticker, other asset; exactly two percent is not more; an unknown price says nothing."""
    catalogue = build_catalogue(
        lists(
            (BINANCE_PERP, "ONE", "1", "9"), (BYBIT_PERP, "ONE", "1.9", "9"),
            (BINANCE_PERP, "EDGE", "100", "9"), (BYBIT_PERP, "EDGE", "102", "9"),
            (BINANCE_PERP, "DARK", "100", "9"), (BYBIT_PERP, "DARK", "0", "9"),
        )
    )  # fmt: skip

    reasons = {pair: c.listing.quarantined for pair, c in catalogue.candidates.items()}
    assert reasons == {
        "ONE-USDT": "reference prices of binance:perp and bybit:perp differ by more than 2 %",
        "EDGE-USDT": None,
        "DARK-USDT": None,
    }


def test_two_instruments_of_one_market_leave_the_busier_one() -> None:
    """Whichever comes first; the other one's exclusion has its reason."""
    for order in (1, -1):
        rows = [(BYBIT_PERP, "PEPE", "1", "5"), (BYBIT_PERP, "1000PEPE", "1000", "9")][::order]
        catalogue = build_catalogue(lists(*rows))
        assert [i.symbol for i in catalogue.candidates["PEPE-USDT"].listing.legs] == ["1000PEPEUSDT"]
        assert catalogue.excluded == {
            ("bybit", "perp", "PEPEUSDT"): "1000PEPEUSDT trades the same pair with a higher turnover"
        }


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"unfit": "type stock"}, "type stock"),
        ({"lot_size": "0"}, "unreadable numbers: lot size 0"),
        ({"tick_size": "x"}, "unreadable numbers"),
    ],
)
def test_an_exclusion_has_its_reason(changes: dict[str, Any], reason: str) -> None:
    """What the venue says, or numbers that cannot be."""
    catalogue = build_catalogue({BYBIT_PERP: MarketList([listed(BYBIT_PERP, "X", **changes)], {})})
    assert catalogue.excluded["bybit", "perp", "XUSDT"].startswith(reason)
    assert not [c for c in catalogue.candidates.values() if c.listing.legs]


def test_the_interval_of_the_figures_wins() -> None:
    """They are newer; spot has none."""
    figures = {"XUSDT": InstrumentFigures("1", "1", 4)}
    perp = MarketList([listed(BYBIT_PERP, "X", funding_interval_hours=8)], figures)
    spot = MarketList([listed(BYBIT_SPOT, "X")], figures)
    legs = build_catalogue({BYBIT_PERP: perp, BYBIT_SPOT: spot}).candidates["X-USDT"].listing.legs
    assert [leg.funding_interval_hours for leg in legs] == [4, None]


def wide() -> Any:
    """Three pairs of two venues and one of one."""
    return build_catalogue(
        lists(
            (BINANCE_PERP, "BTC", "1", "100"), (BYBIT_PERP, "BTC", "1", "10"), (BYBIT_SPOT, "BTC", "1", "10"),
            (BINANCE_PERP, "ETH", "1", "30"), (BYBIT_PERP, "ETH", "1", "30"),
            (BINANCE_PERP, "SOL", "1", "1000"), (BYBIT_PERP, "SOL", "1", "1"),
            (BINANCE_PERP, "LONELY", "1", "9999"),
        )
    )  # fmt: skip


def test_the_top_is_ranked_by_the_smaller_turnover() -> None:
    """A pair that one venue hardly trades comes last, one that it does not list never."""
    assert [listing.pair for listing in select(wide(), "", 10)] == ["ETH-USDT", "BTC-USDT", "SOL-USDT"]
    assert [listing.pair for listing in select(wide(), "", 1)] == ["ETH-USDT"]
    assert wide().candidates["LONELY-USDT"].smaller_turnover_usd == Decimal(0)


def test_pairs_can_be_named() -> None:
    """In any case and order, one venue is enough then."""
    assert [listing.pair for listing in select(wide(), " sol-usdt, BTC-USDT,,LONELY-USDT ", 1)] == [
        "BTC-USDT", "SOL-USDT", "LONELY-USDT",
    ]  # fmt: skip


def test_an_unknown_pair_is_named_with_the_nearest() -> None:
    """Exit 2."""
    with pytest.raises(SettingsError, match="PAIRS: no venue lists 'BTT-USDT'; the nearest are BTC-USDT"):
        select(wide(), "BTT-USDT", 1)


def test_the_top_takes_only_legs_that_trade() -> None:
    """A halted leg is left out, and the pair with it if its venue has no other."""
    halted = MarketList([listed(BINANCE_PERP, "X", status="halted")], {})
    trading = MarketList([listed(BYBIT_PERP, "X")], {})
    assert select(build_catalogue({BINANCE_PERP: halted, BYBIT_PERP: trading}), "", 5) == []


def test_a_listing_is_narrowed_to_what_was_selected() -> None:
    """New legs do not join a running process; quarantine is judged on those that stay."""
    listing = wide().candidates["BTC-USDT"].listing
    small = narrowed(listing, [("bybit", "perp", "BTCUSDT"), ("binance", "perp", "BTCUSDT")])
    assert [leg.leg for leg in small.legs] == ["binance:perp", "bybit:perp"]
