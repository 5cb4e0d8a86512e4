"""When an edge is odd, second by second: entering, leaving, lasting, cooling, and what is not judged at all."""

from decimal import Decimal
from typing import Any
from uuid import NAMESPACE_OID, uuid5

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mts_stream.domain.anomalies import SpreadWatch
from mts_stream.domain.economics import EconomicSettings
from mts_stream.domain.messages import SpreadAnomaly
from mts_stream.domain.packing import opened, sealed
from tests.domain.builders import PAIR, T0, Bench, both_fundings, diff, keyframe, registry, snapshot, status

BPS = 10**4
USUAL = (0, 1, 2)  # bps; their median is 1, their MAD 1 or a half


class Exactly(SpreadWatch):
    """Computes the score of every window."""

    def _is_usual(self, edge: int) -> bool:
        return False


def watch(kind: type[SpreadWatch] = SpreadWatch, **changes: Any) -> SpreadWatch:
    """Three windows in ten seconds make a baseline; beyond at score 2, back below 1."""
    values: dict[str, Any] = {
        "anomaly_window_s": 10, "anomaly_min_windows": 3, "anomaly_enter_score": Decimal(2),
        "anomaly_leave_score": Decimal(1), "anomaly_min_duration_s": 1, "anomaly_cooldown_s": 0,
        "anomaly_floor_bps": Decimal("0.1"),
    }  # fmt: skip
    return kind(EconomicSettings(**(values | changes)))


def told(watched: SpreadWatch, edges: list[float | None], start_s: int = 0) -> list[tuple[int, str, str | None]]:
    """When the watch said what, of edges in bps second by second; None is a window without one."""
    found = []
    for second, edge in enumerate(edges, start=start_s):
        bps = None if edge is None else int(edge * BPS)
        verdict = watched.on_nothing(second, "no_valid_book") if bps is None else watched.on_window(second, bps)
        if verdict is not None:
            found.append((second, verdict.phase, verdict.reason))
    return found


def test_an_anomaly_starts_and_reverts() -> None:
    """Told at the window that enters, and at the first that is back; what lies between is not told."""
    assert told(watch(), [*USUAL, 20, 21, 22, 1, 1]) == [(3, "started", None), (6, "ended", "reverted")]


def test_it_stays_until_it_is_below_the_leaving_score() -> None:
    """Scores between leaving and entering start nothing and end nothing: no flutter."""
    between = 3.3  # of median 1 and MAD 1, or of those with the windows since: scores 1.1 to 1.6
    assert told(watch(), [*USUAL, between]) == []
    assert told(watch(), [*USUAL, 20, between]) == [(3, "started", None)]


def test_it_must_last() -> None:
    """One window, or two with a usual one between, are no anomaly of two seconds."""
    lasting = {"anomaly_min_duration_s": 2, "anomaly_window_s": 60}
    assert told(watch(**lasting), [*USUAL * 3, 20, 1, 20, 1]) == []
    assert told(watch(**lasting), [*USUAL * 3, 20, None, 20, 1]) == []
    assert told(watch(**lasting), [*USUAL * 3, 20, -20, 1])[0] == (10, "started", None)


def test_after_one_there_is_a_pause() -> None:
    """Within the cooldown none starts; it counts from the end of the last."""
    cooling = watch(anomaly_cooldown_s=3, anomaly_window_s=60)
    edges = [*USUAL * 3, 20, 1, 20, 20, 20, 1]

    assert told(cooling, edges) == [
        (9, "started", None),
        (10, "ended", "reverted"),
        (13, "started", None),
        (14, "ended", "reverted"),
    ]


@pytest.mark.parametrize(("edges", "judged"), [([0, 1, 20], False), ([0, 1, 2, 20], True)])
def test_nothing_is_judged_against_too_little(edges: list[float], judged: bool) -> None:
    """Fewer windows than ANOMALY_MIN_WINDOWS are no baseline."""
    assert bool(told(watch(), edges)) is judged


def test_old_windows_are_forgotten() -> None:
    """A baseline is of the ANOMALY_WINDOW_S before a window, however many windows there were."""
    gap = [*USUAL, *[None] * 8]

    assert told(watch(), [*gap[:10], 20]) == [(10, "started", None)]  # 0 to 9
    assert told(watch(), [*gap, 20]) == []  # 1 to 10: two are left


def test_the_new_becomes_normal() -> None:
    """A level that stays ends its own anomaly once it is half of what is remembered."""
    found = told(watch(), [*USUAL * 3, *[20] * 10])

    assert found[0] == (9, "started", None)
    assert found[1:] == [(14, "ended", "reverted")]  # five of ten


