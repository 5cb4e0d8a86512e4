"""What happens to the workers of a chaos run: drawn from a seed, and done to real processes."""

import random
import signal
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from mts_stream.settings import Settings
from tests.integration.worker_parts import Worker, committed, end_offsets, until

WORKERS_MAX = 2
ACTIONS = ("kill", "join", "leave", "freeze broker", "freeze worker")
BROKER_FROZEN_S = (2.0, 9.0)  # around the session timeout of 6 s
WORKER_FROZEN_S = (1.0, 9.0)
MOVES_WITHIN_S = 40.0
NAMES = ("", "one", "two")  # static membership or none


def broker_process(address: str) -> psutil.Process:
    """The Kafka that listens at an address: a child of this process."""
    port = int(address.rpartition(":")[2])
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            if any(c.laddr.port == port and c.status == psutil.CONN_LISTEN for c in child.net_connections("tcp")):
                return child
    raise AssertionError(f"no child of this process listens at {address}")


class Deck:
    """What is done next: each kind once, in an order of the seed, then anew."""

    def __init__(self, actions: Sequence[str], chance: random.Random) -> None:
        self._actions, self._random = actions, chance
        self._left: list[str] = []

    def draw(self, impossible: str = "") -> str:
        """The next kind; what cannot be done yet waits."""
        if not set(self._left) - {impossible}:
            self._left = self._random.sample(self._actions, len(self._actions))
        action = next(each for each in self._left if each != impossible)
        self._left.remove(action)
        return action


class Fleet:
    """One or two workers on one group, and what is done to them."""

    def __init__(self, settings: Settings, directory: Path, seed: int) -> None:
        self.done: Counter[str] = Counter()
        self.exit_codes: list[int] = []
        self._settings = settings
        self._directory = directory
        self._random = random.Random(seed)
        self._workers: list[Worker] = []
        self._deck = Deck(ACTIONS, self._random)
        self._names = list(NAMES[1:])

    def __enter__(self) -> "Fleet":
        self._start()
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.__exit__()

    def disturb(self, broker: psutil.Process) -> str:
        """Wait until records move, then do what the seed says; gives what it was."""
        self._until_it_moves()
        time.sleep(self._random.uniform(0.0, 0.5))  # at any point of a checkpoint, a batch or a rebalance
        action = self._deck.draw("leave" if len(self._workers) == 1 else "join")
        self.done[action] += 1
        getattr(self, "_" + action.replace(" ", "_"))(*([broker] if action == "freeze broker" else []))
        return action

    def finish(self) -> None:
        """Return when all of the log is committed, and every worker has ended as it should."""
        until("all is committed", self._caught_up, 2 * MOVES_WITHIN_S)
        self.exit_codes += [worker.stop() for worker in self._workers]

    def logs(self) -> str:
        """The last lines of every worker that ever ran."""
        texts = {path.name: path.read_text()[-3000:] for path in sorted(self._directory.glob("worker-*.log"))}
        return "\n\n".join(f"== {name}\n{text}" for name, text in texts.items())

    def _start(self) -> None:
        name = self._names.pop() if self._names and self._random.random() < 0.5 else ""
        self._workers.append(Worker(self._settings, self._directory, WORKER_INSTANCE_ID=name))

    def _kill(self) -> None:
        """Without any goodbye; another one comes where it was the last."""
        self._gone(self._pick(), signal.SIGKILL)
        if not self._workers:
            self._start()

    def _join(self) -> None:
        self._start()

    def _leave(self) -> None:
        self.exit_codes.append(self._gone(self._pick(), signal.SIGTERM))

    def _freeze_broker(self, broker: psutil.Process) -> None:
        """Nothing can be read, sent, confirmed or committed; the group may forget its members meanwhile."""
        broker.suspend()
        try:
            time.sleep(self._random.uniform(*BROKER_FROZEN_S))
        finally:
            broker.resume()

    def _freeze_worker(self) -> None:
        """It may wake when its partitions are another's."""
        process = self._pick().process
        process.send_signal(signal.SIGSTOP)
        try:
            time.sleep(self._random.uniform(*WORKER_FROZEN_S))
        finally:
            process.send_signal(signal.SIGCONT)

    def _pick(self) -> Worker:
        return self._random.choice(self._workers)

    def _gone(self, worker: Worker, sig: signal.Signals) -> int:
        code = worker.stop(sig)
        self._workers.remove(worker)
        if worker.name:
            self._names.append(worker.name)
        return code

    def _until_it_moves(self) -> None:
        """Until more is committed than when it was called, or nothing is left to do."""
        before = sum(committed(self._settings).values())
        until("records move", lambda: self._caught_up() or sum(committed(self._settings).values()) > before)

    def _caught_up(self) -> bool:
        for worker in self._workers:
            assert worker.process.poll() is None, f"a worker ended by itself: {worker.text()[-3000:]}"
        ends = end_offsets(self._settings, "mts.raw")
        return any(ends.values()) and committed(self._settings) == {p: end for p, end in ends.items() if end}
