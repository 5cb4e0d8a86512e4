"""How much memory this process has held at most."""

from pathlib import Path


def peak_memory_mb() -> float:
    """The peak of resident memory since this program began; getrusage would give its parent's, if that was larger."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024
