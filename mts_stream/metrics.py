"""Every Prometheus metric of every process, in one table; the names begin with `mts_` and end in their unit."""

from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

REGISTRY = CollectorRegistry()  # all of them; a process serves its own, for a 0 of another one would be a false alarm
WORKER, SINK, PRODUCER = CollectorRegistry(), CollectorRegistry(), CollectorRegistry()

Processes = tuple[CollectorRegistry, ...]
M = TypeVar("M", Counter, Gauge, Histogram)
_WORKER, _SINK, _PRODUCER = (WORKER,), (SINK,), (PRODUCER,)
_READERS, _ALL = (WORKER, SINK), (WORKER, SINK, PRODUCER)

LATENCY_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


def _counter(of: Processes, name: str, text: str, *labels: str) -> Counter:
    return _shared(of, Counter(name, text, labels, registry=REGISTRY))


def _gauge(of: Processes, name: str, text: str, *labels: str) -> Gauge:
    return _shared(of, Gauge(name, text, labels, registry=REGISTRY))


def _shared(of: Processes, metric: M) -> M:
    for registry in of:
        registry.register(metric)
    return metric


# Worker
RECORDS = _counter(_WORKER, "mts_records_total", "Raw records by what became of them", "handled")
DEAD_LETTERS = _counter(_ALL, "mts_dead_letters_total", "Records sent to the dead letter topic", "origin", "reason")
RESULTS = _counter(_WORKER, "mts_results_total", "Results sent", "topic")
OUTCOMES = _counter(_WORKER, "mts_outcomes_total", "Evaluations by outcome", "outcome")
CHECKPOINTS = _counter(_WORKER, "mts_checkpoints_total", "Pair checkpoints confirmed in the changelog")
CHECKPOINTS_IGNORED = _counter(_WORKER, "mts_checkpoints_ignored_total", "Checkpoints of an unknown version, or broken")
UNCONFIRMED = _gauge(_WORKER, "mts_unconfirmed_results", "Results handed to Kafka and not confirmed yet")
EVENT_LAG = _gauge(_WORKER, "mts_event_lag_seconds", "Wall clock minus the newest event time handled", "partition")
STALE_SIGNALS = _counter(_WORKER, "mts_stale_signals_total", "Signals that had expired when they were sent", "type")
PAIRS = _gauge(_WORKER, "mts_pairs", "Pairs whose engines this worker holds")
OPEN_OPPORTUNITIES = _gauge(_WORKER, "mts_open_opportunities", "Opportunities open now")
COMMITTED_OFFSET = _gauge(_WORKER, "mts_committed_offset", "Low-water offset committed", "partition")
REWINDS = _counter(_READERS, "mts_rewinds_total", "Batches out of order that made the transport seek back")
FETCH_QUEUED = _gauge(_READERS, "mts_fetch_queued_records", "Records fetched and not yet handed to an agent")
FETCH_QUEUED_BYTES = _gauge(_READERS, "mts_fetch_queued_bytes", "Bytes fetched and not yet handed to an agent")
FETCH_RTT = _gauge(_READERS, "mts_fetch_rtt_seconds", "Mean time of a request of the last 5 s at the slowest broker")
FETCH_LAG = _gauge(_READERS, "mts_fetch_lag_records", "Records not yet handed to an agent", "topic", "partition")
FETCH_ERRORS = _counter(_READERS, "mts_fetch_errors_total", "Errors that fetching met, by librdkafka's name", "name")

# Sink
ROWS_STORED = _counter(_SINK, "mts_rows_stored_total", "Rows confirmed by ClickHouse", "table")
ROWS_REFUSED = _counter(
    _SINK, "mts_rows_refused_total", "Results that no table takes, sent to the dead letters", "table"
)
INSERTS = _shared(
    _SINK,
    Histogram(
        "mts_insert_seconds", "Time of one confirmed insert", ("table",), registry=REGISTRY, buckets=LATENCY_BUCKETS
    ),
)
INSERT_RETRIES = _counter(_SINK, "mts_insert_retries_total", "Inserts tried again", "table")
STORE_UP = _gauge(_SINK, "mts_store_up", "1 while ClickHouse confirms inserts")
ROWS_HELD = _gauge(_SINK, "mts_rows_held", "Messages read and not stored yet", "topic")
SINK_LAG = _gauge(_SINK, "mts_sink_lag_records", "Records of a topic that are not stored yet", "topic")

