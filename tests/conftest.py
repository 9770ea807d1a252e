"""What all tests share: how thorough hypothesis is, who has no network, that no test passes for want of a namespace."""

import ctypes
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

CAP_NET_ADMIN = 12
CAP_SYS_ADMIN = 21
CLONE_NEWNET = 0x40000000
TESTS = Path(__file__).parent
CORE = ("engine", "ruleset", "sip", "net")

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


@pytest.fixture(scope="module")
def no_network() -> Iterator[None]:
    """The thread that runs tests is in a network namespace in which not even the loopback interface is up."""
    libc = ctypes.CDLL(None, use_errno=True)
    with Path("/proc/thread-self/ns/net").open("rb") as before:
        assert libc.unshare(CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
        try:
            yield
        finally:
            assert libc.setns(before.fileno(), CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())


@pytest.fixture(autouse=True, scope="module")
def core_has_no_network(request: pytest.FixtureRequest) -> None:
    """The engine and everything under it need none: their tests pass where there is none to be had."""
    if request.path.relative_to(TESTS).parts[0] in CORE and may_make_namespaces():
        request.getfixturevalue("no_network")
