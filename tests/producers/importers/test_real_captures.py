"""Recorded data of the real venues: no gap where there is none, and every gap where records are taken out."""

import random
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mts_stream.domain.engine import PartitionEngine
from mts_stream.domain.market_data import AuditRecord, ConnectionStatus, DepthUpdate, MarketEvent, RegistryUpdate
from mts_stream.replay import replay
from mts_stream.settings import load_settings
from tests.producers.importers.conftest import Imported, states

PERP, SPOT = "BTC-USDT/binance:perp", "BTC-USDT/binance:spot"
LEG = {"perp": PERP, "spot": SPOT, "bybit": "XRP-USDT/bybit:perp"}
HORIZON_RECORDS = 900


@pytest.mark.parametrize("name", ["perp", "spot", "bybit"])
def test_a_whole_replay_has_no_dead_letter_and_no_gap(imported: dict[str, Imported], name: str, tmp_path: Path) -> None:
    """Every record is understood and no minute shows an invalidation."""
    capture = imported[name]
    summary = replay([capture.path], tmp_path, load_settings().economics())

    quality = [orjson.loads(line) for line in (tmp_path / "quality.jsonl").read_bytes().splitlines()]
    assert (summary.records, summary.dead, summary.truncated) == (capture.counts["records"], 0, [])
    assert not (tmp_path / "dlq.jsonl").read_bytes()
    assert all(row["invalidations"] == {} and set(row["states"]) <= {"empty", "valid"} for row in quality)
    assert name == "bybit" or quality


@pytest.mark.parametrize("name", ["perp", "spot", "bybit"])
def test_a_book_is_valid_from_its_first_whole_book_on(imported: dict[str, Imported], name: str) -> None:
    """Empty before, valid ever after: nothing is claimed that the venue did not say."""
    events = imported[name].events
    first = next(i for i, event in enumerate(events) if isinstance(event, DepthUpdate) and event.replaces)
    shown = [state[LEG[name]] for state in states(events)]

    assert set(shown[:first]) <= {"empty"}
    assert set(shown[first:]) == {"valid"}


def test_keyframes_say_what_the_frames_have_said(imported: dict[str, Imported]) -> None:
    """The producers' book and the engine's agree at every later keyframe: none differs."""
    for name in ("perp", "spot"):
        keyframes = [i for i, event in enumerate(imported[name].events) if _is_keyframe(event)]
        without = [event for i, event in enumerate(imported[name].events) if i not in keyframes[1:]]
        assert len(keyframes) >= 3
        assert {state[LEG[name]] for state in states(without)[keyframes[0] :]} == {"valid"}
        assert _books(imported[name].events) == _books(without)


def test_the_perp_file_has_ids_that_are_not_contiguous(imported: dict[str, Imported]) -> None:
    """USD-M frames are chained by `pu` alone: a check of U against u would find gaps that are none."""
    frames = [event for event in imported["perp"].depth if not event.is_keyframe]
    pairs = list(pairwise(frames))

    assert sum(after.first_id != before.last_id + 1 for before, after in pairs) > len(pairs) * 0.9
    assert all(after.previous_id == before.last_id for before, after in pairs)


def test_the_spot_file_has_a_frame_that_begins_one_after_its_keyframe(imported: dict[str, Imported]) -> None:
    """`U == lastUpdateId + 1` follows; the venue's old first rule (U <= lastUpdateId) would call it a gap."""
    depth = imported["spot"].depth
    after = [frame for book, frame in pairwise(depth) if book.is_keyframe]

    assert any(
        frame.first_id == book.last_id + 1 for book, frame in zip(_keyframes(imported["spot"]), after, strict=False)
    )


def test_bybit_deltas_rise_by_one(imported: dict[str, Imported]) -> None:
    """The file shows what the rule for deltas rests on."""
    frames = [event for event in imported["bybit"].depth if not event.is_keyframe]

    assert len(frames) == 50
    assert all(after.last_id == before.last_id + 1 for before, after in pairwise(frames))


