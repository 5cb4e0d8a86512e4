"""The messages of mts.spreads, mts.funding, mts.quality and mts.dlq, one model each (DESIGN sections 5 and 8)."""

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, model_validator

from mts_stream.wire.signals import Count, DecimalString, Direction, Market, Name, Ns, WireModel, validate

Counts = dict[Name, Count]


class SpreadRow(WireModel):
    """One second of one direction: touch edge as a bar, walked nets at its end, outcomes of its evaluations."""

    pair: Name
    direction: Direction
    window_start_ns: Ns
    edge_open_bps: DecimalString | None
    edge_high_bps: DecimalString | None
    edge_low_bps: DecimalString | None
    edge_close_bps: DecimalString | None
    edge_mean_bps: DecimalString | None
    net_bps_1k: DecimalString | None
    net_bps_10k: DecimalString | None
    net_bps_50k: DecimalString | None
    valid_ms: Count
    evaluations: Count
    outcomes: Counts

    @model_validator(mode="after")
    def _adds_up(self) -> "SpreadRow":
        if sum(self.outcomes.values()) != self.evaluations:
            raise ValueError(f"outcomes add up to {sum(self.outcomes.values())}, evaluations are {self.evaluations}")
        return self


class FundingChange(WireModel):
    """A venue stated another funding rate, next settlement or interval."""

    message_id: Name
    pair: Name
    venue: Name
    market: Market
    symbol: Name
    event_time_ns: Ns
    rate: DecimalString | None
    next_funding_ns: Ns | None
    interval_hours: Annotated[int, Field(ge=0, le=65535)] | None


class _Quality(WireModel):
    subject: Name
    pair: str
    venue: Name
    market: Market
    symbol: str
    window_start_ns: Ns
    window_ms: Count


# New fields are null, or an empty map, in a message of before they were: a topic and a store keep those (section 8).
Added = Count | None
AddedDecimal = DecimalString | None
AddedCounts = Annotated[Counts, Field(default_factory=dict)]


class BookQuality(_Quality):
    """One minute of one book, from the log: how long in which state, what made it invalid, how late its frames were.

    `valid_percent` is a share of the time observed; latencies are receive minus exchange time, as the clocks stood.
    """

    type: Literal["book"]
    state: Name
    records: Count
    applied: Count
    valid_ms: Count
    states: Counts
    invalidations: Counts
    valid_percent: AddedDecimal = None
    gaps: Added = None
    stale_records: Added = None
    resyncs: Added = None
    differing_keyframes: Added = None
    latency_p50_ms: AddedDecimal = None
    latency_p90_ms: AddedDecimal = None
    latency_p99_ms: AddedDecimal = None
    latency_max_ms: AddedDecimal = None


class ConnectionQuality(_Quality):
    """One second of one producer connection: what came, how late, how much of it stands, and what waits.

    Latencies are receive minus exchange time as the clocks stood; the corrected ones are on the exchange's clock as it
    is estimated: `clock_offset_ms` is its lead on ours, wrong by at most `clock_offset_error_ms`. Where several
    connections share a REST budget or a queue, each tells the whole of it.
    """

    type: Literal["connection"]
    frames: Count
    bytes: Count
    reconnects: Count
    resyncs: Count
    gen: Count
    queued_records: Count
    latency_p50_ms: DecimalString | None
    latency_p99_ms: DecimalString | None
    latency_p90_ms: AddedDecimal = None
    latency_max_ms: AddedDecimal = None
    clock_offset_ms: AddedDecimal = None
    clock_offset_error_ms: AddedDecimal = None
    latency_corrected_p50_ms: AddedDecimal = None
    latency_corrected_p90_ms: AddedDecimal = None
    latency_corrected_p99_ms: AddedDecimal = None
    latency_corrected_max_ms: AddedDecimal = None
    frames_by_channel: AddedCounts
    gaps: Added = None
    resyncs_by_reason: AddedCounts
    books: Added = None
    books_synced: Added = None
    valid_percent: AddedDecimal = None
    dead_letters: Added = None
    queued_snapshots: Added = None
    rest_weight_spent: Added = None
    rest_weight_reported: Added = None
    rest_weight_budget: Added = None


class DeadLetter(WireModel):
    """What could not be read or stored: where it stood, why, and its first 64 KiB."""

    origin: Literal["producer", "worker", "sink"]
    reason: Name
    detail: str
    topic: str | None
    partition: Count | None
    offset: Count | None
    venue: str | None
    stream: str | None
    payload_base64: str
    payload_bytes: Count
    truncated: bool


AnyQuality = BookQuality | ConnectionQuality
Quality = Annotated[AnyQuality, Field(discriminator="type")]

_spread: TypeAdapter[SpreadRow] = TypeAdapter(SpreadRow)
_funding: TypeAdapter[FundingChange] = TypeAdapter(FundingChange)
_quality: TypeAdapter[AnyQuality] = TypeAdapter(Quality)
_letter: TypeAdapter[DeadLetter] = TypeAdapter(DeadLetter)


def parse_spread(value: bytes | None) -> SpreadRow:
    """The window row in a record's value; raises BadRecordError."""
    return validate(_spread, value)


def parse_funding(value: bytes | None) -> FundingChange:
    """The funding change in a record's value; raises BadRecordError."""
    return validate(_funding, value)


def parse_quality(value: bytes | None) -> AnyQuality:
    """The quality report in a record's value; raises BadRecordError."""
    return validate(_quality, value)


def parse_dead_letter(value: bytes | None) -> DeadLetter:
    """The dead letter in a record's value; raises BadRecordError."""
    return validate(_letter, value)
