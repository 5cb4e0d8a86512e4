"""Every conformance test runs on both kernels."""

import pytest

from tests.domain.kernels import NAMES, built


@pytest.fixture(params=NAMES, autouse=True, scope="module")
def kernel_in_turn(request: pytest.FixtureRequest) -> object:
    """Engines that are given no kernel take this one."""
    of = built(request.param)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mts_stream.domain.engine.kernel", lambda: of)
        yield of
