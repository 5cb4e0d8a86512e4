"""An answer in a terminal: what happened, from which messages, out of which books, at which cost, past which gates."""

from collections.abc import Iterable
from decimal import Decimal

from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from mts_stream.domain.explanation import Explanation, Gate, LegView, LevelView
from mts_stream.domain.pricing import WalkEnd
from mts_stream.explain.answering import Answer, Comparison, LegRecords, Look, RecordView
from mts_stream.explain.asking import utc
from mts_stream.explain.costs import CostLine, cost_lines
from mts_stream.explain.verdict import summary, verdict
from mts_stream.explain.windowed import is_windowed, window_lines

BAR_CHARS = 16
FRAME_SHOWN = 150
ENDS = {
    WalkEnd.NOTIONAL: "MAX_NOTIONAL was reached",
    WalkEnd.PRICE: "the next step would take from net before carry",
    WalkEnd.ASKS: "the buy leg's asks end there",
    WalkEnd.BIDS: "the sell leg's bids end there",
}
BOUNDS = {
    "ask_level": "the asks at this price", "bid_level": "the bids at this price", "both_levels": "both levels",
    "max_notional": "MAX_NOTIONAL",
}  # fmt: skip


def show(answer: Answer, console: Console, levels: int) -> None:
    """Print an answer, the most important first."""
    console.print(_headline(answer))
    if len(answer.events) > 1:
        _section(console, "Its events", _events(answer))
    if answer.ending is not None:
        console.print(Text("What follows is the last open evaluation, whose amounts `closed` repeats.", "dim"))
    if answer.record is not None:
        _section(console, "Raw message", Text(answer.record.place), _record(answer.record))
    if answer.look is not None:
        _look(console, answer, answer.look, levels)
    if answer.ending is not None:
        _section(console, f"What ended it, at {utc(answer.ending.evaluation.event_time_ns)}", _ending(answer.ending))
    if answer.message is not None:
        _section(console, "The message", _message(answer.message))
    for note in answer.notes:
        console.print(Text(f"Note: {note}", "yellow"))


def _headline(answer: Answer) -> Text:
    text = Text()
    text.append(f"{answer.signal_type or 'no signal'}  {answer.pair}  ", "bold")
    if answer.look is not None:
        seen = answer.look.evaluation
        text.append(f"buy {seen.legs[0].leg}, sell {seen.legs[1].leg}\n")
        text.append(f"{utc(seen.event_time_ns)} ({seen.event_time_ns}), after {answer.look.record.place}\n")
    text.append(f"out of {answer.log}\n")
    said = summary(answer)
    text.append(said, "bold red" if said.startswith("refused") else "bold green")
    return text


def _section(console: Console, title: str, *parts: RenderableType) -> None:
    console.print()
    console.print(Text(title, "bold cyan"))
    console.print(Padding(Group(*parts), (0, 0, 0, 2)))


def _look(console: Console, answer: Answer, look: Look, levels: int) -> None:
    seen = look.evaluation
    _section(console, "Raw messages", _records(look))
    _section(
        console,
        "Books, in unit prices and base units; bars: USD up to there",
        _books(seen, levels, not is_windowed(answer)),
    )
    if is_windowed(answer):
        _section(console, "What was judged, at the window's end", _costs(window_lines(answer, seen)))
        return
    if seen.walk is not None and seen.walk.steps:
        _section(console, "The walk: asks of the buy leg against bids of the sell leg", *_walk(seen))
    _section(console, "Costs, in USD", _costs(cost_lines(seen)))
    _section(console, "Gates, in their order", _gates(seen.gates))
    if seen.walk is not None and seen.walk.steps:
        _section(console, "Limits", _limits(seen))


def _events(answer: Answer) -> Table:
    table = _table("event", "time", "type", "net USD", "net bps", "size", "reason")
    for event in answer.events:
        table.add_row(
            event["id"].rpartition("-")[2], utc(event["event_time_ns"]), event["type"], event.get("net_usd", ""),
            event.get("net_bps", ""), event.get("size", ""), event.get("reason") or "",
        )  # fmt: skip
    return table


