"""The engine as a whole: outcomes in their order, life cycle, ledger, time, checkpoints."""

from datetime import date
from decimal import Decimal
from uuid import NAMESPACE_OID, uuid5

import pytest

from mts_stream.domain.economics import EconomicSettings, Route
from mts_stream.domain.engine import CLOCK_KEY, PartitionEngine
from mts_stream.domain.evaluation import MissingFeeError
from mts_stream.domain.fees import Fee, FeeSchedule
from mts_stream.domain.messages import ArbitrageClosed, FundingChange, SpreadWindow
from mts_stream.domain.rejection import BadRecordError
from tests.domain.builders import (
    PAIR,
    T0,
    Bench,
    both_fundings,
    diff,
    funding,
    instrument,
    keyframe,
    registry,
    snapshot,
    status,
)

DIRECTION = "binance:perp>bybit:perp"
LOW = EconomicSettings(min_profit_usd=Decimal(1), min_profit_bps=Decimal(0))


def market(bench: Bench, edge: str = "101", at_ms: float = 0, with_funding: bool = True) -> None:
    """Both perps: ask 100 on Binance, a bid of `edge` on Bybit, 50 units deep."""
    bench.feed(registry(at_ms=at_ms))
    if with_funding:
        bench.feed(*both_fundings(at_ms=at_ms))
    bench.feed(keyframe("binance:perp", "99 50", "100 50", at_ms=at_ms))
    bench.feed(snapshot("bybit:perp", f"{edge} 50", "120 50", at_ms=at_ms, conn="y", seq=3))


def last_outcome(bench: Bench, direction: str = DIRECTION) -> str:
    window = bench.engine.pairs[PAIR].engine.directions[direction].window
    return list(window.outcomes)[-1]


def test_an_opportunity_opens_with_exact_amounts() -> None:
    """Walk, fees, slippage, carry and both nets are the hand-computed ones, to the last digit."""
    bench = Bench(LOW)
    market(bench)

    [opened] = bench.signals

    assert opened.type == "arbitrage.opened"
    assert opened.direction == DIRECTION
    assert (opened.size, opened.buy_notional, opened.sell_notional) == ("50", "5000", "5050")
    assert opened.gross_usd == "50"
    assert opened.fees_usd == "5.2775"  # 5000 * 5 bps + 5050 * 5.5 bps
    assert opened.slippage_usd == "1.005"
    assert opened.carry_usd == "0"
    assert opened.net_entry_usd == "43.7175"
    assert opened.net_round_trip_usd == opened.net_usd == "38.44"
    assert opened.net_bps == "76.88"
    assert opened.edge_bps == "100"
    assert opened.opportunity_id == str(uuid5(NAMESPACE_OID, f"mts|{PAIR}|{DIRECTION}|bybit/perp/BTCUSDT/y/1/3"))
    assert opened.expires_ns == opened.event_time_ns + 1_500_000_000
    assert opened.emitted_ns == opened.event_time_ns
    assert opened.config_id == LOW.config_id
    buy, sell = opened.legs
    assert (buy.side, buy.price, buy.fee_bps, buy.next_funding_ns) == ("buy", "100", "5", T0 + 3600 * 10**9)
    assert (sell.side, sell.price, sell.fee_bps, sell.message_id) == ("sell", "101", "5.5", "bybit/perp/BTCUSDT/y/1/3")


def test_the_life_of_an_opportunity() -> None:
    """Updated when net moved a tenth or a second passed, closed at the first other outcome, peak over everything.

    0 ms opened   10 ms same: silent   20 ms better: updated   1021 ms same: updated   1100 ms gone: closed
    """
    bench = Bench(LOW)
    market(bench)
    bids = [(10, "101 50"), (20, "101.2 50"), (1020, "101.2 50"), (1100, "101.2 0,101 0,99 1")]
    for last_id, (at_ms, bid) in enumerate(bids, start=11):
        bench.feed(diff("bybit:perp", bid, "", first_id=0, last_id=last_id, at_ms=at_ms, conn="y"))

    types = [(signal.type, signal.event) for signal in bench.signals]
    closed = bench.signals[-1]

    assert types == [
        ("arbitrage.opened", 0),
        ("arbitrage.updated", 1),
        ("arbitrage.updated", 2),
        ("arbitrage.closed", 3),
    ]
    assert isinstance(closed, ArbitrageClosed)
    assert (closed.reason, closed.duration_ns, closed.updates) == ("no_edge", 1_100_000_000, 2)
    assert closed.survived_ms == [10, 50, 100, 250, 1000]
    assert closed.peak_net_usd == bench.signals[1].net_usd
    assert closed.size_at_peak == "50"
    assert closed.legs == bench.signals[2].legs
    assert len({signal.opportunity_id for signal in bench.signals}) == 1