def test_a_book_that_is_not_valid_ends_it() -> None:
    """With the last window that was judged; a second one without an edge says nothing more."""
    watched = watch()
    assert told(watched, [*USUAL, 20, None, None]) == [(3, "started", None), (4, "ended", "no_valid_book")]


@pytest.mark.parametrize("cut", range(1, 12))
def test_a_watch_survives_a_checkpoint(cut: int) -> None:
    """Thrown away and restored in the middle of anything it goes on as it would have, and holds no more."""
    edges = [*USUAL, 20, 21, 1, None, 1.0001, 2, 20, 20, 1]
    settings = {"anomaly_min_duration_s": 2, "anomaly_cooldown_s": 1}
    undisturbed, first, second = watch(**settings), watch(**settings), watch(**settings)
    expected = told(undisturbed, edges)

    found = told(first, edges[:cut])
    second.restore(opened(sealed({"watch": first.snapshot()}))["watch"])
    found += told(second, edges[cut:], start_s=cut)

    assert expected and found == expected
    assert second.snapshot() == undisturbed.snapshot()


@settings(max_examples=200)
@given(
    st.lists(st.floats(-3, 3) | st.floats(-40, 40), min_size=4, max_size=40),
    st.sampled_from(["0.3", "2", "6"]), st.sampled_from(["0.1", "2"]),
)  # fmt: skip
def test_a_usual_edge_is_passed_over_and_no_other(edges: list[float], enter: str, floor: str) -> None:
    """What is seen without the exact score is what the exact score of every window says."""
    changes: dict[str, Any] = {
        "anomaly_enter_score": Decimal(enter), "anomaly_floor_bps": Decimal(floor), "anomaly_leave_score": Decimal(0),
    }  # fmt: skip

    assert told(watch(**changes), list(edges)) == told(watch(Exactly, **changes), list(edges))


def eager_bench() -> Bench:
    """Both perps with valid books, and settings under which two seconds make a baseline."""
    settings = EconomicSettings(anomaly_min_windows=2, anomaly_min_duration_s=1)
    bench = Bench(settings)
    bench.feed(registry(), *both_fundings(), keyframe("binance:perp", "99 50", "100 50"))
    bench.feed(snapshot("bybit:perp", "100 50", "120 50", conn="y"), status("alive", at_ms=2000))
    bench.feed(diff("bybit:perp", "101 50", "", first_id=0, last_id=11, at_ms=2000, conn="y"))
    return bench


DIRECTION = "binance:perp>bybit:perp"


def anomalies(bench: Bench) -> list[SpreadAnomaly]:
    """Those of one direction."""
    return [m for m in bench.messages if isinstance(m, SpreadAnomaly) and m.direction == DIRECTION]


def test_the_message_names_its_window() -> None:
    """Event time is the window's end, the id that of its window; the edge is the window's mean as its row has it."""
    bench = eager_bench()
    bench.feed(status("alive", at_ms=3000))

    [started] = anomalies(bench)

    start_ns = T0 + 2 * 10**9
    assert started.id == str(uuid5(NAMESPACE_OID, f"mts|anomaly|{PAIR}|{DIRECTION}|{start_ns}"))
    assert (started.window_start_ns, started.event_time_ns) == (start_ns, start_ns + 10**9)
    assert (started.phase, started.edge_bps, started.median_bps, started.mad_bps) == ("started", "100", "0", "0")
    assert (started.score, started.reason) == ("674.5", None)
    assert bench.windows[-2].edge_mean_bps == "100"


@pytest.mark.parametrize(
    ("event", "reason"),
    [(status("down", at_ms=3500), "no_valid_book"), (registry(quarantined="apart", at_ms=3500), "quarantined")],
)
def test_it_ends_when_nothing_can_be_said(event: Any, reason: str) -> None:
    """At the first window without a valid moment, or the first that ends in quarantine, with the last judged values."""
    bench = eager_bench()
    bench.feed(event, status("alive", "bybit:perp", at_ms=6000, conn="y"))

    started, ended = anomalies(bench)

    assert (ended.phase, ended.reason, ended.edge_bps) == ("ended", reason, "100")
    assert ended.window_start_ns == started.window_start_ns + (2 if reason == "no_valid_book" else 1) * 10**9


def test_edges_beyond_any_market_are_judged_all_the_same() -> None:
    """A bid of ten thousand times the ask takes more than 32 bits; so it does in a checkpoint."""
    edges = [*USUAL, 10**8, 1, 10**9]
    watched, restored = watch(), watch()
    expected = told(watched, edges)
    restored.restore(opened(sealed({"watch": watched.snapshot()}))["watch"])

    assert expected == [(3, "started", None), (4, "ended", "reverted"), (5, "started", None)]
    assert told(restored, [2] * 12, start_s=6) == told(watched, [2] * 12, start_s=6)
    assert restored.snapshot()[0] == watched.snapshot()[0]
