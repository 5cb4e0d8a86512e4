"""The domain's compiled form: these very sources through mypyc (setup.py), in a folder of their own.

Beside its source a compiled module would hide every later change of it. Here it counts only while it was made from the
sources that stand; else, or with KERNEL=python, Python runs them as they are, with equal results.
"""

import hashlib
import os
import sys
from pathlib import Path

MODULES = (
    "anomalies", "baseline", "direction", "engine", "evaluation", "exact", "funding",
    "funding_anomalies", "funding_arbitrage", "instrument", "latency", "leg", "limits", "market_data", "messages",
    "opportunities", "packing", "pair_engine", "pricing", "quality", "rejection", "sequencing", "signal_head", "terms",
    "walker", "windows",
)  # fmt: skip
SOURCES = Path(__file__).parent
FOLDER = SOURCES.parent / "_compiled"  # as an import path: mts_stream/domain/*.so, and the library that they share
DIGEST = "sources.sha256"


def digest() -> str:
    """Of the sources, and of the Python that they are compiled for."""
    made = hashlib.sha256(sys.implementation.cache_tag.encode())
    for name in MODULES:
        made.update(name.encode() + (SOURCES / f"{name}.py").read_bytes())
    return made.hexdigest()


def python_is_chosen() -> bool:
    """Whether KERNEL=python leaves out what is compiled, for what is chosen when a module is loaded."""
    return os.environ.get("KERNEL", "").lower() == "python"


def problem() -> str:
    """Why Python runs the sources themselves; "" where their compiled form counts."""
    if python_is_chosen():
        return "KERNEL=python"
    made = FOLDER / DIGEST
    if not made.exists():
        return "the domain is not compiled"
    return "" if made.read_text() == digest() else "the domain was compiled from other sources"


def use(path: list[str]) -> str:
    """Put the compiled form before the sources on the package's path where it counts; says why not."""
    reason = problem()
    if not reason:
        sys.path.append(str(FOLDER))  # last: for the shared library alone
        path.insert(0, str(FOLDER / "mts_stream" / "domain"))
    return reason
