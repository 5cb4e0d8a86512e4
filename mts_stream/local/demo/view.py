"""The live view of a demo as rich renderables, drawn from values alone; of fixed height, so that nothing jumps."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from mts_stream.local.demo.faults import FaultRow, in_force
from mts_stream.local.demo.live_state import Edge, LiveState, Opportunity

OPPORTUNITY_LINES = 4
REFUSALS_SHOWN = 5
LINES_BESIDE_PAIRS = 20
PAIRS_SHOWN_MIN = 3
WIDE = 112
"""From so many columns on, venues are written out and the query asks for a drawn table."""
DIM = "bright_black"


@dataclass(slots=True)
class Figures:
    """Rates per second and what the machine gives."""

    records_s: float = 0.0
    evaluations_s: float = 0.0
    results_s: float = 0.0
    resident_mib: float = 0.0
    idle_share: float | None = None
    shares: dict[str, list[int]] = field(default_factory=dict)  # of several workers: who has which partitions


@dataclass(slots=True)
class DemoView:
    """Everything on the screen; `elapsed_s` and `figures` are set by the demo, `state` grows with the results."""

    web: str
    kafka: str
    clickhouse: str
    database: str
    duration_s: float | None
    state: LiveState
    figures: Figures = field(default_factory=Figures)
    elapsed_s: float = 0.0
    ending: str = ""
    with_faults: bool = False
    faults: list[FaultRow] = field(default_factory=list)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        height = options.max_height or console.height
        pairs_max = max(PAIRS_SHOWN_MIN, height - LINES_BESIDE_PAIRS - self.with_faults)
        wide = options.max_width >= WIDE
        yield Group(
            self._header(),
            Text(),
            edge_table(self.state, pairs_max, wide),
            Text(),
            opportunity_table(self.state, wide),
            Text(),
            figures_line(self.figures),
            refusals_line(self.state),
            Text(),
            Text(f"  {query(self.clickhouse, self.database, wide)}", style=DIM, overflow="fold"),
        )

    def _header(self) -> Group:
        length = "" if self.duration_s is None else f" of {clock(self.duration_s)}"
        ends = self.ending or "Ctrl-C ends it"
        faults = [faults_line(self.faults)] if self.with_faults else []
        return Group(
            Text.assemble(("  MTS Stream", "bold"), f"   {clock(self.elapsed_s)}{length}   ", (ends, DIM)),
            Text(f"  page {self.web}"),
            Text(f"  Kafka {self.kafka}   ClickHouse {self.clickhouse}", style=DIM),
            *faults,
            *(
                [Text(f"  {shares_text(self.figures.shares)}", no_wrap=True, overflow="ellipsis")]
                if self.figures.shares
                else []
            ),
        )


def faults_line(faults: list[FaultRow]) -> Text:
    """The faults in force, cut where the terminal ends."""
    return Text(f"  faults {in_force(faults)}", style="yellow", no_wrap=True, overflow="ellipsis")


def shares_text(shares: dict[str, list[int]]) -> str:
    """Which worker has which partitions."""
    told = (f"{worker}: {' '.join(map(str, partitions)) or 'none'}" for worker, partitions in shares.items())
    return f"partitions of {', '.join(told)}"


def query(clickhouse: str, database: str, wide: bool) -> str:
    """A command to paste that shows what ClickHouse holds."""
    form = " FORMAT PrettyCompact" if wide else ""
    address = clickhouse.removeprefix("http://")
    select = f"SELECT * FROM {database}.arbitrage_opportunities ORDER BY timestamp DESC LIMIT 9{form}"  # noqa: S608
    return f"curl -s {address} -d '{select}'"


def shown(direction: str, wide: bool) -> str:
    """A direction, its venues cut to three letters where room is short."""
    if wide:
        return direction
    return ">".join(f"{leg[:3]}{leg[leg.index(':') :]}" for leg in direction.split(">"))


def clock(seconds: float) -> str:
    """Minutes and seconds, with hours once there are any."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes:02d}:{rest:02d}"


