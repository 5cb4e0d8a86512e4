"""What Grafana and its ClickHouse plugin do with a panel's SQL before the engine sees it.

The order is theirs: `$__conditionalAll` and variables in the browser, the other macros in the plugin's backend. Their
meanings are those of the plugin's README and of its pkg/macros.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

ALL = "$__all"
MACRO = re.compile(r"\$__(\w+)")
VARIABLE = re.compile(r"\$\{(\w+)(?::(\w+))?\}")
INTERVAL_S = 60


@dataclass(frozen=True, slots=True)
class Choice:
    """What somebody who looks at a dashboard has chosen."""

    start: datetime
    end: datetime
    values: Mapping[str, list[str]]


def expand(sql: str, choice: Choice) -> str:
    """The SQL that the engine gets; raises KeyError for what Grafana would leave as it stands."""
    sql = _conditional_all(sql, choice.values)
    sql = VARIABLE.sub(lambda found: _variable(found[1], found[2], choice.values), sql)
    return _macros(sql, choice)


def arguments(sql: str, opening: int) -> tuple[list[str], int]:
    """The arguments of a call whose bracket opens there, and where it ends."""
    depth, found, start = 0, [], opening + 1
    for place in range(opening, len(sql)):
        depth += (sql[place] == "(") - (sql[place] == ")")
        if (sql[place] == "," and depth == 1) or depth == 0:
            found.append(sql[start:place].strip())
            start = place + 1
        if depth == 0:
            return found, place + 1
    raise ValueError(f"a bracket is not closed: {sql[opening:]}")


def _conditional_all(sql: str, values: Mapping[str, list[str]]) -> str:
    macro = "$__conditionalAll("
    while (start := sql.rfind(macro)) >= 0:
        (condition, variable), end = arguments(sql, start + len(macro) - 1)
        chosen = values[variable.removeprefix("$")]
        sql = sql[:start] + ("1=1" if chosen == [ALL] else condition) + sql[end:]
    return sql


def _variable(name: str, style: str | None, values: Mapping[str, list[str]]) -> str:
    if style == "singlequote":
        return ",".join("'" + value.replace("'", "\\'") + "'" for value in values[name])
    if style is None:
        return ",".join(values[name])
    raise KeyError(style)


def _macros(sql: str, choice: Choice) -> str:
    start, end = (f"toDateTime({int(time.timestamp())})" for time in (choice.start, choice.end))
    meanings = {
        "timeFilter": lambda column: f"{column} >= {start} AND {column} <= {end}",
        "timeInterval": lambda column: f"toStartOfInterval(toDateTime({column}), INTERVAL {INTERVAL_S} second)",
        "fromTime": lambda: start,
        "toTime": lambda: end,
        "interval_s": lambda: str(INTERVAL_S),
    }
    while (found := MACRO.search(sql)) is not None:
        with_arguments = sql[found.end() : found.end() + 1] == "("
        given, after = arguments(sql, found.end()) if with_arguments else ([], found.end())
        sql = sql[: found.start()] + meanings[found[1]](*given) + sql[after:]
    return sql
