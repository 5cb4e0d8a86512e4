"""Batches are contiguous, bounded, complete and in order, whatever comes and whenever."""

from hypothesis import given
from hypothesis import strategies as st

from mts_stream.sinks.batching import Batch, Batcher, Delivery, Limits, by_partition

LIMITS = Limits(rows=5, bytes=200, age_ns=1000)
# partition, jump of its offset, size of the value, time passed
STEPS = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from((1, 1, 1, 2, 9)), st.integers(0, 90), st.integers(0, 400))
)


def due(batcher: Batcher, now_ns: int) -> list[Batch]:
    """What is old enough by then, the oldest first."""
    batches = []
    while (partition := batcher.oldest_due(now_ns)) is not None:
        batches.append(batcher.close(partition))
    return batches


def run(steps: list[tuple[int, int, int, int]], batcher: Batcher) -> tuple[list[Delivery], list[Batch], list[int]]:
    """What was given, which batches came, and how much was held after each step."""
    given_, batches, held = [], [], []
    offsets: dict[int, int] = {}
    now_ns = 0
    for partition, jump, size, passed_ns in steps:
        now_ns += passed_ns
        batches += due(batcher, now_ns)
        offsets[partition] = offsets.get(partition, -1) + jump
        given_.append(Delivery(partition, offsets[partition], b"x" * size))
        batches += batcher.on_event(given_[-1], now_ns)
        held.append(len(batcher))
    return given_, [*batches, *batcher.flush()], held


@given(STEPS)
def test_nothing_is_lost_doubled_or_turned_around(steps: list[tuple[int, int, int, int]]) -> None:
    """The batches of a partition, one after the other, are exactly its records in their order."""
    given_, batches, _ = run(steps, Batcher("t", LIMITS))

    for partition in range(4):
        batched = [d for batch in batches if batch.partition == partition for d in batch.deliveries]
        assert batched == [d for d in given_ if d.partition == partition]


@given(STEPS)
def test_a_batch_is_contiguous_offsets_of_one_partition_within_its_bounds(
    steps: list[tuple[int, int, int, int]],
) -> None:
    """So that first and last name its records exactly, and no insert grows without end."""
    _, batches, held = run(steps, Batcher("t", LIMITS))

    for batch in batches:
        assert {d.partition for d in batch.deliveries} == {batch.partition}
        assert [d.offset for d in batch.deliveries] == list(range(batch.first, batch.last + 1))
        assert len(batch.deliveries) <= LIMITS.rows
    assert all(count < LIMITS.rows * 4 for count in held)


@given(STEPS)
def test_what_is_held_stays_below_the_bytes(steps: list[tuple[int, int, int, int]]) -> None:
    """One record may reach the bound; then the largest batch goes."""
    batcher = Batcher("t", LIMITS)
    held_bytes = 0

    for offset, (partition, _, size, _) in enumerate(steps):
        done = batcher.on_event(Delivery(partition, offset, b"x" * size), 0)
        held_bytes += size - sum(len(d.value or b"") for batch in done for d in batch.deliveries)
        assert held_bytes < LIMITS.bytes


def test_a_batch_goes_when_its_oldest_record_is_old_enough() -> None:
    """Each partition's by its own age, so that none goes smaller than it must."""
    batcher = Batcher("t", LIMITS)
    batcher.on_event(Delivery(0, 7, b""), 100)
    batcher.on_event(Delivery(1, 3, b""), 900)

    assert due(batcher, 1099) == []
    assert [(b.partition, b.first) for b in due(batcher, 1100)] == [(0, 7)]
    assert [(b.partition, b.first) for b in due(batcher, 1900)] == [(1, 3)]
    assert due(batcher, 10_000) == []


def test_the_oldest_goes_first_and_some_may_be_left_out() -> None:
    """A partition whose last batch is being stored waits for it, however old its next one is."""
    batcher = Batcher("t", LIMITS)
    for partition, since_ns in ((0, 300), (1, 100), (2, 200)):
        batcher.on_event(Delivery(partition, 0, b""), since_ns)

    assert batcher.oldest_due(2000, but={1}) == 2
    assert batcher.oldest_due(100 + 5 * LIMITS.age_ns - 1, ages=5) is None
    assert batcher.oldest_due(100 + 5 * LIMITS.age_ns, ages=5) == 1
    assert [batch.partition for batch in due(batcher, 2000)] == [1, 2, 0]


def test_the_largest_batch_goes_when_the_bytes_are_reached() -> None:
    """The others go on growing: few large inserts cost less than many small ones."""
    batcher = Batcher("t", LIMITS)
    sent = [batcher.on_event(Delivery(partition, offset, b"x" * 60), 0) for offset in (0, 1) for partition in (0, 1)]

    assert [[(b.partition, b.first, b.last) for b in done] for done in sent] == [[], [], [], [(0, 0, 1)]]
    assert len(batcher) == 2


def test_the_age_begins_anew_with_the_next_record() -> None:
    """After everything went, age counts from what comes then."""
    batcher = Batcher("t", LIMITS)
    batcher.on_event(Delivery(0, 0, b""), 0)
    due(batcher, 1000)
    batcher.on_event(Delivery(0, 1, b""), 5000)

    assert due(batcher, 5999) == []
    assert len(due(batcher, 6000)) == 1


def test_what_is_cleared_never_comes() -> None:
    """Around a rebalance what is held is forgotten, for it will be read again."""
    batcher = Batcher("t", LIMITS)
    batcher.on_event(Delivery(0, 0, b"abc"), 0)
    batcher.clear()

    assert (len(batcher), batcher.flush(), due(batcher, 10**9)) == (0, [], [])


def test_a_token_names_cluster_topic_partition_and_range() -> None:
    """Two clusters begin their offsets alike, so the cluster is part of the name."""
    batch = Batch("mts.signals", (Delivery(3, 10, b""), Delivery(3, 11, b"")))

    assert batch.token("abc") == "abc-mts.signals-3-10-11"


def test_halves_are_the_whole() -> None:
    """Splitting a batch loses no record."""
    batch = Batch("t", tuple(Delivery(0, n, b"") for n in range(5)))
    left, right = batch.halves()

    assert (*left.deliveries, *right.deliveries) == batch.deliveries
    assert by_partition([left, right]) == [[left, right]]