def _table(*columns: str, right: tuple[str, ...] = ()) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return table


def _records(look: Look) -> Table:
    table = _table("leg", "what", "where", "message id, received, frame")
    for leg, records in zip(look.evaluation.legs, look.legs, strict=True):
        name = f"{leg.side} {leg.leg}"
        for what, record in _resting_on(records):
            table.add_row(name, what, "none" if record is None else record.place, _record(record))
            name = ""
    return table


def _resting_on(records: LegRecords) -> list[tuple[str, RecordView | None]]:
    found = [("applied last", records.applied), ("rests on the full book", records.full_book)]
    if "perp" in records.leg:
        found.append(("funding", records.funding))
    if records.state != "valid":
        found.append((f"{records.state} since", records.state_changed_by))
    return found


def _record(record: RecordView | None) -> Text:
    if record is None:
        return Text("not in these records", "dim")
    text = Text(f"{record.message_id}  {utc(record.received_ns)}  {record.kind}, {record.size_bytes} bytes\n")
    shown = record.frame if len(record.frame) <= FRAME_SHOWN else f"{record.frame[:FRAME_SHOWN]}..."
    text.append(shown, "dim")
    return text


def _books(seen: Explanation, levels: int, walked: bool) -> Table:
    both = Table(box=None, pad_edge=False, padding=(0, 4, 0, 0), show_header=False)
    both.add_row(*(_book(leg, _taken(seen, leg.side) if walked else {}, levels) for leg in seen.legs))
    return both


def _book(leg: LegView, taken: dict[str, str], levels: int) -> RenderableType:
    head = Text(f"{leg.side} {leg.leg} {leg.symbol}: ", "bold")
    head.append(leg.state, "green" if leg.state == "valid" else "red")
    age = "no record" if leg.book_age_ms is None else f"{leg.book_age_ms} ms old"
    head.append(f", {age}, sequence {leg.sequence}, {leg.bid_levels} bids, {leg.ask_levels} asks")
    if leg.multiplier != "1":
        head.append(f", multiplier {leg.multiplier}")
    table = _table("price", "size", "USD up to", "depth", "taken", right=("price", "size", "USD up to"))
    for column in table.columns:
        column.no_wrap = True
    asks, bids = leg.asks[:levels], leg.bids[:levels]
    deepest = max((float(level.cumulative_usd) for level in (*asks, *bids)), default=0.0)
    for level in reversed(asks):
        table.add_row(*_level(level, deepest, taken if leg.side == "buy" else {}), style="red")
    table.add_row("", "", "", "", "")
    for level in bids:
        table.add_row(*_level(level, deepest, taken if leg.side == "sell" else {}), style="green")
    return Group(head, table)


def _level(level: LevelView, deepest: float, taken: dict[str, str]) -> tuple[str, ...]:
    share = float(level.cumulative_usd) / deepest if deepest else 0.0
    return (
        level.price, level.size, rounded(level.cumulative_usd), bar(share), taken.get(level.price, "")
    )  # fmt: skip


