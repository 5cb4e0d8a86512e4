"""The demo's own children: producers with the simulator, worker, sink, live page; a death unasked is an error."""

import asyncio
import sys
from collections.abc import Callable, Mapping, Sequence

from mts_stream.errors import LocalPartError
from mts_stream.local.demo.options import DemoOptions
from mts_stream.local.demo.truth import TruthFiles
from mts_stream.local.parts import LocalParts
from mts_stream.local.process import ChildProcess

LOG_LINES_SHOWN = 5
PYTHON = (sys.executable, "-P", "-m")


def commands(
    options: DemoOptions, ports: Mapping[str, int], truth: TruthFiles, workers: Mapping[str, int]
) -> dict[str, list[str]]:
    """The command of each child, as a user would type it."""
    simulate = ["--simulate", "--sim-pairs", str(options.pairs), "--seed", str(options.seed)]
    simulate += ["--truth", str(truth.episodes), "--control-file", str(truth.control)]
    if options.faults:
        simulate += ["--faults", "--fault-truth", str(truth.faults)]
    worker = ["worker", "-l", "info", "--web-port"]
    return {
        "producers": [*PYTHON, "producers", "run", *simulate, "--metrics-port", str(ports["PRODUCER_METRICS_PORT"])],
        **{name: [*PYTHON, "faust", "-A", "mts_stream.app", *worker, str(port)] for name, port in workers.items()},
        "sink": [*PYTHON, "faust", "-A", "mts_stream.sink", *worker, str(ports["SINK_WEB_PORT"])],
        "web": [*PYTHON, "mts_stream.cli", "web", "--port", str(ports["WEB_PORT"])],
    }


class Watched:
    """Processes that must not end unasked; `failed` is done, with the error, when one has.

    Of several `workers` all but the last may: the others go on with its work, and it is told to `on_lost`.
    """

    def __init__(self) -> None:
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._watches: dict[str, asyncio.Task[None]] = {}
        self.workers: set[str] = set()
        self.lost: list[str] = []
        self.on_lost: Callable[[str], None] = lambda _: None

    def add(self, child: ChildProcess) -> None:
        """Watch a child that was started."""
        self._watches[child.name] = asyncio.create_task(self._watch(child))

    def add_local(self, local: LocalParts) -> None:
        """Watch Kafka and ClickHouse."""
        self._watches["local parts"] = asyncio.create_task(self._watch_local(local))

    def fail_with(self, task: "asyncio.Task[None]") -> None:
        """A watcher's task has ended: what it died of, if it did, is a failure as well."""
        if not task.cancelled() and task.exception() is not None:
            self._fail(task.exception())

    def forgive(self, *names: str) -> None:
        """These may end from now on."""
        for name in names:
            if name in self._watches:
                self._watches.pop(name).cancel()

    def forgive_all(self) -> None:
        """All may end from now on."""
        self.forgive(*list(self._watches))

    async def _watch(self, child: ChildProcess) -> None:
        code = await child.wait()
        if child.name in self.workers and len(self.workers) > 1:
            self.workers.discard(child.name)
            self.lost.append(child.name)
            self.on_lost(f"{ended(child, code)}: the others take over; see {child.log_path}")
            return
        self._fail(PartEndedError(child, code))

    async def _watch_local(self, local: LocalParts) -> None:
        self._fail(await local.failed())

    def _fail(self, error: BaseException | None) -> None:
        if error is not None and not self.failed.done():
            self.failed.set_exception(error)
            self.failed.exception()  # seen: whoever awaits it meets it, and nobody has to


class PartEndedError(LocalPartError):
    """A child ended by itself; its last words are in `last_words`."""

    def __init__(self, child: ChildProcess, code: int) -> None:
        super().__init__(f"{ended(child, code)} while the demo ran: see {child.log_path}")
        self.last_words = last_lines(child.log_tail())


def ended(child: ChildProcess, code: int) -> str:
    """How a child ended."""
    how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
    return f"{child.name} {how}"


def last_lines(text: str, count: int = LOG_LINES_SHOWN) -> str:
    """The last lines that say something, indented."""
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    return "\n".join(f"    {line[:300]}" for line in lines[-count:])


async def stop_all(children: Sequence[ChildProcess], timeout_s: float) -> None:
    """Ask all to end at once, and kill what has not after the time."""
    for child in children:
        child.stop_timeout_s = timeout_s
    await asyncio.gather(*(child.stop() for child in children))
