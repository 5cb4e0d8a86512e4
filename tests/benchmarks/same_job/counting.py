"""A job that costs nearly nothing: what an engine takes with it is its transport."""

from zlib import crc32

from tests.benchmarks.same_job.job import Result

KERNEL = "count"
"""The name of it where an engine is told its kernel."""


class CountingJob:
    """Counts records and adds up their checksums, and says both with the last record, whatever their order."""

    def __init__(self, records: int) -> None:
        self._records, self._seen, self._sum = records, 0, 0

    def on_record(self, value: bytes) -> list[Result]:
        """What comes of a record: nothing but for the last."""
        return self.on_records([value])

    def on_records(self, values: "list[bytes]") -> list[Result]:
        """What comes of some records."""
        self._seen += len(values)
        self._sum += sum(map(crc32, values))
        return [(b"all", b"%d %d" % (self._seen, self._sum))] if self._seen == self._records else []
