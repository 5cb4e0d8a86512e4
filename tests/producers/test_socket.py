"""A socket that hands its messages over at once: the same messages as websockets reads, however their bytes come."""

import asyncio
import base64
import hashlib
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.asyncio.client import connect
from websockets.client import ClientProtocol
from websockets.exceptions import ConnectionClosed
from websockets.frames import Close, Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import OPEN
from websockets.uri import parse_uri

from producers.socket import BEHIND_BYTES, MessageSocket

LIMIT = 100_000
SIZES = st.sampled_from([0, 1, 125, 126, 127, 300, 65_535, 65_536, 70_000]) | st.integers(0, 2000)


class Transport:
    """Takes what is written; counts pauses."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.paused = 0

    def write(self, data: bytes) -> None:
        """Keep it."""
        self.written.append(bytes(data))

    def pause_reading(self) -> None:
        """Count it."""
        self.paused += 1

    def resume_reading(self) -> None:
        """Count it back."""
        self.paused -= 1

    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: None


def frames_of(payload: bytes, opcode: Opcode, cuts: list[int]) -> list[Frame]:
    """One message, in fragments where there are cuts."""
    bounds = [0, *sorted(cut % (len(payload) + 1) for cut in cuts), len(payload)]
    parts = [payload[start:end] for start, end in pairwise(bounds)]
    last = len(parts) - 1
    return [Frame(Opcode.CONT if n else opcode, part, n == last) for n, part in enumerate(parts)]


@st.composite
def streams(draw: st.DrawFn) -> tuple[list[bytes], bytes]:
    """Messages of all forms with pings between them (and within, where fragmented), and their bytes."""
    messages, frames = [], []
    for number in range(draw(st.integers(1, 6))):
        payload = bytes([65 + number]) * draw(SIZES)
        messages.append(payload)
        cuts = draw(st.lists(st.integers(0, 2000), max_size=2))
        for frame in frames_of(payload, draw(st.sampled_from([Opcode.TEXT, Opcode.BINARY])), cuts):
            frames.append(frame)
            if draw(st.booleans()):
                frames.append(
                    Frame(draw(st.sampled_from([Opcode.PING, Opcode.PONG])), b"p" * draw(st.integers(0, 125)))
                )
    return messages, b"".join(frame.serialize(mask=False) for frame in frames)


def opened() -> tuple[MessageSocket, Transport]:
    """A socket after its handshake."""
    socket = MessageSocket(ClientProtocol(parse_uri("ws://x/"), max_size=LIMIT), close_timeout=1, ping_interval=None)
    transport = Transport()
    socket.connection_made(transport)  # type: ignore[arg-type]
    socket.response = Response(101, "", None)  # type: ignore[arg-type]
    socket.protocol.state = OPEN
    socket.protocol.parser = super(ClientProtocol, socket.protocol).parse()
    next(socket.protocol.parser)
    return socket, transport


async def heard(data: bytes, cuts: list[int]) -> list[bytes]:
    """What comes out when the bytes come in pieces."""
    socket, _ = opened()
    out: list[bytes] = []
    waiting = asyncio.create_task(socket.hand_to(lambda message, _: out.append(message), lambda: 1))
    await asyncio.sleep(0)
    bounds = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    for start, end in pairwise(bounds):
        socket.data_received(data[start:end])
    assert not waiting.done(), waiting
    waiting.cancel()
    return out


@settings(max_examples=150)
@given(stream=streams(), cuts=st.lists(st.integers(0, 10**6), max_size=8))
def test_every_message_comes_once_and_in_order(stream: tuple[list[bytes], bytes], cuts: list[int]) -> None:
    """Text, binary, long and fragmented messages, with pings anywhere, cut anywhere."""
    messages, data = stream
    assert asyncio.run(heard(data, cuts)) == messages


@settings(max_examples=20)
@given(stream=streams())
def test_bytes_may_come_one_by_one(stream: tuple[list[bytes], bytes]) -> None:
    """Every head is cut at every place."""
    messages, data = [m for m in stream[0] if len(m) < 500], b""
    data = b"".join(Frame(Opcode.TEXT, message).serialize(mask=False) for message in messages)
    assert asyncio.run(heard(data, list(range(len(data))))) == messages


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (Frame(Opcode.TEXT, b"x" * (LIMIT + 1)).serialize(mask=False), 1009),
        (Frame(Opcode.TEXT, b"x" * (LIMIT + 1)).serialize(mask=False)[:12], 1009),
        (Frame(Opcode.TEXT, b"abc").serialize(mask=True), 1002),
        (b"\x83\x00", 1002),
        (b"\xc1\x01a", 1002),
        (b"\x80\x01a", 1002),
        (Frame(Opcode.TEXT, b"a", False).serialize(mask=False) + Frame(Opcode.TEXT, b"b").serialize(mask=False), 1002),
    ],
    ids=["too-long", "too-long-by-its-head", "masked", "opcode", "extension", "no-beginning", "within-fragments"],
)
async def test_a_fault_of_the_peer_closes_with_the_librarys_code(data: bytes, code: int) -> None:
    """What breaks the protocol is websockets' to judge; nothing behind it is taken."""
    socket, _ = opened()
    out: list[bytes] = []
    waiting = asyncio.create_task(socket.hand_to(lambda message, _: out.append(message), lambda: 1))
    await asyncio.sleep(0)
    good = Frame(Opcode.TEXT, b"good").serialize(mask=False)
    socket.data_received(good + data + good)
    socket.data_received(good)

    assert out == [b"good"]
    assert socket.protocol.close_sent is not None and socket.protocol.close_sent.code == code
    socket.connection_lost(None)
    with pytest.raises(ConnectionClosed):
        await waiting


