"""What all tests share: how thorough hypothesis is, who has no network, that no test passes for want of a namespace."""

import contextlib
import ctypes
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

CAP_NET_ADMIN = 12
CAP_SYS_ADMIN = 21
CLONE_NEWNS, CLONE_NEWNET = 0x00020000, 0x40000000
MS_REC, MS_PRIVATE = 0x4000, 0x40000
NAMED_NAMESPACES = Path("/run/netns")
TESTS = Path(__file__).parent
LIBC = ctypes.CDLL(None, use_errno=True)
CORE = ("engine", "ruleset", "sip", "net")

# No deadline: a shared machine may be slow for a moment, and that is no bug of the code under test.
settings.register_profile("dev", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "dev"))


def may_make_namespaces() -> bool:
    """Tell whether this process holds the capabilities that network namespaces need."""
    status = Path("/proc/self/status").read_text()
    effective = next(int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapEff:"))
    return all(effective >> capability & 1 for capability in (CAP_NET_ADMIN, CAP_SYS_ADMIN))


def pytest_configure(config: pytest.Config) -> None:
    """Give each of those that run tests side by side a network, mounts and names of network namespaces of its own."""
    if hasattr(config, "workerinput") and may_make_namespaces():
        succeed(LIBC.unshare(CLONE_NEWNET | CLONE_NEWNS))
        succeed(LIBC.mount(None, b"/", None, MS_REC | MS_PRIVATE, None))
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        with contextlib.suppress(PermissionError):  # in a user namespace sosgate makes it, in these mounts
            NAMED_NAMESPACES.mkdir(exist_ok=True)
        if NAMED_NAMESPACES.is_dir():
            succeed(LIBC.mount(b"tmpfs", os.fsencode(NAMED_NAMESPACES), b"tmpfs", 0, b"mode=755"))


def succeed(result: int) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


@pytest.fixture(autouse=True)
def namespaces_where_needed(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("netns") and not may_make_namespaces():
        pytest.fail("this test makes network namespaces: run it as root, or with make test", pytrace=False)


@pytest.fixture(scope="module")
def no_network() -> Iterator[None]:
    """The thread that runs tests is in a network namespace in which not even the loopback interface is up."""
    with Path("/proc/thread-self/ns/net").open("rb") as before:
        succeed(LIBC.unshare(CLONE_NEWNET))
        try:
            yield
        finally:
            succeed(LIBC.setns(before.fileno(), CLONE_NEWNET))


@pytest.fixture(autouse=True, scope="module")
def core_has_no_network(request: pytest.FixtureRequest) -> None:
    """The engine and everything under it need none: their tests pass where there is none to be had."""
    if request.path.relative_to(TESTS).parts[0] in CORE and may_make_namespaces():
        request.getfixturevalue("no_network")
