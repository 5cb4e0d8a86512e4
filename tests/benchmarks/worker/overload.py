"""What a worker does under more than it can carry, and after kill -9: `burst` and `kill`."""

import time

from mts_stream.wire import topics
from tests.benchmarks.worker.bench import DEADLINE_S, NS_PER_S, Bench, right, tell
from tests.benchmarks.worker.checking import check
from tests.benchmarks.worker.figures import Figure
from tests.benchmarks.worker.rows import Row, rows
from tests.integration.worker_parts import caught_up, end_offsets, until

PAIRS = 800
STEADY, BURST = 8_000, 40_000
BEHIND_MAX_MS = 1000


def burst(bench: Bench) -> list[Figure]:
    """Five times the steady rate for a minute: nothing lost, order kept, and how long it takes to drain."""
    steady_s, burst_s = (5, 10) if bench.quick else (20, 60)
    bench.clean()
    with bench.worker() as worker:
        worker.ready()
        with bench.load(PAIRS, (STEADY, STEADY * steady_s), (BURST, BURST * burst_s), paced=True) as load:
            tell(f"  begins in {-load.at_s():.0f} s")
            drove = load.drove()
            handled = bench.handled(worker, bench.logged())
        drained_s = (handled.at_ns - load.end_ns) / NS_PER_S
        tell(f"  drained after {drained_s:.1f} s, {drove.note}")
        until("all is committed", lambda: caught_up(bench.settings), DEADLINE_S)
    checked = check(bench.settings)
    note = f"{burst_s} s of burst, {drove.note}"
    drained = Figure("burst of 40,000/s: drained after its end", drained_s, "s", 30.0, note=note, is_void=drove.is_void)
    return [drained, *right("burst", checked, drove, may_repeat=False)]


def kill(bench: Bench) -> list[Figure]:
    """kill -9 under load, started again at once under its name; when what came is told by the rows' times of append."""
    steady_s, after_s = (20, 40) if bench.quick else (40, 60)
    bench.clean()
    with bench.worker("bench") as worker:
        worker.ready()
        with bench.load(PAIRS, (STEADY, STEADY * (steady_s + after_s)), paced=True) as load:
            tell(f"  begins in {-load.at_s():.0f} s")
            load.wait_until_s(steady_s)
            worker.process.kill()
            worker.process.wait()
            killed_ms = time.time_ns() // 10**6
            with bench.worker("bench"):
                before = end_offsets(bench.settings, topics.SPREADS)  # of the dead one: the new one has yet to start
                drove = load.drove()
                until("all is committed", lambda: caught_up(bench.settings), DEADLINE_S)
    first_s, caught_s = ((ms - killed_ms) / 1000 for ms in after_kill(rows(bench.settings), before))
    tell(f"  first new result after {first_s:.1f} s, caught up after {caught_s:.1f} s, {drove.note}")
    checked = check(bench.settings)
    return [
        Figure("kill -9: first new result", first_s, "s", 10.0, note=drove.note, is_void=drove.is_void),
        Figure("kill -9: caught up", caught_s, "s", 20.0, note="the last late row", is_void=drove.is_void),
        *right("kill -9", checked, drove, may_repeat=True),
    ]


def after_kill(found: list[Row], before: dict[int, int]) -> tuple[int, int]:
    """When the first new row was appended, and the last one that was late."""
    old = {row.identity for row in found if row.offset < before[row.partition]}
    after = [row for row in found if row.offset >= before[row.partition]]
    late = [row.appended_ms for row in after if row.behind_ms >= BEHIND_MAX_MS]
    first_ms = min(row.appended_ms for row in after if row.identity not in old)
    return first_ms, max(late, default=first_ms)