async def test_what_follows_a_close_is_not_taken() -> None:
    """After the peer's close frame nothing counts (RFC 6455, 1.4)."""
    socket, _ = opened()
    out: list[bytes] = []
    waiting = asyncio.create_task(socket.hand_to(lambda message, _: out.append(message), lambda: 1))
    await asyncio.sleep(0)
    text = Frame(Opcode.TEXT, b"x").serialize(mask=False)
    socket.data_received(text + Frame(Opcode.CLOSE, Close(1001, "").serialize()).serialize(mask=False) + text)
    socket.connection_lost(None)

    with pytest.raises(ConnectionClosed, match="1001"):
        await waiting
    assert out == [b"x"]


async def test_an_error_of_the_taker_is_raised_to_the_one_who_waits() -> None:
    """Our fault stops loudly."""
    socket, _ = opened()

    def take(message: bytes, received_ns: int) -> None:
        raise LookupError("a bug")

    waiting = asyncio.create_task(socket.hand_to(take, lambda: 1))
    await asyncio.sleep(0)
    socket.data_received(Frame(Opcode.TEXT, b"x").serialize(mask=False))

    with pytest.raises(LookupError):
        await waiting


async def test_a_socket_that_is_behind_lets_others_in() -> None:
    """After a large piece reading pauses for one turn of the loop."""
    socket, transport = opened()
    socket.data_received(Frame(Opcode.TEXT, b"x" * BEHIND_BYTES).serialize(mask=False))
    assert transport.paused == 1
    await asyncio.sleep(0)
    assert transport.paused == 0


@pytest.mark.parametrize("cut", [0, 10, 40, -30, -9, -3, -1, None])
async def test_frames_right_behind_the_handshake_wait_for_their_taker(cut: int | None) -> None:
    """A venue may send with its answer to the handshake, in the same bytes, cut anywhere."""
    frames = b"".join(Frame(Opcode.TEXT, text).serialize(mask=False) for text in (b"one", b"two"))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        key = next(
            line.split(b": ")[1] for line in request.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key")
        )
        accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
        head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        answer = head + b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n" + frames
        for piece in (answer[:cut], answer[cut:] if cut is not None else b""):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.02)
        writer.write(Frame(Opcode.CLOSE, Close(1000, "").serialize()).serialize(mask=False))
        await reader.read(1)  # the client answers, then waits for us to hang up
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        out: list[bytes] = []
        socket = await connect(f"ws://127.0.0.1:{port}", compression=None, proxy=None, create_connection=MessageSocket)
        assert isinstance(socket, MessageSocket)
        with pytest.raises(ConnectionClosed):
            await socket.hand_to(lambda message, _: out.append(message), lambda: 1)
    assert out == [b"one", b"two"]
