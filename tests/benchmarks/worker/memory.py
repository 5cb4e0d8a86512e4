"""The worker's resident memory under the steady load of the whole market, and whether it grows."""

import time
from statistics import median

import psutil

from tests.benchmarks.worker.bench import Bench, tell
from tests.benchmarks.worker.figures import Figure
from tests.benchmarks.worker.overload import PAIRS, STEADY

MIB = 1 << 20
GROWTH_MAX = 1.05
TELL_EVERY_S = 30


def memory(bench: Bench) -> list[Figure]:
    """800 pairs at 8,000 messages a second; its highest size, and its last quarter's beside its second's."""
    seconds = 120 if bench.quick else 600
    bench.clean()
    sizes_mib: list[float] = []
    with bench.worker() as worker:
        worker.ready()
        with bench.load(PAIRS, (STEADY, STEADY * seconds), paced=True) as load:
            load.wait_until_s(0)
            while not load.has_ended:
                sizes_mib.append(psutil.Process(worker.process.pid).memory_info().rss / MIB)
                if len(sizes_mib) % TELL_EVERY_S == 0:
                    tell(f"  {len(sizes_mib)} s: {sizes_mib[-1]:,.0f} MiB")
                time.sleep(1)
            drove = load.drove()
    half, quarter = len(sizes_mib) // 2, len(sizes_mib) // 4
    growth = median(sizes_mib[-quarter:]) / median(sizes_mib[half - quarter : half])
    note = f"{PAIRS} pairs, {len(sizes_mib)} s, {drove.note}"
    return [
        Figure("memory, at most", max(sizes_mib), "MiB", 1024.0, note=note, is_void=drove.is_void),
        Figure("memory, last quarter / second quarter", growth, "ratio", GROWTH_MAX, is_void=drove.is_void),
    ]
