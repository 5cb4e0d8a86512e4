"""Each question over many rows: seconds, and rows read."""

from tests.benchmarks.store.ground import Bench
from tests.benchmarks.worker.bench import tell
from tests.benchmarks.worker.figures import Figure
from tests.clickhouse.question_times import times


def questions(bench: Bench) -> list[Figure]:
    """Over windows that the engine makes, and a thousandth as many events of opportunities."""
    figures = []
    for name, (seconds, read) in times(bench.clickhouse, bench.questions_millions, tell).items():
        note = f"{read:,} rows read, of {bench.questions_millions} million windows"
        figures.append(Figure(f"question {name}", seconds, "s", note=note))
    return figures
