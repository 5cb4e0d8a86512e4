"""Pure parts: quantiles, and a figure beside its bar."""

from collections.abc import Sequence
from typing import NamedTuple

VERDICTS = {True: "reached", False: "NOT REACHED", None: "VOID"}


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of all does not exceed. Raises ValueError where there is none."""
    if not values:
        raise ValueError("no values")
    ordered = sorted(values)
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)]


class Figure(NamedTuple):
    """A measured value; `bar` is a highest value, or with `at_least` a lowest; without a bar it is only shown."""

    name: str
    value: float
    unit: str
    bar: float | None = None
    at_least: bool = False
    note: str = ""
    is_void: bool = False  # what measured it was itself too late
    must: bool = False  # a wrong result, not a slow one: where the bar is not reached, the benchmark fails

    @property
    def is_wrong(self) -> bool:
        """Whether it says that results are wrong."""
        return self.must and self.reached is False

    @property
    def reached(self) -> bool | None:
        """Whether the value stands on the right side of its bar; None without a bar, and of a void run."""
        if self.bar is None or self.is_void:
            return None
        return self.value >= self.bar if self.at_least else self.value <= self.bar

    def row(self) -> dict[str, object]:
        """As JSON has it."""
        return {
            "name": self.name, "value": round(self.value, 3), "bar": self.bar, "reached": self.reached,
            "unit": self.unit, "note": self.note,
        }  # fmt: skip

    def line(self) -> str:
        """As people read it."""
        sign = ">=" if self.at_least else "<="
        bar = "" if self.bar is None else f"{sign} {self.bar:g} {VERDICTS[self.reached]}"
        return f"{self.name:52} {self.value:>10.2f} {self.unit:8} {bar:20} {self.note}".rstrip()
