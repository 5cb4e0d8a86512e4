"""What becomes of depth frames, as pure values."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from producers.simulator.faults.active import Fault
from producers.simulator.faults.catalog import CATALOG
from producers.simulator.faults.seams import Faults

BOOK = ("bybit", "perp", "BTCUSDT")
OTHER = ("bybit", "spot", "BTCUSDT")


def _fault(name: str, until_step: float = 1e9, **params: Any) -> Fault:
    counted = CATALOG[name].counted
    return Fault(0, name, *BOOK, params, 0, until_step, params[counted] if counted else None)


def _sent(faults: Faults, frames: int, book: tuple[str, str, str] = BOOK) -> list[bytes]:
    """What a client hears of frames 0, 1, 2 ..., one a step."""
    heard: list[bytes] = []
    for number in range(frames):
        faults.active.step += 1
        heard += [frame for _, frame in faults.frames.release()]
        heard += faults.frames.pass_on(book, "stream", b"%d" % number)
        faults.active.take_over()
    return heard


def test_without_faults_a_frame_is_itself() -> None:
    """Nothing is copied, held or kept."""
    assert _sent(Faults(), 3) == [b"0", b"1", b"2"]


def test_each_frame_fault_has_its_shape() -> None:
    """Lost frames are missing, doubled ones come twice, a reordered one comes behind its successor."""
    shapes = {"lost_frames": "234", "doubled_frames": "0011234", "reordered_frames": "10324"}
    for name, shape in shapes.items():
        faults = Faults()
        faults.active.add(_fault(name, frames=2))
        assert b"".join(_sent(faults, 5)).decode() == shape, name


def test_other_books_are_left_alone() -> None:
    """A fault of one book does not touch another."""
    faults = Faults()
    faults.active.add(_fault("lost_frames", frames=2))

    assert _sent(faults, 3, OTHER) == [b"0", b"1", b"2"]
    assert _sent(faults, 3) == [b"2"]


def test_late_frames_keep_their_order() -> None:
    """They come after the delay, and those behind them wait, also when the fault is over."""
    faults = Faults()
    faults.active.add(_fault("late_frames", until_step=3, delay_s=0.2))

    assert _sent(faults, 10) == []
    assert b"".join(_sent(faults, 3)) == b"0123456789" + b"012"


def test_a_held_frame_is_sent_at_last_although_none_follows() -> None:
    """The reordering ends with its fault."""
    faults = Faults()
    faults.active.add(_fault("reordered_frames", until_step=5, frames=1))

    assert _sent(faults, 1) == []
    faults.active.step = 5
    assert faults.frames.release() == [((BOOK, "stream"), b"0")]


def test_a_new_sequence_forgets_what_was_held() -> None:
    """Nothing of the old sequence comes after a restart."""
    faults = Faults()
    faults.active.add(_fault("reordered_frames", until_step=5, frames=1))
    faults.active.add(_fault("late_frames", until_step=5, delay_s=0.1))
    _sent(faults, 3)
    faults.frames.forget(BOOK)
    faults.active.step = 100

    assert faults.frames.release() == []


@given(st.lists(st.tuples(st.sampled_from(["doubled_frames", "reordered_frames", "late_frames"]), st.integers(1, 9))))
def test_without_loss_every_frame_arrives(names: list[tuple[str, int]]) -> None:
    """Whatever is doubled, swapped and late at once: after the faults each frame has come."""
    faults = Faults()
    for name, count in names:
        params: dict[str, Any] = {"delay_s": count / 10} if name == "late_frames" else {"frames": count}
        faults.active.add(_fault(name, until_step=20, **params))
    heard = _sent(faults, 30)
    faults.active.step = 1000
    heard += [frame for _, frame in faults.frames.release()]

    assert {int(frame) for frame in heard} == set(range(30))
