"""What all tests share: how thorough hypothesis is, and that no test passes for want of a namespace."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

CAP_NET_ADMIN = 12
CAP_SYS_ADMIN = 21

# No deadline: a shared machine may be slow for a moment, and that is no bug of the code under test.
settings.register_profile("dev", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.register_profile("small", deadline=None, derandomize=True, max_examples=10)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "dev"))


def may_make_namespaces() -> bool:
    """Tell whether this process holds the capabilities that network namespaces need."""
    status = Path("/proc/self/status").read_text()
    effective = next(int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapEff:"))
    return all(effective >> capability & 1 for capability in (CAP_NET_ADMIN, CAP_SYS_ADMIN))


@pytest.fixture(autouse=True)
def namespaces_where_needed(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("netns") and not may_make_namespaces():
        pytest.fail("this test makes network namespaces: run it as root, or with make test", pytrace=False)
