"""`python -m tests.benchmarks.same_job --json | python -m tests.benchmarks.same_job.chart > docs/same-job.svg`."""

import json
import sys
from collections.abc import Mapping
from html import escape
from typing import Any

LABEL_PX, BAR_PX, ROW_PX, TOP_PX = 190, 480, 26, 56
OURS, OTHERS = "#2a6f4e", "#9aa5b1"


def svg_of(result: Mapping[str, Any]) -> str:
    """Bars of messages per CPU second, the fastest engine first; ours are coloured."""
    engines = sorted(result["engines"].items(), key=lambda each: -each[1]["messages_per_cpu_s"])
    most = engines[0][1]["messages_per_cpu_s"]
    width, height = LABEL_PX + BAR_PX + 90, TOP_PX + ROW_PX * len(engines) + 10
    title = (
        f"The same job: {result['messages']:,} messages of {result['pairs']} pairs, median of {result['rounds']} rounds"
    )
    rows = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        f'<text x="10" y="22" font-size="15">{escape(title)}</text>',
        '<text x="10" y="42" font-size="12" fill="#555">messages per CPU second; equal results of all engines</text>',
    ]
    for number, (name, each) in enumerate(engines):
        y, long = TOP_PX + ROW_PX * number, BAR_PX * each["messages_per_cpu_s"] / most
        colour = OURS if name.startswith("mts_") else OTHERS
        rows += [
            f'<text x="{LABEL_PX - 8}" y="{y + 15}" font-size="13" text-anchor="end">{escape(name)}</text>',
            f'<rect x="{LABEL_PX}" y="{y + 2}" width="{long:.1f}" height="{ROW_PX - 8}" fill="{colour}"/>',
            f'<text x="{LABEL_PX + long + 6:.1f}" y="{y + 15}" font-size="12">{each["messages_per_cpu_s"]:,}</text>',
        ]
    return "\n".join([*rows, "</svg>"]) + "\n"


if __name__ == "__main__":
    sys.stdout.write(svg_of(json.load(sys.stdin)))
