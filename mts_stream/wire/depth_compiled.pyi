"""What the compiled reader of depth frames gives."""

from mts_stream.domain.market_data import DepthUpdate

def depth_update(value: bytes) -> DepthUpdate | None: ...
