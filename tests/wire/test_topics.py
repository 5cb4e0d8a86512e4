"""The one table of topics is what it must be for delivery, replay and recovery."""

import pytest

from mts_stream.wire import topics
from mts_stream.wire.topics import DAY_MS, TOPICS, Topic


def test_names_are_unique() -> None:
    """No topic stands in the table twice."""
    assert len({topic.name for topic in TOPICS}) == len(TOPICS)


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_a_topic_is_either_compacted_or_kept_for_a_time(topic: Topic) -> None:
    """Compacted topics keep the last record of each key, all others their days; never both."""
    config = topic.config()

    assert config["cleanup.policy"] == ("compact" if topic.compacted else "delete")
    assert ("retention.ms" in config) != topic.compacted
    assert config["message.timestamp.type"] == "LogAppendTime"


def test_what_must_be_found_again_is_compacted() -> None:
    """Checkpoints and the registry are read from the beginning at every start, so they are compacted."""
    assert {topic.name for topic in TOPICS if topic.compacted} == {topics.INSTRUMENTS, topics.CHANGELOG}


def test_the_changelog_is_the_one_faust_uses() -> None:
    """Faust names a table's changelog after the app and the table."""
    assert topics.CHANGELOG == "mts-stream-pairs-changelog"


def test_the_changelog_is_partitioned_like_the_log() -> None:
    """A table's partition n holds the pairs of the log's partition n: both have the same number."""
    table = {topic.name: topic for topic in TOPICS}

    assert table[topics.CHANGELOG].partitioned and table[topics.RAW].partitioned


def test_dead_letters_outlive_the_log() -> None:
    """There is a month to look at what could not be read, a day to replay what could."""
    table = {topic.name: topic for topic in TOPICS}

    assert table[topics.DEAD_LETTERS].retention_ms == 30 * DAY_MS
    assert table[topics.RAW].retention_ms == DAY_MS
