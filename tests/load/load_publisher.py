"""The publisher and a real broker under load: `make load`. Nothing is lost and the order is kept; the speed is shown.

8,000 records a second for a minute is what 800 books bring on an ordinary day, 40,000 for 30 s a burst.
"""

import json
import subprocess
import sys
from typing import Any

import psutil
import pytest

from mts_stream.settings import load_settings
from mts_stream.wire.kafka import create_topics
from tests.load.order import check_order, ends

STEADY, BURST = (8_000, 60), (40_000, 30)
TIMEOUT_S = 240


@pytest.mark.timeout(2 * TIMEOUT_S)
@pytest.mark.parametrize(("rate", "seconds"), [STEADY, BURST], ids=["steady", "burst"])
def test_nothing_is_lost_and_the_order_is_kept(
    kafka: str, rate: int, seconds: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every record is in the topic once, each connection's numbers without a hole, each pair's in order."""
    settings = load_settings(kafka_bootstrap_servers=kafka)
    create_topics(settings)
    begins = ends(settings)
    broker = _broker()
    broker_s = sum(broker.cpu_times()[:2])
    result = _publish(kafka, rate, seconds)
    broker_s = sum(broker.cpu_times()[:2]) - broker_s

    assert (result["lost"], result["unconfirmed"]) == (0, 0)
    assert result["confirmed"] == result["sent"] == rate * seconds
    assert check_order(settings, begins) == {"frame": result["sent"]}
    with capsys.disabled():
        _show(rate, seconds, result, broker_s, broker.memory_info().rss)


def _publish(kafka: str, rate: int, seconds: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.load.publishing", f"--kafka={kafka}", f"--rate={rate}"]
    done = subprocess.run([*command, f"--seconds={seconds}"], capture_output=True, text=True, timeout=TIMEOUT_S)
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def _broker() -> psutil.Process:
    return next(child for child in psutil.Process().children(recursive=True) if "kafka.Kafka" in child.cmdline())


def _show(rate: int, seconds: int, result: dict[str, Any], broker_s: float, broker_rss: int) -> None:
    rows = {
        "records sent, all confirmed and in order": f"{result['sent']:,}",
        "lost": f"{result['lost']}",
        "records a second, sent": f"{result['records_per_s']:,.0f}",
        "held back for want of room, s": f"{result['held_back_s']:.1f}",
        "last one confirmed after the last was sent, s": f"{result['last_confirmed_after_s']:.2f}",
        "peak queue, records": f"{result['peak_queue']:,}",
        "peak memory of the producer, MB": f"{result['peak_rss_mb']:,.0f}",
        "producer, share of a core": f"{result['cpu_share']:.2f}",
        "broker, CPU s": f"{broker_s:.1f}",
        "memory of the broker, MB": f"{broker_rss / 2**20:,.0f}",
    }
    print(f"\n{rate:,} records/s for {seconds} s")
    for name, value in rows.items():
        print(f"  {name:48} {value:>12}")
