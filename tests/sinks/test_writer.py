"""The writer returns when every message is a confirmed row or a confirmed dead letter, and waits for ClickHouse."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest

from mts_stream.errors import StoreError
from mts_stream.sinks.batching import Batch
from mts_stream.sinks.clickhouse import RowsRefusedError, StoreUnavailableError
from mts_stream.sinks.rows import COLUMNS
from mts_stream.sinks.writer import INSERTS_AT_ONCE, RETRY_FIRST_S, Writer
from mts_stream.wire import topics
from tests.sinks import messages

KINDS = ((topics.FUNDING, messages.funding_change()), (topics.SPREADS, messages.windows()[0]))


class FakeStore:
    """Keeps rows by table; fails as told: the errors of the next inserts, and message ids that it refuses."""

    def __init__(self) -> None:
        self.rows: dict[str, list[Any]] = {}
        self.tokens: list[tuple[str, str, int]] = []
        self.errors: list[StoreError] = []
        self.refused: set[str] = set()

    async def insert(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], token: str) -> None:
        """As the real one."""
        self.tokens.append((table, token, len(rows)))
        if self.errors:
            raise self.errors.pop(0)
        ids = [str(dict(zip(columns, row, strict=True)).get("message_id")) for row in rows]
        if self.refused & set(ids):
            raise RowsRefusedError("no such number")
        self.rows.setdefault(table, []).extend(ids)


class Ground:
    """A writer, its store, and what it sends to the dead letters."""

    def __init__(self, prepare_errors: int = 0, retry_max_s: float = 0.01) -> None:
        self.store = FakeStore()
        self.letters: list[dict[str, Any]] = []
        self.prepared = 0
        self._prepare_errors = prepare_errors
        self.writer = Writer(
            self.store,
            prepare=self._prepare,
            send_dead_letter=self._send,
            retry_max_s=retry_max_s,  # type: ignore[arg-type]
        )

    async def _prepare(self, store: object) -> None:
        if self._prepare_errors:
            self._prepare_errors -= 1
            raise StoreUnavailableError("refused connection")
        self.prepared += 1

    async def _send(self, value: bytes) -> None:
        self.letters.append(json.loads(value))


def batch(count: int, *poison: int) -> Batch:
    """Funding changes 0 to count - 1; those named are no messages."""
    return Batch(
        topics.FUNDING,
        tuple(
            messages.delivery(b"{}" if n in poison else messages.funding_change(n), offset=n, partition=2)
            for n in range(count)
        ),
    )


def ids(*numbers: int) -> list[str]:
    """The message ids of funding changes."""
    return [messages.funding_change(n)["message_id"] for n in numbers]


async def test_a_batch_is_one_insert_of_each_table_with_its_token() -> None:
    """The token names the records, so that a repetition of the same insert is nothing."""
    ground = Ground()
    await ground.writer.store(batch(3), "abc")

    assert ground.store.tokens == [("funding_rates", "abc-mts.funding-2-0-2", 3)]
    assert ground.store.rows["funding_rates"] == ids(0, 1, 2)


async def test_an_insert_is_tried_until_it_is_confirmed_with_the_same_token() -> None:
    """An answer that got lost may have been a yes: the same token makes the repetition harmless."""
    ground = Ground()
    ground.store.errors = [StoreUnavailableError("gone"), StoreUnavailableError("gone")]
    await ground.writer.store(batch(2), "abc")

    assert [token for _, token, _ in ground.store.tokens] == ["abc-mts.funding-2-0-1"] * 3
    assert ground.store.rows["funding_rates"] == ids(0, 1)


async def test_the_pauses_grow_scatter_and_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is between a half and the whole of twice the last one, of SINK_RETRY_MAX_S at most."""
    pauses: list[tuple[float, float]] = []
    monkeypatch.setattr("random.uniform", lambda least, most: pauses.append((least, most)) or 0.0)
    ground = Ground(retry_max_s=4 * RETRY_FIRST_S)
    ground.store.errors = [StoreUnavailableError("gone")] * 4
    await ground.writer.store(batch(1), "abc")

    assert pauses == [(factor * RETRY_FIRST_S / 2, factor * RETRY_FIRST_S) for factor in (1, 2, 4, 4)]


