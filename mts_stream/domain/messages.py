"""Results, as values: what the engine says and the result topics carry (DESIGN sections 5 and 8).

Numbers with decimals are plain decimal strings, times are Unix ns.
"""

from dataclasses import dataclass


@dataclass(slots=True, init=False)
class LegQuote:
    """One leg of an opportunity: touch and walked price in unit prices, cost, funding, and the book behind it."""

    venue: str
    market: str
    symbol: str
    side: str
    price: str
    average_price: str
    fee_bps: str
    funding_rate: str | None
    next_funding_ns: int | None
    book_age_ms: int
    sequence: int
    message_id: str
    generation: int

    def __init__(  # written out, as that of SpreadWindow
        self, venue: str, market: str, symbol: str, side: str, price: str, average_price: str, fee_bps: str,
        funding_rate: str | None, next_funding_ns: int | None, book_age_ms: int, sequence: int, message_id: str,
        generation: int,
    ) -> None:  # fmt: skip
        self.venue, self.market, self.symbol, self.side, self.price = venue, market, symbol, side, price
        self.average_price, self.fee_bps, self.funding_rate = average_price, fee_bps, funding_rate
        self.next_funding_ns, self.book_age_ms, self.sequence = next_funding_ns, book_age_ms, sequence
        self.message_id, self.generation = message_id, generation


@dataclass(slots=True)
class SignalMessage:
    """What every signal says: which one, of which pair, when, and under which settings."""

    id: str
    type: str
    schema_version: int
    pair: str
    event_time_ns: int
    emitted_ns: int
    expires_ns: int
    config_id: str


@dataclass(slots=True)
class OpportunityMessage(SignalMessage):
    """What every signal about an opportunity says: its name, its event's number, and its legs."""

    opportunity_id: str
    event: int
    direction: str
    legs: list[LegQuote]


@dataclass(slots=True)
class ArbitrageMessage(OpportunityMessage):
    """`arbitrage.opened` or `arbitrage.updated` of an opportunity."""

    size: str
    buy_notional: str
    sell_notional: str
    gross_usd: str
    fees_usd: str
    slippage_usd: str
    carry_usd: str
    net_entry_usd: str
    net_round_trip_usd: str
    net_usd: str
    net_bps: str
    edge_bps: str


@dataclass(slots=True)
class ArbitrageClosed(ArbitrageMessage):
    """`arbitrage.closed`: the last open evaluation's amounts, why it ended and how it lived."""

    reason: str
    duration_ns: int
    updates: int
    peak_net_usd: str
    size_at_peak: str
    survived_ms: list[int]


@dataclass(slots=True)
class FundingMessage(OpportunityMessage):
    """`funding.opened` of a funding arbitrage: long the buy leg, short the sell leg, over the horizon."""

    carry_bps: str
    cost_bps: str
    net_bps: str
    break_even_ns: int | None


@dataclass(slots=True)
class FundingClosed(FundingMessage):
    """`funding.closed`."""

    reason: str
    duration_ns: int


@dataclass(slots=True)
class SpreadAnomaly(SignalMessage):
    """`spread.anomaly`: a direction's mean edge left its own baseline, or came back; `reason` says why it ended."""

    direction: str
    window_start_ns: int
    phase: str
    edge_bps: str
    median_bps: str
    mad_bps: str
    score: str
    reason: str | None


@dataclass(slots=True)
class FundingAnomaly(SignalMessage):
    """`funding.anomaly`: a leg's rate is beyond its own history, changed its sign, or its interval changed.

    `message_id` is the record that shows it; baseline and score are those of kind `rate`.
    """

    kind: str
    venue: str
    market: str
    symbol: str
    message_id: str
    rate: str | None
    previous_rate: str | None
    interval_hours: int | None
    previous_interval_hours: int | None
    median_bps: str | None
    mad_bps: str | None
    score: str | None


@dataclass(slots=True, init=False)
class SpreadWindow:
    """One second of one direction: the touch edge as a bar, walked nets at its end, and the rejection ledger.

    The outcomes, none of them zero, add up to the evaluations; anything else is a bug and raises.
    """

    pair: str
    direction: str
    window_start_ns: int
    edge_open_bps: str | None
    edge_high_bps: str | None
    edge_low_bps: str | None
    edge_close_bps: str | None
    edge_mean_bps: str | None
    net_bps_1k: str | None
    net_bps_10k: str | None
    net_bps_50k: str | None
    valid_ms: int
    evaluations: int
    outcomes: dict[str, int]

    def __init__(  # written out: compiled, it costs a fifth of what `dataclass` makes (market_data.py)
        self, pair: str, direction: str, window_start_ns: int,
        edge_open_bps: str | None, edge_high_bps: str | None, edge_low_bps: str | None, edge_close_bps: str | None,
        edge_mean_bps: str | None, net_bps_1k: str | None, net_bps_10k: str | None, net_bps_50k: str | None,
        valid_ms: int, evaluations: int, outcomes: dict[str, int],
    ) -> None:  # fmt: skip
        self.pair, self.direction, self.window_start_ns = pair, direction, window_start_ns
        self.edge_open_bps, self.edge_high_bps = edge_open_bps, edge_high_bps
        self.edge_low_bps, self.edge_close_bps, self.edge_mean_bps = edge_low_bps, edge_close_bps, edge_mean_bps
        self.net_bps_1k, self.net_bps_10k, self.net_bps_50k = net_bps_1k, net_bps_10k, net_bps_50k
        self.valid_ms, self.evaluations, self.outcomes = valid_ms, evaluations, outcomes
        counts = outcomes.values()
        if sum(counts) != evaluations or min(counts, default=1) <= 0:
            raise AssertionError(f"{pair} {direction} {window_start_ns}: outcomes do not add up")


@dataclass(slots=True)
class FundingChange:
    """A venue's funding rate, next settlement or interval changed."""

    message_id: str
    pair: str
    venue: str
    market: str
    symbol: str
    event_time_ns: int
    rate: str | None
    next_funding_ns: int | None
    interval_hours: int | None


@dataclass(slots=True)
class BookQuality:
    """One minute of one book: how long in which state, what made it invalid, how late its frames were.

    `valid_percent` is a share of the time observed; latencies are receive minus exchange time, as the clocks stood.
    """

    type: str
    subject: str
    pair: str
    venue: str
    market: str
    symbol: str
    window_start_ns: int
    window_ms: int
    state: str
    records: int
    applied: int
    valid_ms: int
    valid_percent: str | None
    states: dict[str, int]
    invalidations: dict[str, int]
    gaps: int
    stale_records: int
    resyncs: int
    differing_keyframes: int
    latency_p50_ms: str | None
    latency_p90_ms: str | None
    latency_p99_ms: str | None
    latency_max_ms: str | None


Message = SignalMessage | SpreadWindow | FundingChange | BookQuality
