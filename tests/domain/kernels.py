"""The kernels that tests run on: Python always, the compiled one where it is built."""

from pathlib import Path

import pytest

from mts_stream.domain import order_book
from mts_stream.domain.kernel import BUILD_COMMAND, Kernel, KernelUnavailableError, kernel

NAMES = ("python", "compiled")


def built(name: str) -> Kernel:
    """The kernel of that name; skips the test where it is not built."""
    try:
        return kernel(name)  # type: ignore[arg-type]
    except KernelUnavailableError as error:
        pytest.skip(f"{error}: build it with {BUILD_COMMAND}")


def available() -> list[Kernel]:
    """The kernels that there are."""
    return [kernel("python"), kernel("auto")]


def is_stale() -> bool:
    """Whether the compiled kernel was built from older sources than these."""
    from mts_stream.domain import order_book_compiled

    folder = Path(order_book.__file__).parent
    newest = max(path.stat().st_mtime for pattern in ("*.pyx", "*.pxd") for path in folder.glob(pattern))
    return Path(order_book_compiled.__file__).stat().st_mtime < newest
