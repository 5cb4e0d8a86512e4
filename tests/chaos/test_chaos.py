"""Workers killed, joined, left, frozen, and a broker that stops: the digest of all results stays that of the engine.

CHAOS_SEEDS=5 runs five seeds (`make chaos`), CHAOS_SEED=7 begins with that one. Each prints what was done to whom.
"""

import hashlib
import json
import os
import signal
import time
from pathlib import Path

import psutil
import pytest

from mts_stream.settings import Settings
from tests.chaos.disturbances import Fleet, broker_process
from tests.integration.worker_parts import (
    Expected,
    Feed,
    Results,
    Sent,
    Worker,
    capture,
    caught_up,
    clean,
    feed,
    until,
)

FIRST_SEED = int(os.environ.get("CHAOS_SEED", "1"))
SEEDS = int(os.environ.get("CHAOS_SEEDS", "1"))
DISTURBANCES = int(os.environ.get("CHAOS_DISTURBANCES", "3"))
PARTITIONS = 3
UNSENT_MAX = 100
FROZEN_S = 10.0
GROWTH_MAX_MIB = 32.0


@pytest.mark.parametrize("seed", range(FIRST_SEED, FIRST_SEED + SEEDS))
def test_whatever_happens_the_results_are_the_same(kafka: str, tmp_path: Path, seed: int) -> None:
    """Dead letters too, and nothing was sent twice with another content; workers that were asked to end do so well."""
    settings = clean_settings(kafka)
    broker = broker_process(kafka)
    with (
        Feed(settings, capture("random-a") + capture("random-b"), 0.3) as feeding,
        Fleet(settings, tmp_path, seed) as fleet,
    ):
        try:
            done = [fleet.disturb(broker) for _ in range(DISTURBANCES)]
            feeding.finish()
            fleet.finish()
        except AssertionError as error:
            raise AssertionError(f"CHAOS_SEED={seed}: {error}\n{fleet.logs()}") from error

    expected, sent = Expected.of(settings), Sent.of(settings)
    print(f"\nseed {seed}: {', '.join(done)}: digest {digest(sent.results)[:16]}, {sent.repeats} repeats")
    assert digest(sent.results) == digest(expected.results), _difference(expected.results, sent.results)
    assert sent.dead == expected.dead
    assert set(fleet.exit_codes) <= {0, -signal.SIGTERM}  # one that has only just begun has no handler yet


def test_while_the_broker_stands_still_the_worker_waits(kafka: str, tmp_path: Path) -> None:
    """Ten seconds with a full log before it: no more results wait than is allowed, memory stays, nothing is lost."""
    settings = clean_settings(kafka)
    feed(settings, capture("random-a") + capture("random-b"))
    broker = broker_process(kafka)
    with Worker(settings, tmp_path, RESULTS_UNSENT_MAX=str(UNSENT_MAX), FETCH_RECORDS_MAX="100") as worker:
        until("it works", lambda: worker.metric("mts_records_total") > 500)
        process = psutil.Process(worker.process.pid)
        broker.suspend()
        try:
            before_mib, seen = process.memory_info().rss / 2**20, []
            ends = time.monotonic() + FROZEN_S
            while time.monotonic() < ends:
                seen.append((process.memory_info().rss / 2**20, worker.metric("mts_unconfirmed_results")))
                time.sleep(0.2)
        finally:
            broker.resume()
        until("all is committed", lambda: caught_up(settings))
        assert worker.stop() == 0

    growth_mib = max(rss_mib for rss_mib, _ in seen) - before_mib
    waiting = max(unconfirmed for _, unconfirmed in seen)
    print(f"\nbroker frozen for {FROZEN_S:.0f} s: {growth_mib:+.1f} MiB, at most {waiting:.0f} results unconfirmed")
    assert growth_mib < GROWTH_MAX_MIB
    assert waiting <= UNSENT_MAX
    expected, sent = Expected.of(settings), Sent.of(settings)
    assert digest(sent.results) == digest(expected.results), _difference(expected.results, sent.results)


def clean_settings(kafka: str) -> Settings:
    """Short intervals on new topics."""
    settings = Settings(
        kafka_bootstrap_servers=kafka, partitions=PARTITIONS, checkpoint_interval_s=0.5, broker_session_timeout_s=6
    )
    clean(settings)
    return settings


def digest(results: Results) -> str:
    """Of all results by topic and pair in their order."""
    text = json.dumps([[*key, *values] for key, values in sorted(results.items())])
    return hashlib.sha256(text.encode()).hexdigest()


def _difference(expected: Results, sent: Results) -> str:
    """The first result of each topic and pair that differs."""
    lines = []
    for key in sorted(expected.keys() | sent.keys()):
        want, got = expected.get(key, []), sent.get(key, [])
        if want != got:
            at = next((i for i, (a, b) in enumerate(zip(want, got, strict=False)) if a != b), min(len(want), len(got)))
            lines.append(
                f"{key}: {len(want)} expected, {len(got)} sent; at {at}:\n {want[at : at + 1]}\n {got[at : at + 1]}"
            )
    return "\n".join(lines)
