"""The dashboards as code: `python deploy/grafana/build.py` makes `dashboards/*.json` out of the TOML files beside it.

A TOML file says what is asked and what it is called; how Grafana wants it said is here, once. Tests hold the JSON
against the TOML, run every SQL, and look up every metric.
"""

import json
import sys
import tomllib
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
OUT = FOLDER / "dashboards"
SCHEMA_VERSION = 41
COLUMNS = 24
HEIGHT = 8
Json = dict[str, Any]

CLICKHOUSE = {"type": "grafana-clickhouse-datasource", "uid": "${clickhouse}"}
PROMETHEUS = {"type": "prometheus", "uid": "${prometheus}"}
CHOICES = {
    "pair": "SELECT DISTINCT pair FROM spreads_1s WHERE window_start > now() - INTERVAL 7 DAY ORDER BY pair",
    "direction": "SELECT DISTINCT direction FROM spreads_1s WHERE window_start > now() - INTERVAL 7 DAY ORDER BY 1",
    "venue": "SELECT DISTINCT venue FROM feed_quality WHERE window_start > now() - INTERVAL 7 DAY ORDER BY venue",
}
FORMATS = {"timeseries": 0, "table": 1}  # of the ClickHouse plugin


def build(source: Json) -> Json:
    """One dashboard."""
    return {
        "id": None,
        "uid": source["uid"],
        "title": source["title"],
        "description": source["description"],
        "tags": ["mts-stream"],
        "timezone": "utc",
        "schemaVersion": SCHEMA_VERSION,
        "editable": True,
        "graphTooltip": 1,
        "refresh": source.get("refresh", "10s"),
        "time": {"from": f"now-{source.get('range', '1h')}", "to": "now"},
        "annotations": {"list": []},
        "links": [{"type": "dashboards", "tags": ["mts-stream"], "title": "MTS Stream", "keepTime": True}],
        "templating": {"list": variables(source)},
        "panels": placed([panel(number, said) for number, said in enumerate(source["panel"], start=1)]),
    }


def variables(source: Json) -> list[Json]:
    """The data sources, then what can be chosen."""
    kinds = {"clickhouse": CLICKHOUSE["type"], "prometheus": PROMETHEUS["type"]}
    found: list[Json] = [
        {"name": name, "label": name.capitalize(), "type": "datasource", "query": kind} for name, kind in kinds.items()
    ]
    found += [choice(name) for name in source.get("variables", [])]
    found += [
        {"name": name, "label": label, "type": "textbox", "query": "", "current": {"text": "", "value": ""}}
        for name, label in source.get("textboxes", {}).items()
    ]
    return found


def choice(name: str) -> Json:
    """Some, or all, of the values that there were lately."""
    query = {"rawSql": CHOICES[name], "editorType": "sql", "queryType": "table", "format": FORMATS["table"]}
    return {
        "name": name, "label": name.capitalize(), "type": "query", "datasource": CLICKHOUSE, "query": query,
        "multi": True, "includeAll": True, "refresh": 2, "sort": 1, "current": {"text": ["All"], "value": ["$__all"]},
    }  # fmt: skip


def panel(number: int, said: Json) -> Json:
    """One panel, its place left open but for its size."""
    kind = said["kind"]
    return {
        "id": number,
        "type": kind,
        "title": said["title"],
        "description": said.get("description", ""),
        "datasource": CLICKHOUSE if "sql" in said else PROMETHEUS,
        "gridPos": {"w": said.get("width", COLUMNS // 2), "h": said.get("height", HEIGHT)},
        "fieldConfig": {"defaults": defaults(said), "overrides": overrides(said)},
        "options": options(kind),
        "targets": targets(said),
    }


def targets(said: Json) -> list[Json]:
    """What the panel asks: one statement, or PromQL by legend."""
    if "sql" in said:
        query_type = "timeseries" if said["kind"] == "timeseries" else "table"
        return [
            {
                "refId": "A", "datasource": CLICKHOUSE, "editorType": "sql", "queryType": query_type,
                "format": FORMATS[query_type], "rawSql": said["sql"].strip(),
            }
        ]  # fmt: skip
    return [
        {"refId": chr(ord("A") + number), "datasource": PROMETHEUS, "expr": expression, "legendFormat": legend}
        for number, (legend, expression) in enumerate(said["promql"].items())
    ]


def defaults(said: Json) -> Json:
    """How all its numbers look."""
    look: Json = {"unit": said.get("unit", "none")}
    if "min" in said:
        look["min"] = said["min"]
    if said["kind"] == "timeseries":
        stack = {"mode": "normal" if said.get("stacked") else "none", "group": "A"}
        bars = said.get("bars", False)
        look["custom"] = {
            "drawStyle": "bars" if bars else "line", "fillOpacity": 60 if bars or said.get("stacked") else 8,
            "lineWidth": 1, "showPoints": "auto", "spanNulls": False, "stacking": stack,
        }  # fmt: skip
    if "red_from" in said:
        look["thresholds"] = {
            "mode": "absolute",
            "steps": [{"color": "green", "value": None}, {"color": "red", "value": said["red_from"]}],
        }
        look["color"] = {"mode": "thresholds"}
    return look


def overrides(said: Json) -> list[Json]:
    """Units and links of single columns."""
    units = [(name, {"id": "unit", "value": unit}) for name, unit in said.get("units", {}).items()]
    links = [
        (name, {"id": "links", "value": [{"title": link["title"], "url": link["url"]}]})
        for name, link in said.get("links", {}).items()
    ]
    return [{"matcher": {"id": "byName", "options": name}, "properties": [look]} for name, look in units + links]


def options(kind: str) -> Json:
    """What a kind of panel wants besides."""
    if kind == "stat":
        return {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}, "colorMode": "value"}
    if kind == "timeseries":
        return {
            "legend": {"displayMode": "list", "placement": "bottom", "calcs": []},
            "tooltip": {"mode": "multi", "sort": "desc"},
        }
    return {}


def placed(panels: list[Json]) -> list[Json]:
    """Panels from left to right, and a new row where one has no room."""
    x = y = row_height = 0
    for one in panels:
        grid = one["gridPos"]
        if x + grid["w"] > COLUMNS:
            x, y, row_height = 0, y + row_height, 0
        grid |= {"x": x, "y": y}
        x, row_height = x + grid["w"], max(row_height, grid["h"])
    return panels


def built() -> dict[str, str]:
    """The text of every dashboard, by its file's name."""
    sources = {path.stem: tomllib.loads(path.read_text()) for path in sorted(FOLDER.glob("*.toml"))}
    return {f"{name}.json": json.dumps(build(source), indent=2) + "\n" for name, source in sources.items()}


if __name__ == "__main__":
    OUT.mkdir(exist_ok=True)
    for name, text in built().items():
        (OUT / name).write_text(text)
        sys.stdout.write(f"{name}\n")