async def test_the_schema_is_waited_for_and_brought_up_to_date_once() -> None:
    """ClickHouse down at the start is no error; nothing is inserted before the tables stand."""
    ground = Ground(prepare_errors=2)
    await asyncio.gather(*(ground.writer.store(batch(n), "abc") for n in (1, 2, 3)))

    assert ground.prepared == 1
    assert len(ground.store.rows["funding_rates"]) == 6


async def test_it_says_why_it_waits_while_it_waits() -> None:
    """Health shows the reason, and nothing any more once ClickHouse confirms."""
    ground = Ground()
    assert ground.writer.problem == "ClickHouse has not answered yet"
    ground.store.errors = [StoreUnavailableError("connection refused")] * 1000
    task = asyncio.create_task(ground.writer.store(batch(1), "abc"))
    while not ground.store.tokens:
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert ground.writer.problem == "connection refused"

    ground.store.errors.clear()
    await task
    assert ground.writer.problem is None


async def test_a_message_that_fits_no_model_becomes_a_dead_letter_and_the_rest_is_stored() -> None:
    """With where it stood, why, and its bytes."""
    ground = Ground()
    await ground.writer.store(batch(4, 1), "abc")

    assert ground.store.rows["funding_rates"] == ids(0, 2, 3)
    (letter,) = ground.letters
    assert (letter["origin"], letter["reason"]) == ("sink", "bad_message")
    assert (letter["topic"], letter["partition"], letter["offset"]) == (topics.FUNDING, 2, 1)
    assert letter["payload_base64"] == "e30="


async def test_nothing_but_poison_is_no_insert() -> None:
    """An empty insert would be an error."""
    ground = Ground()
    await ground.writer.store(batch(2, 0, 1), "abc")

    assert ground.store.tokens == []
    assert len(ground.letters) == 2


async def test_the_message_that_clickhouse_refuses_is_found_by_halving() -> None:
    """The others of its batch are stored, each once."""
    ground = Ground()
    ground.store.refused = set(ids(5))
    await ground.writer.store(batch(9), "abc")

    assert sorted(ground.store.rows["funding_rates"]) == sorted(ids(0, 1, 2, 3, 4, 6, 7, 8))
    assert [(letter["reason"], letter["offset"]) for letter in ground.letters] == [("store_refused", 5)]
    tokens = [token for _, token, _ in ground.store.tokens]
    assert len(set(tokens)) == len(tokens), "different rows never share a token"


async def test_no_more_than_so_many_inserts_are_under_way() -> None:
    """Of all topics together: more would only wait inside ClickHouse, and their rows take memory."""
    ground, gate, under_way = Ground(), asyncio.Event(), []

    async def insert(*_: object) -> None:
        under_way.append(1)
        await gate.wait()

    ground.store.insert = insert  # type: ignore[method-assign]
    batches = [Batch(topic, (messages.delivery(message, offset=n),)) for n in range(9) for topic, message in KINDS]
    tasks = [asyncio.create_task(ground.writer.store(batch, "abc")) for batch in batches]
    for _ in range(100):
        await asyncio.sleep(0)
    assert len(under_way) == INSERTS_AT_ONCE

    gate.set()
    await asyncio.gather(*tasks)
    assert len(under_way) == len(tasks)


async def test_what_no_waiting_cures_is_raised() -> None:
    """A missing table is not a reason to wait, nor to drop anything."""
    ground = Ground()
    ground.store.errors = [StoreError("table mts.funding_rates does not exist")]

    with pytest.raises(StoreError, match="does not exist"):
        await ground.writer.store(batch(1), "abc")
    assert ground.letters == []


def test_every_table_says_where_a_row_came_from() -> None:
    """Partition and offset stand in each, the offset as its version."""
    assert all(columns[-2:] == ("source_partition", "source_offset") for columns in COLUMNS.values())