def bar(share: float) -> str:
    """A bar of up to BAR_CHARS characters, in eighths of one."""
    eighths = round(share * BAR_CHARS * 8)
    part = " ▏▎▍▌▋▊▉"[eighths % 8].strip()
    return "█" * (eighths // 8) + part


def rounded(usd: str) -> str:
    """An amount for a column in which sizes are compared: to the cent, with separators."""
    return f"{float(usd):,.2f}"


def _taken(seen: Explanation, side: str) -> dict[str, str]:
    """What of each price the walk took."""
    found: dict[str, list[Decimal]] = {}
    for step in seen.walk.steps if seen.walk is not None else ():
        found.setdefault(step.ask if side == "buy" else step.bid, []).append(Decimal(step.kept))
    return {
        price: f"◂ {sum(kept)}" + (f" in {len(kept)} steps" if len(kept) > 1 else "") for price, kept in found.items()
    }


def _walk(seen: Explanation) -> list[RenderableType]:
    assert seen.walk is not None, "asked only with valid books"
    columns = ("step", "ask", "bid", "at the ask", "at the bid", "taken", "kept", "bought so far USD")
    table = _table(*columns, "bounded by", right=columns)
    for number, step in enumerate(seen.walk.steps, start=1):
        table.add_row(
            str(number), step.ask, step.bid, _counted(step.ask_size, step.ask_counted),
            _counted(step.bid_size, step.bid_counted), step.size, step.kept, step.used_usd, BOUNDS[step.bounded_by],
        )  # fmt: skip
    count = len(seen.walk.steps)
    steps = "1 step" if count == 1 else f"{count} steps"
    end = f"{seen.walk.size} kept of {steps}; it ended because {ENDS[seen.walk.end]}."
    return [table, Text(end)]


def _counted(size: str, counted: str) -> str:
    return size if size == counted else f"{counted} of {size}"


def _costs(lines: Iterable[CostLine]) -> Table:
    table = _table("", "how", "amount", right=("amount",))
    for line in lines:
        table.add_row(line.name, escape(line.how), line.amount, style="bold" if line.is_sum else "")
    return table


def _gates(gates: list[Gate]) -> Table:
    table = _table("", "gate", "needed", "was", "margin", "else", right=("was", "margin"))
    for gate in gates:
        mark, style = {True: ("✓", "green"), False: ("✗", "red"), None: ("·", "dim")}[gate.passed]
        unit = f" {gate.unit}" if gate.unit else ""
        actual = "not judged" if gate.actual is None else f"{gate.actual}{unit}"
        margin = "" if gate.margin is None else f"{gate.margin}{unit}"
        table.add_row(mark, gate.name, f"{gate.required}{unit}", actual, margin, _refusal(gate), style=style)
    return table


def _refusal(gate: Gate) -> str:
    """The outcome that missing the gate has."""
    return "book_<state>" if gate.outcome == "book_valid" else gate.outcome


def _limits(seen: Explanation) -> Table:
    walk = seen.walk
    assert walk is not None, "asked only with valid books"
    used = walk.steps[-1].used_usd if walk.steps else "0"
    reached = "ended the walk" if walk.end is WalkEnd.NOTIONAL else "was not reached"
    table = _table("limit", "value", "effect")
    table.add_row("MAX_NOTIONAL", f"{seen.max_notional} USD", f"{used} USD bought: it {reached}")
    shared = sum(step.ask_size != step.ask_counted or step.bid_size != step.bid_counted for step in walk.steps)
    effect = f"cut levels in {shared} of {len(walk.steps)} steps" if shared else "levels were counted whole"
    table.add_row("MAX_DEPTH_SHARE", seen.max_depth_share, effect)
    lots = " and ".join(f"{leg.lot} ({leg.leg})" for leg in seen.legs)
    cut = "cut nothing off" if walk.cut_by_lot == "0" else f"cut {walk.cut_by_lot} off the last steps"
    table.add_row("common lot", walk.lot, f"of {lots}: it {cut}")
    for leg in seen.legs:
        table.add_row(f"minimum of {leg.leg}", f"{leg.min_notional} USD", f"see the gate on what is {_verb(leg)}")
    return table


def _verb(leg: LegView) -> str:
    return "bought" if leg.side == "buy" else "sold"


def _ending(look: Look) -> RenderableType:
    return Group(
        Text(f"{verdict(look)}\nby {look.record.message_id}, {look.record.place}"), _gates(look.evaluation.gates)
    )


def _message(message: Comparison) -> RenderableType:
    if message.sent is None:
        said = Text("recomputed; no signals.jsonl beside the capture says what was sent", "yellow")
        return Group(said, Text(message.recomputed))
    if message.equal:
        said = Text("recomputed from the raw log it is what was sent, byte for byte, but for emitted_ns", "bold green")
    else:
        said = Text(f"recomputed it is not what was sent; it differs in {', '.join(message.differences)}", "bold red")
    parts: list[RenderableType] = [said, Text(message.sent)]
    if not message.equal:
        parts += [Text("recomputed:", "bold red"), Text(message.recomputed)]
    return Group(*parts)
