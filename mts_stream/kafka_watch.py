"""Whether Kafka answers, asked every two seconds: a worker without data to read could not tell otherwise."""

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable

from mts_stream.logs import get_logger
from mts_stream.settings import Settings

CHECK_S = 2.0
ANSWER_S = 2.0
AWAY_S = 4.0
# ApiVersions, version 0, correlation 1, client "mts": the one request a broker answers before any log-in.
API_VERSIONS = b"\x00\x12\x00\x00\x00\x00\x00\x01\x00\x03mts"

Clock = Callable[[], float]
log = get_logger("mts_stream.kafka_watch")


class KafkaWatch:
    """Kafka is away when it has not answered for AWAY_S; says so once, and once that it is back."""

    def __init__(self, servers: str, ask: Callable[[], Awaitable[None]], *, clock: Clock = time.monotonic) -> None:
        self._servers = servers
        self._ask = ask
        self._clock = clock
        self._answered_at = clock()
        self.problem: str | None = None

    async def check(self) -> None:
        """Ask once."""
        try:
            await self._ask()
        except (OSError, EOFError, TimeoutError) as error:
            self._failed(str(error) or type(error).__name__)
        else:
            self._answered()

    def _failed(self, error: str) -> None:
        silent_s = self._clock() - self._answered_at
        if silent_s < AWAY_S:
            return
        if self.problem is None:
            log.error("Kafka is away", servers=self._servers, silent_s=round(silent_s, 1), error=error)
        self.problem = (
            f"Kafka at {self._servers} (KAFKA_BOOTSTRAP_SERVERS) has not answered for {silent_s:.0f} s: {error}"
        )

    def _answered(self) -> None:
        if self.problem is not None:
            log.info("Kafka is back", servers=self._servers, away_s=round(self._clock() - self._answered_at, 1))
        self.problem = None
        self._answered_at = self._clock()


async def ask_brokers(settings: Settings) -> None:
    """Return when one of the servers has answered a request; raises OSError, EOFError or TimeoutError."""
    context = _tls(settings)
    errors: list[Exception] = []
    for server in settings.kafka_bootstrap_servers.split(","):
        host, _, port = server.strip().rpartition(":")
        try:
            async with asyncio.timeout(ANSWER_S):
                await _ask(host.strip("[]"), int(port), context)
        except (OSError, EOFError, TimeoutError) as error:
            errors.append(error)
            continue
        return
    raise errors[-1]


async def _ask(host: str, port: int, context: ssl.SSLContext | None) -> None:
    reader, writer = await asyncio.open_connection(host, port, ssl=context)
    try:
        writer.write(len(API_VERSIONS).to_bytes(4, "big") + API_VERSIONS)
        await reader.readexactly(4)
    finally:
        writer.close()


def _tls(settings: Settings) -> ssl.SSLContext | None:
    if "SSL" not in settings.kafka_security_protocol:
        return None
    return ssl.create_default_context(cafile=settings.kafka_ssl_ca_location or None)
