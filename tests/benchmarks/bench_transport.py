"""What a transport costs by itself: `make measure`. The same records from a real broker, and a job that only counts.

The engines of the same job, each a process of its own, in alternating rounds; CPU is the whole process's, all threads.
Each says how many records it got and the sum of their checksums, which must be equal.
"""

from pathlib import Path
from statistics import median

import pytest

from mts_stream.local.download_view import LineView
from tests.benchmarks.same_job import counting
from tests.benchmarks.same_job.contest import Contest, tell
from tests.benchmarks.same_job.engines.catalog import ENGINES
from tests.benchmarks.same_job.ground import Ground, broker
from tests.benchmarks.same_job.log import messages

PAIRS, PER_PAIR, SEED = 100, 1000, 1
PARTITIONS = 8
ROUNDS = 3
BASE = "confluent_loop"
CONTENDERS = {
    "confluent_loop": "a loop over consume, by hand",
    "mts_compiled": "a Faust agent on batch://",
    "aiokafka_loop": "a loop over getmany, by hand",
    "faust_stock": "a Faust agent on kafka://",
}


def test_records_per_cpu_second_of_each_transport(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All get every record; the table says what each took, and how much of the loop by hand that is."""
    log = messages(PAIRS, PER_PAIR, SEED)
    with capsys.disabled(), broker(tmp_path, LineView(tell)) as address:
        ground = Ground(address, PARTITIONS)
        ground.load(log)
        contest = Contest(ground, log, tmp_path)
        for number in range(ROUNDS):
            for name in CONTENDERS if number % 2 == 0 else reversed(CONTENDERS):
                contest.take(ENGINES[name]._replace(kernel=counting.KERNEL))

        assert len(set().union(*contest.digests.values())) == 1
        print(f"\n{len(log):,} records, {ROUNDS} rounds, median (least to most):")
        for name, what in CONTENDERS.items():
            turns = contest.turns[name]
            ratios = sorted(a.per_cpu_s / b.per_cpu_s for a, b in zip(turns, contest.turns[BASE], strict=True))
            print(
                f"  {what:32} {median(t.per_cpu_s for t in turns):>9,.0f} /CPU s"
                f" {1e6 / median(t.per_cpu_s for t in turns):>8.2f} us a record"
                f" {median(ratios):>6.2f} of the first ({ratios[0]:.2f} to {ratios[-1]:.2f})"
            )
