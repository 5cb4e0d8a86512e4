"""The clock of received_ns: no jumps, no steps back, drawn to the wall at 500 ppm at most."""

from hypothesis import given
from hypothesis import strategies as st

from producers.clock import READJUST_NS, SLEW_PPM_MAX, SlewedClock

S = 1_000_000_000


class Clocks:
    """A wall clock and a monotonic one under test control."""

    def __init__(self) -> None:
        self.wall_ns, self.monotonic_ns = 1_700_000_000 * S, 5 * S
        self.clock = SlewedClock(lambda: self.wall_ns, lambda: self.monotonic_ns)

    def pass_ns(self, elapsed_ns: int, wall_ns: int | None = None) -> int:
        """Let time pass, on the wall perhaps another amount, and read."""
        self.monotonic_ns += elapsed_ns
        self.wall_ns += elapsed_ns if wall_ns is None else wall_ns
        return self.clock.now_ns()


def test_it_starts_at_the_wall_and_follows_monotonic_time() -> None:
    """Without a difference both are the same."""
    clocks = Clocks()

    assert clocks.clock.now_ns() == clocks.wall_ns
    assert clocks.pass_ns(3 * S) == clocks.wall_ns


def test_a_jump_of_the_wall_is_drawn_in_slowly() -> None:
    """10 ms of difference take 20 s at 500 ppm, and then the clocks agree."""
    clocks = Clocks()
    clocks.pass_ns(S, S + 10_000_000)
    before = clocks.pass_ns(0)
    after = clocks.pass_ns(S)

    assert after - before == S + S * SLEW_PPM_MAX // 1_000_000
    for _ in range(30):
        now_ns = clocks.pass_ns(S)
    assert now_ns == clocks.wall_ns


def test_a_wall_that_goes_back_slows_it_down_only() -> None:
    """An hour back changes the pace, not the direction."""
    clocks = Clocks()
    clocks.pass_ns(S, -3600 * S)
    before = clocks.pass_ns(0)

    assert clocks.pass_ns(S) - before == S - S * SLEW_PPM_MAX // 1_000_000


@given(
    st.lists(
        st.tuples(st.integers(0, 3 * READJUST_NS), st.integers(-5 * S, 5 * S)), min_size=1, max_size=60
    )
)  # fmt: skip
def test_it_never_goes_back_nor_leaves_its_pace(steps: list[tuple[int, int]]) -> None:
    """Whatever the wall does, each step is within 500 ppm of the monotonic one (and a nanosecond of rounding)."""
    clocks = Clocks()
    last_ns = clocks.clock.now_ns()
    for elapsed_ns, wall_ns in steps:
        now_ns = clocks.pass_ns(elapsed_ns, wall_ns)
        bound_ns = elapsed_ns * SLEW_PPM_MAX // 1_000_000 + 1

        assert now_ns >= last_ns
        assert abs(now_ns - last_ns - elapsed_ns) <= bound_ns
        last_ns = now_ns
