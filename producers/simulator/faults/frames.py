"""Depth frames on their way to the clients: lost, doubled, in the wrong order, late.

frames 1 2 3 ->  1 _ 3   1 2 2 3   1 3 2       ....1 2 3
                 lost -> doubled -> reordered -> late
"""

from collections import deque
from collections.abc import Iterable, Sequence

from producers.simulator.faults.active import ActiveFaults, Fault
from producers.simulator.settings import STEP_MS
from producers.simulator.universe import BookKey

LATE_FRAMES_MAX = 4096
"""Late frames kept per stream; the network loses the oldest above that."""

StreamKey = tuple[BookKey, str]
"""A book and the name of one of its streams."""


class FrameFaults:
    """What becomes of each depth frame; frames of one stream that are late keep their order."""

    def __init__(self, active: ActiveFaults) -> None:
        self._active = active
        self._held: dict[StreamKey, tuple[Fault, bytes]] = {}
        self._late: dict[StreamKey, deque[tuple[int, bytes]]] = {}

    def pass_on(self, book: BookKey, stream: str, frame: bytes) -> Sequence[bytes]:
        """The frames to send now in place of this one."""
        if not self._active and not self._held and not self._late:
            return (frame,)
        if self._active.bite("lost_frames", *book):
            return ()
        frames = [frame, frame] if self._active.bite("doubled_frames", *book) else [frame]
        return self._delay(book, stream, self._reorder(book, stream, frames))

    def release(self) -> list[tuple[StreamKey, bytes]]:
        """Frames whose time has come although no other came behind them."""
        if not self._late and not self._held:
            return []
        step, due = self._active.step, []
        for key, (fault, frame) in list(self._held.items()):
            if step >= fault.until_step:
                del self._held[key]
                due.append((key, frame))
        for key, line in list(self._late.items()):
            while line and line[0][0] <= step:
                due.append((key, line.popleft()[1]))
            if not line:
                del self._late[key]
        return due

    def forget(self, book: BookKey) -> None:
        """The book begins a new sequence; nothing of the old one comes after."""
        self._held = {key: held for key, held in self._held.items() if key[0] != book}
        self._late = {key: line for key, line in self._late.items() if key[0] != book}

    def _reorder(self, book: BookKey, stream: str, frames: list[bytes]) -> list[bytes]:
        held = self._held.pop((book, stream), None)
        if held is not None:
            return [*frames, held[1]]
        fault = self._active.bite("reordered_frames", *book)
        if fault is None:
            return frames
        self._held[book, stream] = fault, frames[0]
        return frames[1:]

    def _delay(self, book: BookKey, stream: str, frames: Iterable[bytes]) -> Sequence[bytes]:
        fault, line = self._active.find("late_frames", *book), self._late.get((book, stream))
        if fault is None and line is None:
            return list(frames)
        line = self._late.setdefault((book, stream), deque(maxlen=LATE_FRAMES_MAX))
        delay_steps = 0 if fault is None else round(fault.params["delay_s"] * 1000 / STEP_MS)
        due = max(self._active.step + delay_steps, line[-1][0] if line else 0)
        for frame in frames:
            line.append((due, frame))
            if fault is not None:
                fault.hit()
        return ()
