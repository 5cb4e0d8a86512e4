"""Which implementation the hot path runs on: compiled where it was built, else Python, with equal results."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from mts_stream.domain.order_book import OrderBook, ScaledLevel
from mts_stream.domain.pricing import Costs, Measures, Walk
from mts_stream.domain.walker import Touch
from mts_stream.domain.walker import Walker as PythonWalker
from mts_stream.domain.windows import WalkedNets

KernelName = Literal["python", "compiled"]
KernelChoice = Literal["auto", "python", "compiled"]
BUILD_COMMAND = "python setup.py build_ext --inplace"


class Side(Protocol):
    """One side of a book; prices and sizes are integers of 10^-18."""

    @property
    def sizes(self) -> Mapping[int, int]:
        """Sizes by price; a compiled side makes them anew for each look."""

    @property
    def best(self) -> int | None:
        """The best price, or None for an empty side."""

    def __len__(self) -> int: ...

    def from_best(self) -> Iterator[ScaledLevel]:
        """Levels from the best one outward."""

    def snapshot(self) -> list[Any]:
        """Prices from the best outward, and their sizes, as JSON data."""

    def quoted(self) -> bytes:
        """Levels from the best one outward as venues write them: JSON of [price, size], plain decimal strings."""


class Book(Protocol):
    """What `order_book.OrderBook` is, and whatever takes its place."""

    lowest_bid: int | None
    highest_ask: int | None
    version: int

    @property
    def bids(self) -> Side: ...

    @property
    def asks(self) -> Side: ...

    @property
    def best_bid(self) -> int | None: ...

    @property
    def best_ask(self) -> int | None: ...

    @property
    def flaw(self) -> str: ...

    def read(self, bids: bytes, asks: bytes, where: object) -> Any: ...

    def replace(self, change: Any) -> None: ...

    def restore(self, bids: list[Any], asks: list[Any]) -> None: ...

    def know(self, lowest_bid: int | None, highest_ask: int | None) -> None: ...

    def update(self, change: Any) -> None: ...

    def equals(self, change: Any) -> bool: ...


class Walker(Protocol):
    """What `walker.Walker` is, and whatever takes its place."""

    def touch(self, costs: Costs) -> Touch: ...

    def walk(self, costs: Costs) -> Walk: ...

    def nets(self, costs: Costs) -> WalkedNets: ...

    def counted_levels(self) -> tuple[Iterator[ScaledLevel], Iterator[ScaledLevel]]: ...

    def levels(self) -> tuple[Iterator[ScaledLevel], Iterator[ScaledLevel]]: ...


@dataclass(frozen=True, slots=True)
class Kernel:
    """An implementation of the hot path; `problem` says why it is not the one that was hoped for."""

    name: KernelName
    new_book: Callable[[], Book]
    new_walker: Callable[[Book, Book, Measures], Walker]
    problem: str = ""


class KernelUnavailableError(LookupError):
    """The compiled kernel was asked for and does not load."""


def kernel(choice: KernelChoice = "auto") -> Kernel:
    """The implementation for a choice; raises KernelUnavailableError for `compiled` where it does not load."""
    if choice == "python":
        return Kernel("python", OrderBook, PythonWalker)
    try:
        from mts_stream.domain.order_book_compiled import CompiledBook
        from mts_stream.domain.walker_compiled import CompiledWalker
    except (ImportError, TypeError, ValueError) as error:  # not built, or in parts that do not fit together
        if choice == "compiled":
            raise KernelUnavailableError(f"the compiled kernel does not load: {error}; {BUILD_COMMAND}") from error
        return Kernel("python", OrderBook, PythonWalker, f"not built: {error}")
    return Kernel("compiled", CompiledBook, CompiledWalker)
