"""The one table of all Kafka topics; none is ever created by itself."""

from dataclasses import dataclass

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
MESSAGE_BYTES_MAX = 4 * 2**20
SEGMENT_BYTES = 16 * 2**20

RAW = "mts.raw"
INSTRUMENTS = "mts.instruments"
SPREADS = "mts.spreads"
SIGNALS = "mts.signals"
FUNDING = "mts.funding"
QUALITY = "mts.quality"
DEAD_LETTERS = "mts.dlq"
WORKER_GROUP = "mts-stream"
SINK_GROUP = "mts-sink"
PAIRS_TABLE = "pairs"
CHANGELOG = f"{WORKER_GROUP}-{PAIRS_TABLE}-changelog"


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as it must be: its name, whether it has PARTITIONS partitions or one, and how long it keeps records."""

    name: str
    about: str
    partitioned: bool = True
    retention_ms: int | None = 7 * DAY_MS
    compacted: bool = False

    def config(self) -> dict[str, str]:
        """The topic's settings as Kafka spells them."""
        config = {"message.timestamp.type": "LogAppendTime", "max.message.bytes": str(MESSAGE_BYTES_MAX)}
        if self.compacted:
            config |= {"cleanup.policy": "compact", "segment.bytes": str(SEGMENT_BYTES)}
            config |= {"min.compaction.lag.ms": "60000", "max.compaction.lag.ms": "600000"}
        else:
            config |= {"cleanup.policy": "delete", "retention.ms": str(self.retention_ms)}
        return config


TOPICS = (
    Topic(RAW, "everything that decides a result, keyed by pair", retention_ms=DAY_MS),
    Topic(INSTRUMENTS, "the registry's last record of each pair", compacted=True),
    Topic(SPREADS, "one row per pair, direction and second"),
    Topic(SIGNALS, "opportunities opened, updated and closed; anomalies"),
    Topic(FUNDING, "changes of funding rate, time or interval"),
    Topic(QUALITY, "books per minute, connections per second"),
    Topic(DEAD_LETTERS, "what could not be read, with its reason", retention_ms=30 * DAY_MS),
    Topic(CHANGELOG, "checkpoints of the worker's table", compacted=True),
)

RESULT_TOPICS = (SPREADS, SIGNALS, FUNDING, QUALITY)
STORED_TOPICS = RESULT_TOPICS
