"""The testbed of these tests: namespaces of their own, removed whatever happens."""

import os
import platform
import re
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from firewall.live import testbed as live_testbed
from tests.live.kernel_sets import Kernel, kernel_in
from tests.live.peer import udp_socket
from tests.live.sipp import CARRIER, PSAP

# The kernel lets root of a user namespace make networks, but put no programs into them. CI is root of the machine.
_IS_MACHINE_ROOT = os.geteuid() == 0 and Path("/proc/self/uid_map").read_text().split() == ["0", "0", "4294967295"]
_KERNEL = tuple(int(part) for part in re.findall(r"\d+", platform.release())[:2])
machine_root = pytest.mark.skipif(
    not _IS_MACHINE_ROOT or _KERNEL < (6, 6),
    reason="only root of the machine may put programs behind links (bpf(2)), since Linux 6.6",
)


@dataclass(frozen=True, slots=True)
class Namespaces:
    """The names of the testbed's namespaces."""

    carrier: str
    fw: str
    psap: str


@pytest.fixture(scope="session")
def testbed() -> Iterator[Namespaces]:
    prefix = f"t{os.getpid()}-"
    live_testbed.up(prefix)
    try:
        yield Namespaces(prefix + "carrier", prefix + "fw", prefix + "psap")
    finally:
        live_testbed.down(prefix)


@pytest.fixture
def kernel(testbed: Namespaces) -> Iterator[Kernel]:
    """The firewall's namespace with the table of media in it."""
    with kernel_in(testbed.fw) as kernel:
        yield kernel


@pytest.fixture
def flow(testbed: Namespaces) -> Iterator[tuple[socket.socket, socket.socket]]:
    """The ends of the flow of the first pinhole: who sends, who receives."""
    with udp_socket(testbed.carrier, CARRIER, 49_170) as sender, udp_socket(testbed.psap, PSAP, 40_000) as receiver:
        yield sender, receiver


def kernel_state(namespace: str) -> str:
    """Return everything that a firewall could have left behind in a namespace, without how old it is."""
    questions = ["nft list ruleset", "ip rule", "ip -6 rule", "ip route show table all", "ip -6 route show table all"]
    state = "\n".join(
        subprocess.run(
            ["ip", "netns", "exec", namespace, *question.split()], capture_output=True, text=True, check=False
        ).stdout
        for question in questions
    )
    return re.sub(r" expires \w+", "", state)
