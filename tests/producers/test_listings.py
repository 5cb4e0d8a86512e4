"""From the venues' lists to pairs: grouping, multipliers, quarantine, selection."""

from decimal import Decimal
from typing import Any

import pytest

from mts_stream.errors import SettingsError
from mts_stream.exchanges.venue import InstrumentFigures, ListedInstrument
from producers.listings import Catalogue, Explanation, MarketList, Selection, build_catalogue
from producers.quarantine import MarketKey

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
    shib, sats = (catalogue.candidates[p] for p in ("SHIB-USDT", "SATS-USDT"))
    assert [(i.leg, i.symbol, i.multiplier) for i in shib.legs] == [
        ("binance:perp", "1000SHIBUSDT", 1000),
        ("bybit:perp", "SHIB1000USDT", 1000),
        ("bybit:spot", "SHIBUSDT", 1),
    ]
    assert [i.multiplier for i in sats.legs] == [1000, 10_000]


def test_two_instruments_of_one_market_leave_the_busier_one() -> None:
    """Whichever comes first; the other one's exclusion has its reason."""
    for order in (1, -1):
        rows = [(BYBIT_PERP, "PEPE", "1", "5"), (BYBIT_PERP, "1000PEPE", "1000", "9")][::order]
        catalogue = build_catalogue(lists(*rows))
        assert [i.symbol for i in catalogue.candidates["PEPE-USDT"].legs] == ["1000PEPEUSDT"]
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
    assert not [c for c in catalogue.candidates.values() if c.legs]


def test_the_interval_of_the_figures_wins() -> None:
    """They are newer; spot has none."""
    figures = {"XUSDT": InstrumentFigures("1", "1", 4)}
    perp = MarketList([listed(BYBIT_PERP, "X", funding_interval_hours=8)], figures)
    spot = MarketList([listed(BYBIT_SPOT, "X")], figures)
    legs = build_catalogue({BYBIT_PERP: perp, BYBIT_SPOT: spot}).candidates["X-USDT"].legs
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


def chosen(catalogue: Catalogue, pairs: str, top: int) -> list[str]:
    """What a selection takes."""
    selection = Selection(pairs, top)
    selection.check(catalogue)
    return selection.pairs(catalogue)


def test_what_nobody_trades_is_not_among_the_largest() -> None:
    """A venue whose tickers fail for some symbols lets no strangers in."""
    catalogue = build_catalogue(lists((BINANCE_PERP, "X", "1", "5"), (BYBIT_PERP, "X", "1", "0")))
    assert chosen(catalogue, "", 5) == []
    assert chosen(catalogue, "X-USDT", 5) == ["X-USDT"]


def test_the_top_is_ranked_by_the_smaller_turnover() -> None:
    """A pair that one venue hardly trades comes last, one that it does not list never."""
    assert chosen(wide(), "", 10) == ["ETH-USDT", "BTC-USDT", "SOL-USDT"]
    assert chosen(wide(), "", 1) == ["ETH-USDT"]
    assert wide().candidates["LONELY-USDT"].smaller_turnover_usd == Decimal(0)


def test_pairs_can_be_named() -> None:
    """In any case and order, one venue is enough then."""
    assert chosen(wide(), " sol-usdt, BTC-USDT,,LONELY-USDT ", 1) == ["BTC-USDT", "SOL-USDT", "LONELY-USDT"]


def test_an_unknown_pair_is_named_with_the_nearest() -> None:
    """Exit 2."""
    with pytest.raises(SettingsError, match="PAIRS: no venue lists 'BTT-USDT'; the nearest are BTC-USDT"):
        chosen(wide(), "BTT-USDT", 1)


@pytest.mark.parametrize("changes", [{"status": "halted"}, {"delisting_ms": 1_900_000_000_000}])
def test_the_top_takes_only_legs_that_trade_and_go_on(changes: dict[str, Any]) -> None:
    """A halted or ending leg is left out, and the pair with it if its venue has no other; a name takes it."""
    out = MarketList([listed(BINANCE_PERP, "X", **changes)], {})
    trading = MarketList([listed(BYBIT_PERP, "X")], {})
    catalogue = build_catalogue({BINANCE_PERP: out, BYBIT_PERP: trading})
    assert chosen(catalogue, "", 5) == []
    assert [leg.leg for leg in Selection("", 5).joining_legs(catalogue.candidates["X-USDT"])] == ["bybit:perp"]
    assert len(Selection("X-USDT", 5).joining_legs(catalogue.candidates["X-USDT"])) == 2


def test_a_watched_instrument_is_not_pushed_out_by_a_busier_one() -> None:
    """Two symbols of one asset would change places with every hour's turnover."""
    rows = lists((BYBIT_PERP, "PEPE", "1", "5"), (BYBIT_PERP, "1000PEPE", "1000", "9"))
    catalogue = build_catalogue(rows, {("bybit", "perp", "PEPEUSDT")})
    assert [leg.symbol for leg in catalogue.candidates["PEPE-USDT"].legs] == ["PEPEUSDT"]


def test_every_instrument_is_explained() -> None:
    """Taken with its pair's quarantine, or the first reason why not."""
    rows = lists(
        (BINANCE_PERP, "BTC", "1", "100"), (BYBIT_PERP, "BTC", "1", "90"),
        (BINANCE_PERP, "ETH", "1", "30"), (BYBIT_PERP, "ETH", "1", "30000"), (BINANCE_PERP, "LONELY", "1", "9"),
    )  # fmt: skip
    more = [
        listed(BINANCE_PERP, "STOCK", unfit="type stock"), listed(BINANCE_PERP, "OLD", status="settling"),
        listed(BINANCE_PERP, "END", delisting_ms=1_795_564_800_000), listed(BINANCE_PERP, "HALF"),
    ]  # fmt: skip
    rows[BINANCE_PERP] = MarketList([*rows[BINANCE_PERP].instruments, *more], rows[BINANCE_PERP].figures)
    rows[BYBIT_PERP] = MarketList(
        [*rows[BYBIT_PERP].instruments, listed(BYBIT_PERP, "HALF", status="halted")], rows[BYBIT_PERP].figures
    )
    watched = {("binance", "perp", "BTCUSDT"), ("bybit", "perp", "BTCUSDT")}
    explanation = Explanation(build_catalogue(rows), Selection("", 1), watched, {"BTC-USDT": "prices differ"})
    said = explanation.market(BINANCE_PERP, rows[BINANCE_PERP])

    assert [row.symbol for row in said.instruments[:2]] == ["BTCUSDT", "ETHUSDT"]
    assert {row.symbol: (row.is_taken, row.reason) for row in said.instruments} == {
        "BTCUSDT": (True, "prices differ"),
        "ETHUSDT": (False, "2. by turnover, 30 USD a day on its quieter venue; PAIRS_TOP=1"),
        "LONELYUSDT": (False, "binance alone lists LONELY-USDT"),
        "STOCKUSDT": (False, "type stock"),
        "OLDUSDT": (False, "status settling"),
        "ENDUSDT": (False, "to be delisted at 2026-11-25 00:00 UTC"),
        "HALFUSDT": (False, "HALF-USDT does not trade on both venues now"),
    }
    named = Explanation(build_catalogue(rows), Selection("BTC-USDT", 1), watched, {})
    assert [row.reason for row in named.market(BYBIT_PERP, rows[BYBIT_PERP]).instruments] == [
        "PAIRS does not name it", "", "status halted"
    ]  # fmt: skip
