"""The header by which a gateway says which one it is, so that its parent knows it from another on the same port."""

from __future__ import annotations

INSTANCE_HEADER = "X-MTS-Gateway-Instance"