@pytest.mark.parametrize(
    ("settings", "edge", "outcome"),
    [
        (EconomicSettings(), "100.1", "no_edge"),
        (EconomicSettings(max_edge_bps=Decimal(99)), "101", "implausible"),
        (EconomicSettings(max_edge_bps=Decimal(100), min_notional=Decimal(5001)), "101", "min_notional"),
        (EconomicSettings(min_profit_usd=Decimal("38.44")), "101", "signal"),
        (EconomicSettings(min_profit_usd=Decimal("38.440001")), "101", "below_threshold"),
        (EconomicSettings(min_profit_bps=Decimal("76.88")), "101", "signal"),
        (EconomicSettings(min_profit_bps=Decimal("76.880001")), "101", "below_threshold"),
        (EconomicSettings(net_basis="entry", min_profit_usd=Decimal("43.7175")), "101", "signal"),
        (EconomicSettings(max_notional=Decimal("0.0999")), "101", "min_notional"),
    ],
)
def test_gates_compare_exactly(settings: EconomicSettings, edge: str, outcome: str) -> None:
    """Each gate opens at its number and not a millionth before."""
    bench = Bench(settings)
    market(bench, edge)

    assert last_outcome(bench) == outcome


def test_a_legs_own_minimum_counts() -> None:
    """The buy leg's minimum bounds the buy notional, the sell leg's the sell notional."""
    for leg, minimum, outcome in (
        ("binance:perp", "5000.1", "min_notional"),
        ("bybit:perp", "5050.1", "min_notional"),
        ("bybit:perp", "5050", "signal"),
    ):
        bench = Bench(LOW)
        market(bench)
        legs = [
            instrument(name, min_notional=Decimal(minimum if name == leg else 0))
            for name in ("binance:perp", "bybit:perp")
        ]
        bench.feed(registry(*legs), diff("bybit:perp", "101 50", "", first_id=0, last_id=11, conn="y"))
        assert last_outcome(bench) == outcome


def test_unknown_funding_and_quarantine_refuse() -> None:
    """A perp without funding has no net; a quarantined pair is counted, never signalled, and keeps its edge."""
    bench = Bench(LOW)
    market(bench, with_funding=False)
    assert last_outcome(bench) == "funding_unknown"
    bench.feed(registry(quarantined="prices differ"))
    bench.feed(diff("bybit:perp", "101 51", "", first_id=0, last_id=11, conn="y"))
    assert last_outcome(bench) == "quarantined"
    bench.feed(status("alive", at_ms=1000))
    row = next(row for row in bench.windows if row.direction == DIRECTION)
    assert row.edge_close_bps == "100"
    assert bench.signals == []


def test_the_buy_legs_book_is_named_first() -> None:
    """With both books invalid, the refusal names the buy leg's state."""
    bench = Bench(LOW)
    market(bench)
    bench.feed(status("down", "binance:perp"), status("down", "bybit:perp", conn="y", gen=2))
    assert last_outcome(bench) == "book_disconnected"
    assert last_outcome(bench, "bybit:perp>binance:perp") == "book_reset"


def test_carry_is_paid_on_each_legs_own_schedule() -> None:
    """The short earns the sell leg's settlements, the long pays the buy leg's, within the holding time."""
    bench = Bench(EconomicSettings(min_profit_usd=Decimal(1), holding_hours=Decimal(8)))
    market(bench, with_funding=False)
    bench.feed(
        funding("binance:perp", "0.0001", 3_600_000, 4),  # in 1 h and 5 h
        funding("bybit:perp", "0.0003", 7_200_000, 8, conn="y"),  # in 2 h
        diff("bybit:perp", "101 50", "", first_id=0, last_id=11, conn="y"),
    )

    [opened] = bench.signals

    assert opened.carry_usd == "0.5"  # 5000 * (0.0003 - 2 * 0.0001)
    assert (opened.net_entry_usd, opened.net_usd) == ("44.2175", "38.94")


