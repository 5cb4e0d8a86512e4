"""Every Prometheus metric of every process, in one table; the names begin with `mts_` and end in their unit."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

REGISTRY = CollectorRegistry()

LATENCY_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


def _counter(name: str, text: str, *labels: str) -> Counter:
    return Counter(name, text, labels, registry=REGISTRY)


def _gauge(name: str, text: str, *labels: str) -> Gauge:
    return Gauge(name, text, labels, registry=REGISTRY)


# Worker
RECORDS = _counter("mts_records_total", "Raw records by what became of them", "handled")
DEAD_LETTERS = _counter("mts_dead_letters_total", "Records sent to the dead letter topic", "origin", "reason")
RESULTS = _counter("mts_results_total", "Results sent", "topic")
OUTCOMES = _counter("mts_outcomes_total", "Evaluations by outcome", "outcome")
CHECKPOINTS = _counter("mts_checkpoints_total", "Pair checkpoints confirmed in the changelog")
CHECKPOINTS_IGNORED = _counter("mts_checkpoints_ignored_total", "Checkpoints of an unknown version, or broken")
UNCONFIRMED = _gauge("mts_unconfirmed_results", "Results handed to Kafka and not confirmed yet")
EVENT_LAG = _gauge("mts_event_lag_seconds", "Wall clock minus the newest event time handled")
PAIRS = _gauge("mts_pairs", "Pairs whose engines this worker holds")
OPEN_OPPORTUNITIES = _gauge("mts_open_opportunities", "Opportunities open now")
COMMITTED_OFFSET = _gauge("mts_committed_offset", "Low-water offset committed", "partition")
REWINDS = _counter("mts_rewinds_total", "Batches out of order that made the transport seek back")

# Sink
ROWS_STORED = _counter("mts_rows_stored_total", "Rows confirmed by ClickHouse", "table")
ROWS_REFUSED = _counter("mts_rows_refused_total", "Results that no table takes, sent to the dead letters", "table")
INSERTS = Histogram(
    "mts_insert_seconds", "Time of one confirmed insert", ("table",), registry=REGISTRY, buckets=LATENCY_BUCKETS
)
INSERT_RETRIES = _counter("mts_insert_retries_total", "Inserts tried again", "table")
STORE_UP = _gauge("mts_store_up", "1 while ClickHouse confirms inserts")
ROWS_HELD = _gauge("mts_rows_held", "Messages read and not stored yet", "topic")
SINK_LAG = _gauge("mts_sink_lag_records", "Records of a topic that are not stored yet", "topic")

# Producers
FRAMES = _counter("mts_frames_total", "Frames received from an exchange", "venue", "market", "channel")
PUBLISHED = _counter("mts_published_total", "Records confirmed by Kafka", "kind")
UNDELIVERED = _counter("mts_undelivered_total", "Records that Kafka did not take")
QUEUED_RECORDS = _gauge("mts_queued_records", "Records handed over and not confirmed yet")
CONNECTIONS_UP = _gauge("mts_connection_up", "1 while the connection is up", "conn")
RECONNECTS = _counter("mts_reconnects_total", "Connections opened anew, by reason", "conn", "reason")
RESYNCS = _counter("mts_resyncs_total", "Books synchronised anew, by reason", "venue", "market", "reason")
REST_WEIGHT = _gauge(
    "mts_rest_weight_used", "Weight used in the venue's minute, as the venue reports it", "venue", "market"
)
IGNORED_FRAMES = _counter("mts_ignored_frames_total", "Frames that are not for us, by reason", "venue", "reason")


def serve_metrics(host: str, port: int) -> int:
    """Serve /metrics from a thread; returns the port bound (0 asks for a free one)."""
    server, _ = start_http_server(port, addr=host, registry=REGISTRY)
    return int(server.server_port)