# Producers
FRAMES = _counter(_PRODUCER, "mts_frames_total", "Frames received from an exchange", "venue", "market", "channel")
PUBLISHED = _counter(_PRODUCER, "mts_published_total", "Records confirmed by Kafka", "kind")
UNDELIVERED = _counter(_PRODUCER, "mts_undelivered_total", "Records that Kafka did not take")
REFUSED = _counter(_PRODUCER, "mts_refused_total", "Records for which the queue had no room", "topic")
QUEUED_RECORDS = _gauge(_PRODUCER, "mts_queued_records", "Records handed over and not confirmed yet")
CONNECTIONS_UP = _gauge(_PRODUCER, "mts_connection_up", "1 while the connection is up", "conn")
RECONNECTS = _counter(_PRODUCER, "mts_reconnects_total", "Connections opened anew, by reason", "conn", "reason")
ATTEMPTS_DELAYED = _counter(
    _PRODUCER, "mts_connection_attempts_delayed_total", "Attempts to connect held back by the venue's limit", "host"
)
CONNECTIONS_CHANGED = _counter(
    _PRODUCER, "mts_connections_changed_total", "Planned changes of a connection, by outcome", "outcome"
)
SUBSCRIPTION_FAULTS = _counter(
    _PRODUCER, "mts_subscription_faults_total", "Subscriptions that went wrong, by reason", "venue", "market", "reason"
)
RESYNCS = _counter(_PRODUCER, "mts_resyncs_total", "Books synchronised anew, by reason", "venue", "market", "reason")
BOOKS_SEEDED = _counter(
    _PRODUCER, "mts_books_seeded_total", "Books that stood on the top of their book from the socket", "venue", "market"
)
REST_WEIGHT = _gauge(
    _PRODUCER, "mts_rest_weight_used", "Weight used in the venue's minute, as the venue reports it", "venue", "market"
)
REST_SPENT = _gauge(_PRODUCER, "mts_rest_weight_spent", "Weight that we spent in the last minute", "venue", "market")
REST_BUDGET = _gauge(_PRODUCER, "mts_rest_weight_budget", "Weight that we may spend in a minute", "venue", "market")
SNAPSHOTS_WAITING = _gauge(_PRODUCER, "mts_snapshots_waiting", "Books that wait for a snapshot", "venue", "market")
BOOKS_VALID = _gauge(_PRODUCER, "mts_books_valid_ratio", "Share of the books' last second that they stood", "conn")
FEED_LATENCY = _gauge(
    _PRODUCER, "mts_feed_latency_seconds", "Receive minus exchange time of the last second's frames, as the clocks "
    "stood", "conn", "quantile",
)  # fmt: skip
FEED_LATENCY_CORRECTED = _gauge(
    _PRODUCER, "mts_feed_latency_corrected_seconds", "The same on the exchange's clock as it is estimated", "conn",
    "quantile",
)  # fmt: skip
CLOCK_OFFSET = _gauge(
    _PRODUCER, "mts_clock_offset_seconds", "The exchange's clock minus ours, an estimate", "venue", "host"
)
CLOCK_OFFSET_ERROR = _gauge(
    _PRODUCER, "mts_clock_offset_error_seconds", "How far that estimate may be off", "venue", "host"
)
IGNORED_FRAMES = _counter(
    _PRODUCER, "mts_ignored_frames_total", "Frames that are not for us, by reason", "venue", "reason"
)


def registry_of(process: str) -> CollectorRegistry:
    """The metrics of a process by its name, `worker` or `sink`; all for any other."""
    return {"worker": WORKER, "sink": SINK}.get(process, REGISTRY)


def serve_metrics(host: str, port: int) -> int:
    """Serve the producers' /metrics from a thread; returns the port bound (0 asks for a free one)."""
    server, _ = start_http_server(port, addr=host, registry=PRODUCER)
    return int(server.server_port)
