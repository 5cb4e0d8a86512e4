"""No transport at all: the job alone, on values in memory; its results go to a file."""

from pathlib import Path

from tests.benchmarks.same_job.engines.running import BATCH, Meter, Options, job_of, main, values_of


def run(given: Options, meter: Meter) -> None:
    """In batches, as the others get them."""
    job, values, results = job_of(given), values_of(given.log), []
    for begin in range(0, len(values), BATCH):
        batch = values[begin : begin + BATCH]
        meter.saw(len(batch))
        results += job.on_records(batch)
    meter.show()
    Path(given.results).write_bytes(b"".join(b"%b %b\n" % result for result in results))


if __name__ == "__main__":
    main(run)
