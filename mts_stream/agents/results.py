"""What an engine says, on its way out: encoded when it comes, counted, and handed to the outbox in its order."""

import time
from collections import Counter
from collections.abc import Iterable

from mts_stream import metrics
from mts_stream.agents.outbox import Outbox, Outgoing
from mts_stream.agents.partitions import Partition
from mts_stream.domain.messages import Message, SignalMessage, SpreadWindow
from mts_stream.wire.codec import encode_message, headers_of, key_of, topic_of


class Results:
    """The results of one partition that are `waiting` for the next `send`, and their counts since the last `count`."""

    def __init__(self, partition: int, outbox: Outbox) -> None:
        self._partition = partition
        self._outbox = outbox
        self.waiting: list[Outgoing] = []
        self._by_topic: Counter[str] = Counter()
        self._outcomes: Counter[str] = Counter()
        self._stale: Counter[str] = Counter()

    def add(self, messages: Iterable[Message]) -> None:
        """The engine said these."""
        for message in messages:
            topic, emitted_ns = topic_of(message), None
            self._by_topic[topic] += 1
            if isinstance(message, SpreadWindow):
                for outcome, count in message.outcomes.items():
                    self._outcomes[outcome] += count
            elif isinstance(message, SignalMessage):
                emitted_ns = time.time_ns()
                self._stale[message.type] += message.expires_ns <= emitted_ns
            value = encode_message(message, emitted_ns)
            self.waiting.append(Outgoing(topic, key_of(message), value, headers_of(message)))

    def put(self, record: Outgoing) -> None:
        """Another record that goes the same way."""
        self.waiting.append(record)

    async def send(self) -> None:
        """Hand them to the outbox."""
        out, self.waiting = self.waiting, []
        await self._outbox.send(self._partition, out)

    def count(self) -> None:
        """Show their number in the metrics."""
        for metric, counts in (
            (metrics.RESULTS, self._by_topic), (metrics.OUTCOMES, self._outcomes), (metrics.STALE_SIGNALS, self._stale),
        ):  # fmt: skip
            for label, number in counts.items():
                metric.labels(label).inc(number)
            counts.clear()


async def settle(partition: Partition, pairs: Iterable[str], outbox: Outbox) -> None:
    """Handle what these pairs owe, and hand over what it leads to; whoever calls holds `working`."""
    results = Results(partition.number, outbox)
    for pair in pairs:
        results.add(partition.engine.settle(pair).messages)
    await results.send()
    results.count()
    partition.note_owing(time.monotonic())
