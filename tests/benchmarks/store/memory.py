"""The sink's resident memory under a steady stream of results, and whether it grows."""

import threading
import time
from statistics import median

from tests.benchmarks.store.ground import Bench, ready, resident_mib
from tests.benchmarks.store.latency import Paced
from tests.benchmarks.worker.bench import tell
from tests.benchmarks.worker.figures import Figure
from tests.integration.sink_parts import clean

RATE = 2_000
LONG_S, SHORT_S = 600, 90
GROWTH_MAX = 1.05
TELL_EVERY_S = 30


def memory(bench: Bench) -> list[Figure]:
    """Its highest size, and its last quarter's beside its second's; the short form is shown, and proves nothing."""
    seconds = SHORT_S if bench.quick else LONG_S
    settings = bench.settings()
    clean(settings)
    paced, sizes_mib = Paced(settings, RATE, seconds), list[float]()
    with ready(bench.sink(settings)) as sink:
        driver = threading.Thread(target=paced.run)
        driver.start()
        while driver.is_alive():
            sizes_mib.append(resident_mib(sink))
            if len(sizes_mib) % TELL_EVERY_S == 0:
                tell(f"  {len(sizes_mib)} s: {sizes_mib[-1]:,.0f} MiB")
            time.sleep(1)
    bench.drop(settings)
    half, quarter = len(sizes_mib) // 2, len(sizes_mib) // 4
    growth = median(sizes_mib[-quarter:]) / median(sizes_mib[half - quarter : half])
    form = f"{len(sizes_mib)} s at {RATE:,} results/s" + (": SHORT FORM" if bench.quick else "")
    bar = None if bench.quick else GROWTH_MAX
    return [
        Figure("memory of the sink, at most", max(sizes_mib), "MiB", note=form),
        Figure("memory, last quarter / second quarter", growth, "ratio", bar, note=form),
    ]
