"""`mts-stream topics create|list`."""

import json
from typing import Any

import click

from mts_stream.settings import Settings, load_settings
from mts_stream.wire.topics import TOPICS, Topic


@click.group()
def topics() -> None:
    """The Kafka topics, as the one table has them."""


@topics.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def create(as_json: bool) -> None:
    """Create the topics that are missing; those that stand are left as they are."""
    from mts_stream.wire.kafka import create_topics

    created = create_topics(load_settings())
    if as_json:
        click.echo(json.dumps({"created": created}))
    else:
        click.echo(f"created {', '.join(created)}" if created else f"all {len(TOPICS)} topics stand")


@topics.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_topics(as_json: bool) -> None:
    """List the topics with the partitions they should have and have."""
    from mts_stream.wire.kafka import topic_partitions

    settings = load_settings()
    standing = topic_partitions(settings)
    for topic in TOPICS:
        row = topic_row(topic, settings, standing)
        click.echo(json.dumps(row) if as_json else _line(row))


def wanted_partitions(topic: Topic, settings: Settings) -> int:
    """How many partitions the topic should have under these settings."""
    return settings.partitions if topic.partitioned else 1


def topic_row(topic: Topic, settings: Settings, standing: dict[str, int]) -> dict[str, Any]:
    """One topic: its name, partitions wanted and standing (0: it is missing), what is kept, and what it is for."""
    return {
        "topic": topic.name,
        "partitions": standing.get(topic.name, 0),
        "wanted": wanted_partitions(topic, settings),
        "kept": "last of each key" if topic.compacted else f"{(topic.retention_ms or 0) // 86_400_000} d",
        "about": topic.about,
    }


def _line(row: dict[str, Any]) -> str:
    have, want = row["partitions"], row["wanted"]
    count = "missing" if have == 0 else f"{have} partitions" if have == want else f"{have} partitions, not {want}"
    return f"{row['topic']:<32} {count:<22} {row['kept']:<17} {row['about']}"