@pytest.fixture(scope="module")
def both(imported: dict[str, Imported]) -> list[MarketEvent]:
    """Spot and USD-M of the same minutes as one log of one pair with two legs, by their times."""
    ours = [event for name in ("spot", "perp") for event in imported[name].events]
    registries = [event for event in ours if isinstance(event, RegistryUpdate)]
    legs = tuple({leg.leg: leg for event in registries for leg in event.listing.legs}.values())
    first = min(registries, key=lambda event: event.origin.received_ns)
    others = [event for event in ours if not isinstance(event, RegistryUpdate | AuditRecord)]
    log: list[MarketEvent] = [replace(first, listing=replace(first.listing, legs=legs))]
    return [*log, *sorted(others, key=lambda event: event.origin.received_ns)][:HORIZON_RECORDS]


@settings(max_examples=15)
@given(data=st.data())
def test_a_missing_frame_is_seen_at_its_legs_next_record(both: list[MarketEvent], data: st.DataObject) -> None:
    """Wherever frames are taken out: exactly their legs are `gap`, from their next frame until a keyframe."""
    frames = [i for i, event in enumerate(both) if isinstance(event, DepthUpdate) and not event.is_keyframe]
    taken_out = data.draw(st.sets(st.sampled_from(frames), min_size=1, max_size=6))
    _check(both, taken_out)


@pytest.mark.parametrize("seed", range(3))
def test_bursts_of_missing_frames_are_seen(both: list[MarketEvent], seed: int) -> None:
    """Runs of lost frames of both legs, some around a keyframe."""
    rng = random.Random(seed)
    starts = [rng.randrange(60, len(both) - 60) for _ in range(6)]
    around = [i for i, event in enumerate(both) if _is_keyframe(event)]
    window = {start + n for start in [*starts, *(i - 2 for i in around)] for n in range(rng.randint(1, 12))}
    _check(both, {i for i in window if i < len(both) and _is_frame(both[i])})


def test_a_missing_line_of_the_bybit_file_is_seen(imported: dict[str, Imported]) -> None:
    """Any delta but the last: the next one shows the gap."""
    events = imported["bybit"].events
    deltas = [i for i, event in enumerate(events) if isinstance(event, DepthUpdate) and not event.replaces]
    for lost in deltas[:-1]:
        shown = [state[LEG["bybit"]] for state in states([*events[:lost], *events[lost + 1 :]])]
        seen = next(i for i in deltas if i > lost) - 1
        assert set(shown[lost:seen]) <= {"valid"}
        assert set(shown[seen:]) == {"gap"}


def _check(log: Sequence[MarketEvent], taken_out: set[int]) -> None:
    """The engine's states against those that follow from what was taken out, leg by leg and record by record."""
    kept = [event for i, event in enumerate(log) if i not in taken_out]
    assert states(kept) == _expected(log, taken_out)


def _expected(log: Sequence[MarketEvent], taken_out: set[int]) -> list[dict[str, str]]:
    state = {PERP: "empty", SPOT: "empty"}
    hole: set[str] = set()
    sequence = {PERP: 0, SPOT: 0}
    shown = []
    for i, event in enumerate(log):
        if isinstance(event, DepthUpdate):
            leg = PERP if event.origin.market == "perp" else SPOT
            if i in taken_out:
                if event.last_id > sequence[leg]:
                    hole.add(leg)
                continue
            if event.is_keyframe:
                hole.discard(leg)
                state[leg], sequence[leg] = "valid", event.last_id
            elif state[leg] == "valid":
                state[leg] = "gap" if leg in hole else "valid"
                sequence[leg] = max(sequence[leg], event.last_id)
        else:
            assert isinstance(event, ConnectionStatus | RegistryUpdate)
        shown.append(dict(state))
    return shown


def _is_frame(event: MarketEvent) -> bool:
    return isinstance(event, DepthUpdate) and not event.is_keyframe


def _is_keyframe(event: MarketEvent) -> bool:
    return isinstance(event, DepthUpdate) and event.is_keyframe


def _keyframes(capture: Imported) -> list[DepthUpdate]:
    return [event for event in capture.depth if event.is_keyframe]


def _books(events: Sequence[MarketEvent]) -> list[tuple[dict[int, int], dict[int, int]]]:
    engine = PartitionEngine(load_settings().economics())
    for offset, event in enumerate(events):
        engine.on_event(event, offset)
    legs = [leg for pair in engine.pairs.values() for leg in pair.engine.legs.values()]
    return [(leg.book.book.bids.sizes, leg.book.book.asks.sizes) for leg in legs]
