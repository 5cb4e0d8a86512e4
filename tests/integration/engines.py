"""An engine with something around it: a compiled class can have no subclass in Python."""

from typing import Any


class Around:
    """Everything of an engine, for whoever changes a part of it."""

    def __init__(self, engine: Any) -> None:
        self.engine = engine

    def __getattr__(self, name: str) -> Any:
        return getattr(self.engine, name)
