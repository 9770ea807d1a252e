"""The testbed of these tests: namespaces of their own, removed whatever happens."""

import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from firewall.live import testbed as live_testbed


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
