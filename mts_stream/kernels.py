"""The kernel that the setting KERNEL names."""

from mts_stream.domain import IN_PYTHON_BECAUSE
from mts_stream.domain.kernel import Kernel, KernelChoice, KernelUnavailableError, kernel
from mts_stream.errors import SettingsError
from mts_stream.logs import get_logger

log = get_logger("mts_stream.kernels")


def chosen_kernel(choice: KernelChoice) -> Kernel:
    """The kernel for a choice; raises SettingsError where `compiled` is asked for and does not load."""
    try:
        return kernel(choice)
    except KernelUnavailableError as error:
        raise SettingsError(f"KERNEL={choice}: {error}; or set KERNEL=auto, which runs in Python then") from error


def kernel_in_use(choice: KernelChoice) -> Kernel:
    """The same for a process that runs for long: where Python takes its place, that is said, once."""
    used = chosen_kernel(choice)
    if used.name == "compiled" and IN_PYTHON_BECAUSE:
        log.warning("the domain runs in Python, half again as slow", problem=IN_PYTHON_BECAUSE)
    if used.problem:
        log.warning("no compiled kernel: everything runs in Python, several times slower", problem=used.problem)
    return used
