"""The contest's result, for programs and for people."""

from collections.abc import Mapping
from statistics import median
from typing import Any

from tests.benchmarks.same_job.bars import Reached, Turn
from tests.benchmarks.same_job.engines.catalog import ENGINES


def json_of(
    turns: Mapping[str, list[Turn]], digests: Mapping[str, set[str]], more: Mapping[str, Any], bars: list[Reached],
    facts: Mapping[str, Any],
) -> dict[str, Any]:  # fmt: skip
    """Medians over the rounds; `digests_equal` says whether all engines sent the same results."""
    found = sorted(set().union(*digests.values())) if digests else []
    engines = {
        name: {
            "messages_per_cpu_s": round(median(turn.per_cpu_s for turn in taken)),
            "messages_per_s": round(median(turn.per_s for turn in taken)),
            "rounds_per_cpu_s": [round(turn.per_cpu_s) for turn in taken],
            "kernel": ENGINES[name].kernel,
            **more.get(name, {}),
        }
        for name, taken in turns.items()
    }
    return {
        "engines": engines,
        "digests_equal": len(found) == 1,
        "digests": found if len(found) == 1 else {name: sorted(each) for name, each in digests.items()},
        "bars": [
            {
                "name": f"{each.bar.name} / {each.bar.other}", "value": round(each.value, 2),
                "least": round(each.least, 2), "most": round(each.most, 2), "bar": each.bar.at_least,
                "reached": each.is_reached,
            }
            for each in bars
        ],
        **facts,
    }  # fmt: skip


def table_of(result: Mapping[str, Any]) -> str:
    """Engines by speed, then the bars."""
    lines = [
        f"{result['messages']:,} messages, {result['pairs']} pairs, {result['rounds']} rounds, "
        f"digests {'equal' if result['digests_equal'] else 'DIFFER: ' + str(result['digests'])}",
        "",
        f"{'engine':22} {'kernel':9} {'messages/CPU s':>15} {'messages/s':>12}",
    ]
    by_speed = sorted(result["engines"].items(), key=lambda each: -each[1]["messages_per_cpu_s"])
    lines += [
        f"{name:22} {each['kernel']:9} {each['messages_per_cpu_s']:>15,} {each['messages_per_s']:>12,}"
        for name, each in by_speed
    ]
    lines += ["", f"{'ratio, messages per CPU second':40} {'value':>7} {'range':>15} {'bar':>6}"]
    for bar in result["bars"]:
        spread = f"{bar['least']:.2f} to {bar['most']:.2f}"
        verdict = "reached" if bar["reached"] else "NOT REACHED"
        lines.append(f"{bar['name']:40} {bar['value']:>7.2f} {spread:>15} {bar['bar']:>6} {verdict}")
    lines += [f"{name}: not installed" for name in result["missing"]]
    return "\n".join(lines)
