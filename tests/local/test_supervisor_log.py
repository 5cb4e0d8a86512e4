"""What of the supervisor's log is of the run that was asked about."""

from pathlib import Path

from mts_stream.local.supervisor_log import SupervisorLog


def test_steps_and_failure_are_of_this_run(tmp_path: Path) -> None:
    """Each whole step comes once, without its time; the last line tells the failure; an earlier run tells nothing."""
    path = tmp_path / "logs" / "supervisor.log"
    log = SupervisorLog(path)
    with log.open() as file:
        file.write(b"2026-01-01 00:00:00 starting Kafka\nan old error\n")
    log = SupervisorLog(path)
    silent = str(log.failure())
    with log.open() as file:
        file.write(b"2026-01-02 00:00:00 starting ClickHouse\n2026-01-02 00:00:01 Kafka ser")
        file.flush()
        first = log.new_steps()
        file.write(b"ves\n2026-01-02 00:00:02 ready: all\nno room\n")
        file.flush()
        second = log.new_steps()

    assert (first, second, log.new_steps()) == (["starting ClickHouse"], ["Kafka serves"], [])
    assert str(log.failure()) == f"no room (log: {path})"
    assert "old" not in silent and str(path) in silent
