"""README.md and CHANGELOG.md say what is true: their tables equal the code's."""

import json
import re
import tomllib
from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import SecretStr

from mts_stream.commands.root import COMMANDS
from mts_stream.settings import Settings
from mts_stream.wire.signals import parse_signal
from mts_stream.wire.topics import DAY_MS, TOPICS, Topic
from producers.commands import main as producers

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def table(heading: str) -> list[list[str]]:
    """The cells of the first table under a heading, without its head."""
    section = README.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip().strip("`") for cell in row] for row in rows[2:]]


def shown(value: object) -> str:
    """A setting's default as the table has it."""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return "" if value is None else str(value)


def test_every_setting_is_in_the_table() -> None:
    """The settings table names every variable with its default, in the order of Settings, and no other."""
    expected = [[name.upper(), shown(field.default)] for name, field in Settings.model_fields.items()]

    assert [row[:2] for row in table("Settings")] == expected


def keeps(topic: Topic) -> str:
    """How long a topic keeps its records, in the README's words."""
    if topic.compacted:
        return "compacted"
    days = (topic.retention_ms or 0) // DAY_MS
    return f"{days} day" + "s" * (days != 1)


def test_every_topic_is_in_the_table() -> None:
    """The topics table equals wire/topics.py: name, content, partitions, retention."""
    expected = [[t.name, t.about, "PARTITIONS" if t.partitioned else "1", keeps(t)] for t in TOPICS]

    assert table("Topics") == expected


@pytest.mark.parametrize("row", table("Where a change lands"), ids=lambda row: row[0])
def test_places_named_exist(row: list[str]) -> None:
    """Where a change is said to land, there is a file or folder."""
    for place in re.findall(r"[\w./-]+(?:/|\.\w+)(?=[`\s,]|$)", row[1]):
        assert (ROOT / place).exists(), place


def test_the_signal_shown_is_one() -> None:
    """The example signal keeps to the models that readers rely on."""
    (example,) = re.findall(r"```json\n(.*?)```", README, re.DOTALL)

    assert parse_signal(example.encode()).type == "arbitrage.opened"


def test_the_signal_shown_adds_up() -> None:
    """The example's amounts follow the formulas printed under it."""
    (example,) = re.findall(r"```json\n(.*?)```", README, re.DOTALL)
    signal = json.loads(example)
    usd = {name: Decimal(signal[name]) for name in signal if name.endswith(("_usd", "_notional", "_bps"))}

    assert usd["gross_usd"] == usd["sell_notional"] - usd["buy_notional"]
    assert usd["net_entry_usd"] == usd["gross_usd"] - usd["fees_usd"] - usd["slippage_usd"] + usd["carry_usd"]
    assert usd["net_usd"] == usd["net_round_trip_usd"] == usd["net_entry_usd"] - usd["fees_usd"]
    assert usd["net_bps"] == usd["net_usd"] / usd["buy_notional"] * 10_000


def test_commands_named_exist() -> None:
    """Every `mts-stream` command the README names is one, and it leaves none out."""
    named = {name for row in table("Commands") for name in re.findall(r"mts-stream ([a-z-]+)", row[0])}

    assert named == set(COMMANDS)


def test_producers_commands_named_exist() -> None:
    """The same for `python -m producers`."""
    named = {name for row in table("Commands") for name in re.findall(r"python -m producers ([a-z-]+)", row[0])}

    assert named == set(producers.commands)


def test_make_targets_named_exist() -> None:
    """Every make target the README names is in the Makefile."""
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make ([a-z]+)", README, re.MULTILINE))

    assert {"demo", "test"} <= named <= targets


def test_the_changelog_keeps_its_form() -> None:
    """What comes next is collected under Unreleased, and released versions end at the project's own."""
    headings = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]

    assert headings[0] == "Unreleased" and headings[1:2] in ([], [version])
