"""`python -m tests.benchmarks.product [--json] [--quick] [--only NAME]`: the whole worker against issue 6's bars.

One broker; every figure begins with empty topics and a worker of its own (`faust -A mts_stream.app worker`). Broker,
driver and readers are on the first core, the worker on the second. Exit code 1 where results are lost, false, doubled
or out of order.
"""

import argparse
import json
import os
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from mts_stream.local.download_view import LineView
from tests.benchmarks.same_job.ground import broker
from tests.benchmarks.worker.bench import OTHERS_CORE, Bench, tell
from tests.benchmarks.worker.cost import pairs, throughput
from tests.benchmarks.worker.figures import Figure
from tests.benchmarks.worker.latency import latency
from tests.benchmarks.worker.memory import memory
from tests.benchmarks.worker.overload import burst, kill

FIGURES: dict[str, Callable[[Bench], list[Figure]]] = {
    "throughput": throughput, "pairs": pairs, "latency": latency, "burst": burst, "kill": kill, "memory": memory,
}  # fmt: skip


def main() -> int:
    """Measure and show."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.product", description=__doc__)
    parser.add_argument("--json", action="store_true", help="the figures as one JSON list on stdout")
    parser.add_argument("--quick", action="store_true", help="shorter runs: to see it work")
    parser.add_argument("--only", choices=FIGURES, action="append", help="may be given several times")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(2))  # as Ctrl-C: workers and broker end too
    os.sched_setaffinity(0, OTHERS_CORE)
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="product-") as made, broker(Path(made), LineView(tell)) as kafka:
        for name in given.only or FIGURES:
            tell(f"{name} ...")
            figures += FIGURES[name](Bench(kafka, Path(made), quick=given.quick))
    rows = [figure.row() for figure in figures]
    print(json.dumps(rows) if given.json else "\n".join(figure.line() for figure in figures))
    return 1 if any(figure.is_wrong for figure in figures) else 0


if __name__ == "__main__":
    sys.exit(main())