def test_fees_are_those_in_force_at_event_time() -> None:
    """A leg's own group before the default, the newest date before older ones; no fee at all stops loudly."""
    fees = [
        Fee("binance", "perp", "default", Decimal(5), date(2000, 1, 1)),
        Fee("binance", "perp", "default", Decimal(9), date(2023, 11, 14)),
        Fee("binance", "perp", "default", Decimal(99), date(2023, 11, 15)),
        Fee("bybit", "perp", "default", Decimal(5), date(2000, 1, 1)),
        Fee("bybit", "perp", "innovation", Decimal(11), date(2000, 1, 1)),
    ]
    bench = Bench(EconomicSettings(fees=FeeSchedule(fees), min_profit_usd=Decimal(1)))
    bench.feed(registry(instrument("binance:perp"), instrument("bybit:perp", fee_group="innovation")))
    bench.feed(*both_fundings(), keyframe("binance:perp", "99 50", "100 50"))
    bench.feed(snapshot("bybit:perp", "101 50", "120 50", conn="y"))
    assert [leg.fee_bps for leg in bench.signals[0].legs] == ["9", "11"]

    bench = Bench(EconomicSettings(fees=FeeSchedule(fees[:3])))
    with pytest.raises(MissingFeeError, match="bybit:perp"):
        market(bench)


def test_two_fees_of_one_day_contradict_each_other() -> None:
    """A table must say which fee is in force."""
    fee = Fee("binance", "perp", "default", Decimal(5), date(2000, 1, 1))
    with pytest.raises(ValueError, match="binance/perp/default"):
        FeeSchedule([fee, fee])


def test_routes_decide_which_directions_exist() -> None:
    """Different venues by ROUTES, the same venue by SAME_VENUE_ROUTES; evaluated in the order of their names."""
    settings = EconomicSettings(routes=(Route("spot", "perp"),), same_venue_routes=(Route("perp", "spot"),))
    bench = Bench(settings)
    bench.feed(registry(*(instrument(f"{v}:{m}") for v in ("bybit", "binance") for m in ("spot", "perp"))))

    assert list(bench.engine.pairs[PAIR].engine.directions) == [
        "binance:perp>binance:spot",
        "binance:spot>bybit:perp",
        "bybit:perp>bybit:spot",
        "bybit:spot>binance:perp",
    ]


def test_windows_carry_the_edge_and_count_every_evaluation() -> None:
    """A bar per second of event time, its outcomes adding up to its evaluations; quiet seconds carry the edge.

    0 ms          500 ms              1000 ms             2000 ms   2500 ms
    | edge 100 bps | edge 200 bps ... | carried 200 bps   | carried |
    """
    bench = Bench(LOW)
    market(bench)
    bench.feed(diff("bybit:perp", "102 50", "", first_id=0, last_id=11, at_ms=500, conn="y"))
    bench.feed(status("alive", at_ms=2500))

    rows = [row for row in bench.windows if row.direction == DIRECTION]

    assert [row.window_start_ns - T0 for row in rows] == [0, 10**9]
    first, second = rows
    assert (first.edge_open_bps, first.edge_high_bps) == ("100", "200")
    assert (first.edge_low_bps, first.edge_close_bps) == ("100", "200")
    assert first.edge_mean_bps == "150"
    assert (first.valid_ms, first.evaluations, first.outcomes) == (1000, 3, {"book_empty": 1, "signal": 2})
    assert (second.edge_open_bps, second.edge_mean_bps, second.evaluations, second.outcomes) == ("200", "200", 0, {})
    assert first.net_bps_1k == "187.37"  # 200 - 5 - 1.02 * 5.5 - 2.02 * 1
    assert first.net_bps_10k is None


def test_a_long_quiet_without_books_has_no_rows() -> None:
    """A window without valid time and without evaluations has no row, however long it lasts."""
    bench = Bench(LOW)
    bench.feed(registry(), status("alive", at_ms=10**9))

    assert bench.windows == []


@pytest.mark.parametrize("outcomes", [{"no_edge": 1}, {"no_edge": 2, "signal": 0}, {"no_edge": 3, "signal": -1}, {}])
def test_a_window_row_must_add_up(outcomes: dict[str, int]) -> None:
    """The type refuses a ledger whose outcomes are not its evaluations."""
    with pytest.raises(AssertionError, match="do not add up"):
        SpreadWindow(PAIR, DIRECTION, 0, *[None] * 8, 0, 2, outcomes)
    assert SpreadWindow(PAIR, DIRECTION, 0, *[None] * 8, 0, 2, {"no_edge": 2}).evaluations == 2


