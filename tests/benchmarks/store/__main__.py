"""`python -m tests.benchmarks.store [--json] [--quick] [--only NAME]`: the store against issue 7's bars.

A broker, a gateway and, for each figure, a sink of its own (`faust -A mts_stream.sink worker`) with its defaults. Exit
code 1 where rows differ. The whole takes about half an hour, `--quick` five minutes.
"""

import argparse
import json
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from mts_stream.local.download_view import LineView
from tests.benchmarks.same_job.ground import broker
from tests.benchmarks.store.ground import Bench, gateway
from tests.benchmarks.store.latency import latency
from tests.benchmarks.store.memory import memory
from tests.benchmarks.store.questions import questions
from tests.benchmarks.store.sizes import sizes
from tests.benchmarks.store.throughput import throughput
from tests.benchmarks.worker.bench import tell
from tests.benchmarks.worker.figures import Figure

FIGURES: dict[str, Callable[[Bench], list[Figure]]] = {
    "latency": latency, "throughput": throughput, "memory": memory, "sizes": sizes, "questions": questions,
}  # fmt: skip
MILLIONS, MILLIONS_QUICK = 100, 1


def main() -> int:
    """Measure and show."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.store", description=__doc__)
    parser.add_argument("--json", action="store_true", help="the figures as one JSON list on stdout")
    parser.add_argument("--quick", action="store_true", help="shorter runs: to see it work")
    parser.add_argument("--only", choices=FIGURES, action="append", help="may be given several times")
    parser.add_argument(
        "--millions", type=int, help=f"of windows for the questions; {MILLIONS}, {MILLIONS_QUICK} quick"
    )
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(2))  # as Ctrl-C: sink, gateway and broker end too
    millions = given.millions or (MILLIONS_QUICK if given.quick else MILLIONS)
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="store-") as made:
        path = Path(made)
        with broker(path, LineView(tell)) as kafka, gateway(path) as clickhouse:
            bench = Bench(kafka, clickhouse, path, given.quick, millions)
            for name in given.only or FIGURES:
                tell(f"{name} ...")
                figures += FIGURES[name](bench)
    print(json.dumps([each.row() for each in figures]) if given.json else "\n".join(each.line() for each in figures))
    return 1 if any(figure.is_wrong for figure in figures) else 0


if __name__ == "__main__":
    sys.exit(main())