def lasted(milliseconds: int) -> str:
    """A length of time, in seconds from one second on."""
    return f"{milliseconds} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.1f} s"


def edge_table(state: LiveState, pairs_max: int, wide: bool) -> Padding:
    """The edge in bps of each pair (row) and direction (column); green where an opportunity is open."""
    directions = sorted({direction for _, direction in state.edges})
    pairs = sorted({pair for pair, _ in state.edges})
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style=DIM)
    table.add_column("edge, bps", style="bold", no_wrap=True)
    for direction in directions:
        table.add_column(shown(direction, wide).replace(">", "\n> "), justify="right", min_width=9)
    for pair in pairs[:pairs_max]:
        table.add_row(pair, *(_edge(state, pair, direction) for direction in directions))
    if len(pairs) > pairs_max:
        table.add_row(Text(f"and {len(pairs) - pairs_max} more", style=DIM))
    if not pairs:
        table.add_row(Text("no finished second yet", style=DIM))
    return Padding(table, (0, 2))


def _edge(state: LiveState, pair: str, direction: str) -> Text:
    edge = state.edges.get((pair, direction))
    if edge is None:
        return Text("", style=DIM)
    return Text(_bps(edge), style=_style(state, edge, pair, direction))


def _bps(edge: Edge) -> str:
    return "no book" if edge.edge_bps is None else f"{float(edge.edge_bps):+.1f}"


def _style(state: LiveState, edge: Edge, pair: str, direction: str) -> str:
    if edge.edge_bps is None or state.is_stale(edge):
        return DIM
    if state.is_open(pair, direction):
        return "bold green"
    return "default" if float(edge.edge_bps) > 0 else DIM


def opportunity_table(state: LiveState, wide: bool) -> Padding:
    """Open opportunities, then those closed last, always the same number of lines."""
    table = Table(box=None, padding=(0, 1), pad_edge=False, header_style=DIM, show_header=True)
    for name, justify in (("opportunity", "left"), ("", "left"), ("net USD", "right"), ("bps", "right")):
        table.add_column(name, justify=justify, no_wrap=True)  # type: ignore[arg-type]
    table.add_column(f"{len(state.open)} open, {state.opened_count} so far", no_wrap=True)
    for row in islice(_opportunity_rows(state, wide), OPPORTUNITY_LINES):
        table.add_row(*row)
    for _ in range(OPPORTUNITY_LINES - table.row_count):
        table.add_row("")
    return Padding(table, (0, 2))


def _opportunity_rows(state: LiveState, wide: bool) -> Iterator[tuple[Text, ...]]:
    now_ns = time.time_ns()
    for one in sorted(state.open.values(), key=lambda o: -o.opened_ns):
        yield _row(one, "green", f"open for {lasted(one.open_ms(now_ns))}", wide)
    for one in state.closed:
        yield _row(one, DIM, f"closed after {lasted(one.lived_ms)}: {one.reason}", wide)


def _row(one: Opportunity, style: str, what: str, wide: bool) -> tuple[Text, ...]:
    amounts = (f"{float(one.net_usd):,.2f}", f"{float(one.net_bps):.1f}")
    return tuple(Text(text, style=style) for text in (one.pair, shown(one.direction, wide), *amounts, what))


def figures_line(figures: Figures) -> Text:
    """Rates, memory and idle CPU in one line."""
    idle = "" if figures.idle_share is None else f"   CPU idle {figures.idle_share:.0%}"
    return Text(
        f"  records {figures.records_s:,.0f}/s   records evaluated {figures.evaluations_s:,.0f}/s   "
        f"results {figures.results_s:,.0f}/s   memory {figures.resident_mib:,.0f} MiB{idle}"
    )


def refusals_line(state: LiveState) -> Text:
    """The most frequent outcomes and their share of all evaluations, cut where the terminal ends."""
    count = state.outcomes.total()
    shares = [f"{name} {n / count:.1%}" for name, n in state.outcomes.most_common(REFUSALS_SHOWN)]
    told = "  outcomes " + ("   ".join(shares) or "none yet")
    return Text(told, style=DIM, no_wrap=True, overflow="ellipsis")