def test_event_time_never_goes_back() -> None:
    """A record whose own time is earlier is handled at the pair's event time."""
    bench = Bench(LOW)
    market(bench, at_ms=1000)
    bench.feed(diff("bybit:perp", "99 1,101 0", "", first_id=0, last_id=11, at_ms=10, conn="y"))

    closed = bench.signals[-1]

    assert closed.type == "arbitrage.closed"
    assert closed.event_time_ns == T0 + 1000 * 10**6


def test_a_pair_begins_at_the_partitions_status_clock() -> None:
    """Status records that came before a pair's first record count for its event time, up to that offset."""
    bench = Bench(LOW)
    bench.feed(status("alive", at_ms=5000), status("alive", at_ms=4000), registry(at_ms=100))
    assert bench.engine.pairs[PAIR].engine.event_time_ns == T0 + 5000 * 10**6
    assert bench.engine.clock.before(0) == 0
    bench.engine.clock.forget_before(1)
    assert bench.engine.clock.before(2) == T0 + 5000 * 10**6


def test_dead_letters_move_nothing() -> None:
    """Unknown pairs, legs, symbols and impossible numbers raise before time or a book moved."""
    bench = Bench(LOW)
    with pytest.raises(BadRecordError, match="unknown_instrument"):
        bench.feed(keyframe("binance:perp", "1 1", "2 1"))
    market(bench)
    engine = bench.engine.pairs[PAIR].engine
    before = bench.engine.snapshot(PAIR)
    bad = [
        keyframe("binance:spot", "1 1", "2 1", at_ms=50),
        keyframe("binance:perp", "1 1", "2 NaN", at_ms=50),
        keyframe("binance:perp", "1 1", "2 1", at_ms=50, known=("x", "3")),
        funding("binance:perp", "abc", None, at_ms=50),
        registry(instrument("binance:perp", lot_size=Decimal("1e-19")), at_ms=50),
        registry(pair="ETH-USDT", at_ms=50),
    ]
    bad[-1].origin.pair = PAIR
    other = keyframe("binance:perp", "1 1", "2 1", at_ms=50)
    other.origin.symbol = "OTHER"
    for event in [*bad, other]:
        with pytest.raises(BadRecordError):
            bench.engine.on_event(event, bench.offset)
    assert bench.engine.snapshot(PAIR) == before
    assert engine.event_time_ns == T0


def test_funding_changes_are_told_once() -> None:
    """`mts.funding` has a row per change, not per record."""
    bench = Bench()
    bench.feed(registry(), *both_fundings(), *both_fundings(at_ms=10), *both_fundings("0.0001", at_ms=20))

    changes = [m for m in bench.messages if isinstance(m, FundingChange)]

    assert [(c.venue, c.rate) for c in changes] == [("binance", "0"), ("bybit", "0"), ("binance", "0.0001")]


BROKEN = [b"", b"{}", b'{"v":3}', b'{"v":1}', b'{"v":1,"offset":3}', b'{"v":1,"offset":3,"pair":{}}', b"[]"]


@pytest.mark.parametrize("checkpoint", BROKEN)
def test_a_broken_checkpoint_is_refused(checkpoint: bytes) -> None:
    """An unknown version or a damaged one raises ValueError; the pair is then rebuilt from the log."""
    for key in (PAIR, CLOCK_KEY):
        with pytest.raises(ValueError):
            PartitionEngine(LOW).restore(key, checkpoint)


def test_an_open_opportunity_survives_a_checkpoint() -> None:
    """Restored in mid-life it closes as it would have without the restart."""
    bench, successor = Bench(LOW), Bench(LOW)
    market(bench)
    for key in (PAIR, CLOCK_KEY):
        successor.engine.restore(key, bench.engine.snapshot(key))
    successor.offset = bench.offset
    assert successor.engine.open_opportunities == 1
    end = diff("bybit:perp", "101 0,99 1", "", first_id=0, last_id=11, at_ms=70, conn="y")

    assert successor.feed(end) == bench.feed(end)
    assert successor.engine.snapshot(PAIR) == bench.engine.snapshot(PAIR)
