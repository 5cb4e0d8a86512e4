"""What a message costs the whole worker: beside the engine alone (`throughput`), and with many pairs (`pairs`)."""

import time
from statistics import median

from mts_stream.domain.engine import PartitionEngine
from mts_stream.kernels import kernel_in_use
from mts_stream.settings import Settings
from mts_stream.wire import topics
from mts_stream.wire.codec import encode_message, headers_of, key_of, topic_of
from mts_stream.wire.reading import record_reader
from tests.benchmarks.worker.bench import DEADLINE_S, Bench, right, tell
from tests.benchmarks.worker.checking import check
from tests.benchmarks.worker.figures import Figure
from tests.integration.worker_parts import caught_up, end_offsets, read, until

RECORDED_PER_S = 60  # what the recorded pair brings: event time runs as fast as it did
WARM_LINES = 60  # by then every book is valid
FEW, MANY = 10, 800
TURNS = 2  # so often MANY see the lines that they see: FEW see the same ones, more often


def throughput(bench: Bench) -> list[Figure]:
    """The worker beside the engine alone, on the same log, in turn."""
    pairs, count = (100, 50_000) if bench.quick else (200, 200_000)
    ratios, rates, wrong = [], [], []
    for _ in range(1 if bench.quick else 3):
        bench.clean()
        with bench.worker() as worker:
            worker.ready()
            with bench.load(pairs, (pairs * RECORDED_PER_S, count), paced=False) as load:
                begun = bench.handled(worker, 0)
                drove = load.drove()
                ended = bench.handled(worker, bench.logged())
            until("all is committed", lambda: caught_up(bench.settings), DEADLINE_S)
        worker_s, engine_s = ended.cpu_s - begun.cpu_s, in_process(bench.settings)
        wrong = right("throughput", check(bench.settings), drove, may_repeat=False)
        ratios.append(engine_s / worker_s)
        rates.append(ended.records / worker_s)
        tell(f"  worker {rates[-1]:,.0f}/CPU s, in process {ended.records / engine_s:,.0f}/CPU s")
    return [
        Figure("worker / in process", median(ratios), "ratio", 0.5, at_least=True, note="messages per CPU second"),
        Figure("worker, messages per CPU second", median(rates), "1/s"),
        *wrong,
    ]


def in_process(settings: Settings) -> float:
    """CPU seconds of decoding, engine and encoding of the log as it stands, with no worker around."""
    kernel = kernel_in_use(settings.kernel)
    reader, engines = record_reader(kernel.name), {}
    records = sorted(read(settings, topics.RAW), key=lambda record: (record.partition, record.offset))
    sent: list[object] = []
    began_s = time.process_time()
    for record in records:
        if record.partition not in engines:
            engines[record.partition] = PartitionEngine(settings.economics(), kernel)
        for message in engines[record.partition].on_event(reader(record.value), record.offset).messages:
            value = encode_message(message, time.time_ns())
            sent.append((topic_of(message), key_of(message), value, headers_of(message)))
    return time.process_time() - began_s


def pairs(bench: Bench) -> list[Figure]:
    """The same rows and status records for a message of 800 pairs as of ten, as fast as the worker goes.

    Each pair brings 60 records in a second of event time, however many there are, and all bring the same lines of the
    recording, whose parts cost more or less by their edges. What is counted begins when all books
    are valid and lasts longer than checkpoints take for a round.
    """
    count = 80_000 if bench.quick else 600_000
    costs, notes, lines = {}, [], count // MANY // TURNS
    for number in (FEW, MANY):
        bench.clean()
        with bench.worker() as worker:
            worker.ready()
            rate, warm = number * RECORDED_PER_S, number * WARM_LINES
            with bench.load(number, (rate, warm + count), paced=False, lines=lines) as load:
                begun = bench.handled(worker, warm)
                load.drove()
                ended = bench.handled(worker, bench.logged())
        handled, seconds = ended.records - begun.records, (ended.at_ns - begun.at_ns) / 1e9
        costs[number] = (ended.cpu_s - begun.cpu_s) / handled * 1e6
        rows = sum(end_offsets(bench.settings, topics.SPREADS).values()) / ended.records
        notes.append(f"{number} pairs: {costs[number]:.1f} us, {rows:.3f} rows a message, {handled / seconds:,.0f}/s")
        tell(f"  {notes[-1]}")
    return [Figure("cost per message, 800 pairs / 10 pairs", costs[MANY] / costs[FEW], "ratio", 1.3,
                   note="; ".join(notes))]  # fmt: skip
