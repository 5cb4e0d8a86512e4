"""The dashboards: the JSON is what its TOML says, every SQL runs on the engine, every metric exists."""

import json
import re
import runpy
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from mts_stream import metrics
from tests.clickhouse.asking import table
from tests.clickhouse.grafana import ALL, Choice, expand
from tests.clickhouse.known import BTC, NAMES, NOW, THERE, H

FOLDER = Path(__file__).parents[2] / "deploy" / "grafana"
BUILDER = runpy.run_path(str(FOLDER / "build.py"))
DASHBOARDS = {path.stem: json.loads(path.read_text()) for path in sorted((FOLDER / "dashboards").glob("*.json"))}
PANELS = [(name, panel) for name, board in DASHBOARDS.items() for panel in board["panels"]]
SQL_PANELS = [(name, panel) for name, panel in PANELS if "rawSql" in panel["targets"][0]]
PROMQL = [(panel["title"], target) for _, panel in PANELS for target in panel["targets"] if "expr" in target]
SPAN = {"start": H - timedelta(hours=1), "end": NOW}
EVERYTHING = {"pair": [ALL], "direction": [ALL], "venue": [ALL], "opportunity": [NAMES["A"]]}
SOMETHING = {"pair": [BTC, "O'NE-USDT"], "direction": [THERE], "venue": ["bybit", "binance"], "opportunity": [""]}
WORDS = {"sum", "by", "rate", "increase", "count", "or", "vector", "histogram_quantile"}
OTHERS = {"up": {"job", "instance", "process"}}


def named(case: Any) -> str:
    """A panel in the output of pytest."""
    return f"{case[0]}: {case[1]['title']}" if isinstance(case, tuple) and "title" in case[1] else ""


def series() -> dict[str, set[str]]:
    """Every series that a process of ours exports, with its labels."""
    found = dict(OTHERS)
    suffixes = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}
    for collector in list(metrics.REGISTRY._collector_to_names):
        labels = set(collector._labelnames) | {"process", "instance", "job"}  # type: ignore[attr-defined]
        for family in collector.describe() if hasattr(collector, "describe") else collector.collect():
            for suffix in suffixes[family.type]:
                found[family.name + suffix] = labels | ({"le"} if suffix == "_bucket" else set())
    return found


SERIES = series()


def test_the_files_are_what_is_built() -> None:
    """Whoever changes a TOML file runs the builder; whoever changes the JSON alone is told here."""
    built = BUILDER["built"]()

    assert set(built) == {f"{name}.json" for name in DASHBOARDS}
    for name, text in built.items():
        assert (FOLDER / "dashboards" / name).read_text() == text, "run: python deploy/grafana/build.py"


@pytest.mark.parametrize("name", DASHBOARDS)
def test_a_dashboard_can_be_provisioned(name: str) -> None:
    """No id of some Grafana's own, a stable uid, panels side by side without overlap, data sources by variable."""
    board = DASHBOARDS[name]
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in board["panels"])
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]

    assert board["id"] is None and board["uid"] == f"mts-{name.replace('_', '-')}"
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    assert len(cells) == len(set(cells)) and max(x for x, _ in cells) < 24
    for used in [panel["datasource"] for panel in board["panels"]]:
        assert used["uid"] in ("${clickhouse}", "${prometheus}")


def test_pair_venue_and_direction_can_be_chosen() -> None:
    """Each dashboard that asks for rows has those of the three that its rows have."""
    chosen = {name: [v["name"] for v in board["templating"]["list"]] for name, board in DASHBOARDS.items()}

    assert {name: set(names) - {"clickhouse", "prometheus"} for name, names in chosen.items()} == {
        "market": {"pair", "direction"},
        "opportunities": {"pair", "direction", "opportunity"},
        "funding": {"pair", "venue"},
        "feed_quality": {"venue", "pair"},
        "operations": set(),
    }


@pytest.mark.parametrize("name", ["pair", "direction", "venue"])
def test_a_variable_offers_what_there_is(name: str, known: str, clickhouse: str) -> None:
    """Its query gives one column, and the known values."""
    columns, rows = table(clickhouse, BUILDER["CHOICES"][name], known)

    assert list(columns) == [name] and rows


@pytest.mark.parametrize("case", SQL_PANELS, ids=named)
def test_a_panel_shows_rows(case: tuple[str, dict[str, Any]], known: str, clickhouse: str) -> None:
    """With everything chosen the known rows are seen, by the reader; a time series has a time, then numbers, and
    texts that tell its lines apart."""
    panel = case[1]
    columns, rows = table(clickhouse, expand(panel["targets"][0]["rawSql"], Choice(**SPAN, values=EVERYTHING)), known)

    assert rows
    if panel["type"] == "timeseries":
        assert "DateTime" in columns["time"]
        assert any(numeric(kind) for kind in columns.values())
        assert all(numeric(kind) or "String" in kind for name, kind in columns.items() if name != "time")
        assert [row["time"] for row in rows] == sorted(row["time"] for row in rows)
    if panel["type"] == "stat":
        assert len(rows) == 1 and len(columns) == 1


