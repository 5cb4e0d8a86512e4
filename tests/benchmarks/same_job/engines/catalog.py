"""The engines by name: what runs them, on which kernel, and whose environment they need."""

import os
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[4]
PEERS = ROOT / "build" / "peers"
STREAMS_JAR = ROOT / "build" / "kafka-streams" / "same-job.jar"
INSTALL = "make peers"


class Engine(NamedTuple):
    """One contender."""

    name: str
    module: str
    kernel: str
    needs: Path | None = None

    @property
    def is_there(self) -> bool:
        """Whether what it needs is installed."""
        return self.needs is None or self.needs.exists()

    def command(self) -> list[str]:
        """What starts it; options follow."""
        if self.needs == STREAMS_JAR:
            return ["java", *JVM, "-jar", str(STREAMS_JAR)]
        python = sys.executable if self.needs is None else str(self.needs)
        return [python, "-m", f"tests.benchmarks.same_job.engines.{self.module}"]

    def environment(self) -> dict[str, str]:
        """Its variables: this tree is what it imports."""
        return os.environ | {"PYTHONPATH": str(ROOT), "KERNEL": self.kernel if self.kernel == "python" else "auto"}


JVM = ("-Xmx1g", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=4")
PEERS_PYTHON = PEERS / "bin" / "python"

ENGINES = {
    engine.name: engine
    for engine in (
        Engine("in_process", "in_process", "compiled"),
        Engine("confluent_loop", "confluent_loop", "compiled"),
        Engine("mts_compiled", "mts", "compiled"),
        Engine("aiokafka_loop", "aiokafka_loop", "compiled"),
        Engine("quix", "quix", "compiled", PEERS_PYTHON),
        Engine("bytewax", "bytewax_flow", "compiled", PEERS_PYTHON),
        Engine("kafka_streams", "", "java", STREAMS_JAR),
        Engine("mts_python", "mts", "python"),
        Engine("faust_stock", "faust_stock", "python"),
        Engine("faust_stock_compiled", "faust_stock", "compiled"),
    )
}
