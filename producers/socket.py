"""A websocket that hands every message over in the turn of the loop in which its bytes came.

websockets reads frames with a chain of generators and queues them for a task that awaits them one by one: at thousands
a second both cost more than all that we do with a message. Here whole data frames are cut out of the bytes; all other
bytes, the handshake, pings, fragments, long frames, closing and faults, are the library's, frame by frame.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.frames import DATA_OPCODES, Frame
from websockets.protocol import CLOSED, CONNECTING, OPEN, Event

HEAD_END = b"\r\n\r\n"
TEXT_HEAD, BINARY_HEAD = 0x81, 0x82  # final, no extension (RFC 6455, 5.2)
BEHIND_BYTES = 64 * 1024
SIZE_IN_16_BITS, SIZE_IN_64_BITS = 126, 127

Take = Callable[[bytes, int], None]


class MessageSocket(ClientConnection):
    """A client's connection whose messages go to `take`; what came before `hand_to` waits for it."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._take: Take = self._wait_with
        self._now_ns: Callable[[], int] = lambda: 0
        self._received_ns = 0
        self._early: list[bytes] = []
        self._tail = b""  # bytes of a frame that is not whole yet, at most the library's limit of a message
        self._parts = bytearray()
        self._end: asyncio.Future[None] | None = None

    async def hand_to(self, take: Take, now_ns: Callable[[], int]) -> None:
        """Give every message and the time of its bytes to `take`, until the connection ends.

        Raises ConnectionClosed, or what `take` raises.
        """
        self._take, self._now_ns = take, now_ns
        early, self._early = self._early, []
        for message in early:
            take(message, now_ns())
        if self.protocol.state is CLOSED:
            raise self.protocol.close_exc
        self._end = self.loop.create_future()
        await self._end

    def data_received(self, data: bytes) -> None:
        """Bytes came; what is not ours goes on to the library."""
        if self._tail:
            data, self._tail = self._tail + data, b""
        try:
            if self.protocol.state is CONNECTING:
                data = self._after_handshake(data)
            self._received_ns = self._now_ns()
            if len(data) >= BEHIND_BYTES:
                self._let_others_in()
            self._cut(data)
        except Exception as error:
            if not self._finish(error):
                raise

    def connection_lost(self, exc: Exception | None) -> None:
        """The end: whoever waits in `hand_to` hears why."""
        super().connection_lost(exc)
        self._finish(self.protocol.close_exc)

    def process_event(self, event: Event) -> None:
        """Something that the library has read; fragments are joined, within its limit."""
        if not isinstance(event, Frame) or event.opcode not in DATA_OPCODES:
            super().process_event(event)
            return
        self._parts += event.data
        if event.fin:
            message, self._parts = bytes(self._parts), bytearray()
            self._take(message, self._received_ns)

    def _let_others_in(self) -> None:
        """So much at once means that more waits, and the loop would read on and on before anything else's turn."""
        if not self.transport.is_closing():
            self.transport.pause_reading()
            self.loop.call_soon(self._read_on)

    def _read_on(self) -> None:
        if not self.transport.is_closing():
            self.transport.resume_reading()

    def _after_handshake(self, data: bytes) -> bytes:
        """Let the library read the answer to the handshake; the bytes behind it, or none while it is not whole."""
        head_end = data.find(HEAD_END)
        if head_end < 0:
            self._tail = data
            return b""
        super().data_received(data[: head_end + len(HEAD_END)])
        return data[head_end + len(HEAD_END) :]

    def _cut(self, data: bytes) -> None:
        """Whole frames, ours and the library's; the rest waits in `_tail`."""
        at = 0
        while at < len(data) and self.protocol.state is OPEN:
            if self.protocol.current_size is None:  # else a fragmented message is not complete
                at = self._take_messages(data, at)
            end = _frame_end(data, at)
            if end is None or len(data) < end <= at + (self.protocol.max_message_size or 0):
                self._tail = data[at:]
                return
            super().data_received(data[at:end])  # the whole of it, or enough to see that it is too long
            at = end
        if at < len(data):
            super().data_received(data[at:])

    def _take_messages(self, data: bytes, at: int) -> int:
        """Take the messages that begin at `at`; where the first frame begins that is none, long or not whole."""
        take, received_ns, length = self._take, self._received_ns, len(data)
        while length - at >= 4 and data[at] in (TEXT_HEAD, BINARY_HEAD) and (size := data[at + 1]) <= SIZE_IN_16_BITS:
            start = at + 2
            if size == SIZE_IN_16_BITS:
                size, start = data[at + 2] << 8 | data[at + 3], at + 4
            end = start + size
            if end > length:
                break
            take(data[start:end], received_ns)
            at = end
        return at

    def _wait_with(self, message: bytes, _: int) -> None:
        self._early.append(message)

    def _finish(self, error: Exception) -> bool:
        """Whether anybody waits to hear it."""
        if self._end is None or self._end.done():
            return False
        self._end.set_exception(error)
        return True


def _frame_end(data: bytes, at: int) -> int | None:
    """Where the frame ends that begins at `at`, there or not; None while its head is not whole."""
    if len(data) < at + 2:
        return None
    size, start = data[at + 1] & 0x7F, at + 2
    more = {SIZE_IN_16_BITS: 2, SIZE_IN_64_BITS: 8}.get(size, 0)
    if len(data) < start + more:
        return None
    if more:
        size = int.from_bytes(data[start : start + more], "big")
    return start + more + size