@pytest.mark.parametrize("case", SQL_PANELS, ids=named)
def test_a_panel_takes_a_choice(case: tuple[str, dict[str, Any]], known: str, clickhouse: str) -> None:
    """Some values chosen, one with a quote in it, give an answer too; so does a store without any rows."""
    name, panel = case
    sql = panel["targets"][0]["rawSql"]
    columns, _ = table(clickhouse, expand(sql, Choice(**SPAN, values=SOMETHING)), known)
    variables = {v["name"] for v in DASHBOARDS[name]["templating"]["list"]}

    assert columns
    assert set(re.findall(r"\$\{(\w+)", sql)) <= variables


@pytest.mark.parametrize("case", SQL_PANELS, ids=named)
def test_a_panel_of_an_empty_store_is_empty(case: tuple[str, dict[str, Any]], empty: str, clickhouse: str) -> None:
    """A first start shows no errors."""
    table(clickhouse, expand(case[1]["targets"][0]["rawSql"], Choice(**SPAN, values=EVERYTHING)), empty)


def numeric(kind: str) -> bool:
    """Whether a column's type is a number."""
    return re.search(r"\b(U?Int\d+|Float\d+|Decimal)", kind) is not None


def test_known_numbers_stand_in_the_panels(known: str, clickhouse: str) -> None:
    """What is left, and the share that lived on, are those of the questions."""
    panels = {panel["title"]: panel["targets"][0]["rawSql"] for _, panel in SQL_PANELS}

    def first(title: str, **values: list[str]) -> dict[str, Any]:
        choice = Choice(**SPAN, values=EVERYTHING | values)
        return table(clickhouse, expand(panels[title], choice), known)[1][0]

    assert first("Left after all costs") == {"net_usd": 85}
    assert first("Left after all costs", pair=[BTC]) == {"net_usd": 45}
    assert first("Best pairs")["fees_usd"] == 56
    assert first("Still there after", direction=[THERE]) == {"age": "0 ms", "alive": 1}
    assert first("Events of the chosen opportunity")["explain"] == f"mts-stream explain {NAMES['A']}-0"


def test_a_signal_leads_to_its_explanation() -> None:
    """Every table of signals or opportunities shows the command, and an opportunity's id leads to its events."""
    asked = [panel["targets"][0]["rawSql"] for _, panel in SQL_PANELS if panel["type"] == "table"]
    lists = [sql for sql in asked if re.search(r"FROM (signals|opportunities) ", sql)]
    links = [o for _, panel in SQL_PANELS for o in panel["fieldConfig"]["overrides"] if "links" in json.dumps(o)]

    assert len(lists) == 4 and all("'mts-stream explain '" in sql for sql in lists)
    assert [link["matcher"]["options"] for link in links] == ["opportunity_id"]


@pytest.mark.parametrize("case", PROMQL, ids=lambda case: f"{case[0]}: {case[1]['legendFormat']}")
def test_promql_asks_for_what_is_exported(case: tuple[str, dict[str, str]]) -> None:
    """Metrics by the names under which they are scraped; labels, in `by` and in the legend, that those have."""
    expression = re.sub(r'"[^"]*"|\[\w+\]', "", case[1]["expr"])
    words = set(re.findall(r"[a-zA-Z_]\w*", expression))
    asked = {word for word in words if word.startswith("mts_") or word in OTHERS}
    labels = {label for metric in asked for label in SERIES.get(metric, set())}

    assert asked and asked <= SERIES.keys()
    assert words - asked - labels <= WORDS
    assert set(re.findall(r"{{(\w+)}}", case[1]["legendFormat"])) <= labels


def test_the_sources_are_provisioned() -> None:
    """One ClickHouse and one Prometheus, of the types that the dashboards ask for, without a secret in the file."""
    text = (FOLDER / "provisioning" / "datasources" / "mts.yml").read_text()
    sources = yaml.safe_load(text)["datasources"]

    assert [source["type"] for source in sources] == [BUILDER["CLICKHOUSE"]["type"], BUILDER["PROMETHEUS"]["type"]]
    assert sources[0]["secureJsonData"] == {"password": "$CLICKHOUSE_PASSWORD"}
    assert sources[0]["jsonData"]["protocol"] == "http"


def test_the_folder_of_dashboards_is_provisioned() -> None:
    """The provider reads the folder that compose mounts."""
    (provider,) = yaml.safe_load((FOLDER / "provisioning" / "dashboards" / "mts.yml").read_text())["providers"]
    service = yaml.safe_load((FOLDER.parents[1] / "docker-compose.yml").read_text())["services"]["grafana"]

    assert f"./deploy/grafana/dashboards:{provider['options']['path']}:ro" in service["volumes"]
