"""Health: a worker that holds partitions, has recovered and moves; and a recovery that stands still is seen."""

import pytest
from faust.exceptions import ConsumerNotStarted
from faust.types import TP

from mts_stream.health import RecoveryWatch, WorkerHealth
from mts_stream.wire import topics
from tests.agents.fakes import FakeApp

TP0 = TP(topics.RAW, 0)


class Time:
    """A clock set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def a_worker() -> tuple[FakeApp, WorkerHealth, Time]:
    """A healthy worker with ten records in partition 0, all handled."""
    app, time = FakeApp(), Time()
    health = WorkerHealth(app, stalled_s=30, clock=time)
    app.consumer.ends = {TP0: 10}
    health.handled(TP0, 10)
    return app, health, time


def test_a_worker_at_the_end_is_healthy_however_long() -> None:
    """Quiet is not stalled."""
    _, health, time = a_worker()
    time.now += 10_000

    status, body = health.report()

    assert (status, body["healthy"], body["reason"]) == (200, True, None)
    assert body["partitions"] == [f"mts.raw-{p}" for p in range(4)]


def test_a_worker_that_is_behind_and_does_not_move_is_stalled() -> None:
    """Records wait and no batch was handled for longer than the bound; a batch makes it healthy again."""
    app, health, time = a_worker()
    app.consumer.ends = {TP0: 11}
    time.now += 30
    assert health.problem() is None
    time.now += 1

    status, body = health.report()
    assert (status, body["reason"]) == (503, "no batch was handled for 31 s, 1 partitions have records")
    health.handled(TP0, 10)

    assert health.problem() is None


def test_a_worker_whose_kafka_is_away_is_not_healthy() -> None:
    """However quiet the system is: the watch's reason is shown, and goes with it."""
    _, health, _ = a_worker()
    health.kafka_problem = "Kafka at k:1 has not answered for 5 s"

    assert health.report()[0] == 503
    assert health.report()[1]["reason"] == "Kafka at k:1 has not answered for 5 s"
    health.kafka_problem = None
    assert health.report()[0] == 200


def test_a_worker_whose_consumer_is_about_to_start_holds_nothing() -> None:
    """Faust counts as started a moment before its consumer does: asked then, health answers, and is not healthy."""
    app, health, _ = a_worker()

    def not_yet() -> set[TP]:
        raise ConsumerNotStarted("Consumer thread not yet started")

    app.consumer.assignment = not_yet

    assert health.report() == (503, {"healthy": False, "reason": "no partitions are assigned", "partitions": []})


@pytest.mark.parametrize(
    ("attribute", "value", "reason"),
    [
        ("started", False, "the worker is starting or stopping"),
        ("should_stop", True, "the worker is starting or stopping"),
        ("rebalancing", True, "the group is rebalancing"),
        ("in_recovery", True, "the table is being recovered"),
    ],
)
def test_a_worker_in_between_is_not_healthy(attribute: str, value: bool, reason: str) -> None:
    """Starting, rebalancing, recovering: 503 with that reason."""
    app, health, _ = a_worker()
    setattr(app, attribute, value)

    assert health.report()[0] == 503
    assert health.report()[1]["reason"] == reason


def test_a_worker_without_partitions_is_not_healthy() -> None:
    """A changelog partition alone is no work."""
    app, health, _ = a_worker()
    app.consumer.assigned = {TP(topics.CHANGELOG, 0)}

    assert health.problem() == "no partitions are assigned"


def test_a_recovery_that_stands_still_is_seen() -> None:
    """Offsets or generation that move start the time anew; the end of the recovery ends the watch."""
    app, time = FakeApp(), Time()
    watch = RecoveryWatch(app, stalled_s=60, clock=time)
    assert watch.stalled_for_s() is None

    app.in_recovery = True
    for second in range(0, 200, 10):
        time.now, app.tables.recovery.active_offsets = 100.0 + second, {TP0: second}
        assert watch.stalled_for_s() is None, "it advances"
    time.now += 61
    assert watch.stalled_for_s() == 61
    app.consumer_generation_id = 2
    assert watch.stalled_for_s() is None
    time.now += 61
    assert watch.stalled_for_s() == 61
    app.in_recovery = False

    assert watch.stalled_for_s() is None
