"""Kafka is away when it does not answer for seconds: said once, and once that it is back."""

import asyncio
import json
import ssl

import pytest

from mts_stream import kafka_watch
from mts_stream.kafka_watch import KafkaWatch, ask_brokers
from mts_stream.logs import configure_logging
from mts_stream.settings import Settings
from tests.test_health import Time


class Broker:
    """Answers, or does not."""

    def __init__(self) -> None:
        self.error: Exception | None = None

    async def ask(self) -> None:
        if self.error is not None:
            raise self.error


async def test_away_and_back_are_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    """A single unanswered question is nothing; four seconds without an answer are an outage, with its reason."""
    configure_logging(Settings(), "test")
    time, broker = Time(), Broker()
    watch = KafkaWatch("k:1", broker.ask, clock=time)
    broker.error = ConnectionRefusedError("refused")
    said: list[str | None] = []
    for _ in range(4):
        time.now += 2
        await watch.check()
        said.append(watch.problem)
    broker.error = None
    await watch.check()

    assert said[0] is None
    assert said[1:] == [
        f"Kafka at k:1 (KAFKA_BOOTSTRAP_SERVERS) has not answered for {s} s: refused" for s in (4, 6, 8)
    ]
    assert watch.problem is None
    events = [json.loads(line)["event"] for line in capsys.readouterr().err.splitlines()]
    assert events == ["Kafka is away", "Kafka is back"]


async def test_a_broker_answers(kafka: str) -> None:
    """One of the servers is enough."""
    await ask_brokers(Settings(kafka_bootstrap_servers=f"127.0.0.1:1,{kafka}"))


async def test_what_accepts_but_does_not_answer_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stopped broker still has its port open; one that ends the connection is none either."""
    monkeypatch.setattr(kafka_watch, "ANSWER_S", 0.1)
    quiet = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    rude = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)

    for server, error in ((quiet, TimeoutError), (rude, (EOFError, OSError))):
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(error):
            await ask_brokers(Settings(kafka_bootstrap_servers=f"127.0.0.1:{port}"))
        server.close()


async def test_nobody_there_is_away() -> None:
    """A refused connection, with and without TLS."""
    for protocol in ("PLAINTEXT", "SSL"):
        with pytest.raises(OSError, match="1"):
            await ask_brokers(Settings(kafka_bootstrap_servers="127.0.0.1:1", kafka_security_protocol=protocol))
    assert isinstance(kafka_watch._tls(Settings(kafka_security_protocol="SSL")), ssl.SSLContext)
