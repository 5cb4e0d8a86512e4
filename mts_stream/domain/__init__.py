"""Books, walks, windows and economics: pure, and compiled where that was done from these sources (compiled.py)."""

from mts_stream.domain import compiled

IN_PYTHON_BECAUSE = compiled.use(__path__)
