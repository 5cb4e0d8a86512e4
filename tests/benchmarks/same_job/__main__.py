"""`python -m tests.benchmarks.same_job [--json] [--quick]`: nine engines, one job, one log, one broker, one digest.

Exit code 1 where two engines do not agree on the results, 2 where an engine that was asked for is not installed.
"""

import argparse
import json
import platform
import sys
import tempfile
from pathlib import Path

from mts_stream.local.download_view import LineView
from tests.benchmarks.same_job.bars import reached
from tests.benchmarks.same_job.contest import Contest, tell
from tests.benchmarks.same_job.engines.catalog import ENGINES, INSTALL
from tests.benchmarks.same_job.ground import Ground, broker
from tests.benchmarks.same_job.log import messages
from tests.benchmarks.same_job.table import json_of, table_of

PARTITIONS = 8
PAIRS, PER_PAIR, ROUNDS = 100, 1000, 3
QUICK_PAIRS, QUICK_PER_PAIR, QUICK_ROUNDS = 40, 1000, 1


def main() -> int:
    """Run the contest and show it."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.same_job", description=__doc__)
    parser.add_argument("--json", action="store_true", help="the result as one JSON object on stdout")
    parser.add_argument("--quick", action="store_true", help="fewer messages and one round: to see it work")
    parser.add_argument("--engines", default="", help="some of: " + ", ".join(ENGINES))
    parser.add_argument("--rounds", type=int, help=f"default {ROUNDS}, or {QUICK_ROUNDS} with --quick")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    wanted = [name for name in given.engines.split(",") if name] or list(ENGINES)
    unknown = [name for name in wanted if name not in ENGINES]
    if unknown:
        parser.error(f"--engines: {', '.join(unknown)}: unknown; known are {', '.join(ENGINES)}")
    missing = [name for name in wanted if not ENGINES[name].is_there]
    if missing and given.engines:
        parser.error(f"{', '.join(missing)}: not installed: {INSTALL}")
    engines = [ENGINES[name] for name in wanted if name not in missing]
    pairs, per_pair = (QUICK_PAIRS, QUICK_PER_PAIR) if given.quick else (PAIRS, PER_PAIR)
    rounds = given.rounds or (QUICK_ROUNDS if given.quick else ROUNDS)
    for name in missing:
        tell(f"  {name}: not installed: {INSTALL}")

    log = messages(pairs, per_pair, given.seed)
    tell(f"{len(log):,} messages of {pairs} pairs, {rounds} rounds, {PARTITIONS} partitions")
    with tempfile.TemporaryDirectory(prefix="same-job-") as made, broker(Path(made), LineView(tell)) as address:
        ground = Ground(address, PARTITIONS)
        ground.load(log)
        contest = Contest(ground, log, Path(made))
        for number in range(rounds):
            tell(f"round {number + 1} of {rounds}")
            for engine in engines if number % 2 == 0 else reversed(engines):  # so that drift hits all alike
                contest.take(engine)

    facts = {
        "messages": len(log), "pairs": pairs, "rounds": rounds, "seed": given.seed, "partitions": PARTITIONS,
        "python": platform.python_version(), "machine": platform.machine(), "missing": missing,
    }  # fmt: skip
    result = json_of(contest.turns, contest.digests, contest.more, reached(contest.turns), facts)
    print(json.dumps(result) if given.json else table_of(result))
    return 0 if result["digests_equal"] else 1


if __name__ == "__main__":
    sys.exit(main())
