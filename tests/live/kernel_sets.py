"""The kernel's sets of media in a namespace of the testbed, as nft shows them, and the pinholes that fill them."""

import asyncio
import json
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import Any

import pytest

from firewall.engine.pinhole import Pinhole, PinholeKey
from firewall.live import testbed as live_testbed
from firewall.live.flow_sets import ACCEPT, COPYING, kernel_set
from firewall.live.forwarding import survey
from firewall.live.nftables import render_ruleset
from firewall.live.pinholes import Pinholes
from firewall.live.sampling import SAMPLE_EVERY_S
from firewall.net.ip import packed_address_text
from tests.live.sipp import CARRIER, PSAP
from tests.live.test_nftables import CARRIER as CARRIER_ZONE
from tests.live.test_nftables import PSAP as PSAP_ZONE
from tests.live.test_nftables import policy

HOUR_NS = 3_600 * 10**9


def pinhole(port: int = 40_000, **changes: Any) -> Pinhole:
    key = PinholeKey("UDP", "carrier", CARRIER, None, PSAP, port)
    return Pinhole(key, "rtp", changes.pop("call_id", 'a b"c@192.0.2.10'), HOUR_NS, **changes)


@dataclass
class Kernel:
    """A namespace with the table in it, and the pinholes there."""

    namespace: str
    said: list[str]
    pinholes: Pinholes

    def nft(self, *arguments: str, script: str = "") -> str:
        command = ["ip", "netns", "exec", self.namespace, "nft", *arguments]
        return subprocess.run(command, input=script, text=True, capture_output=True, check=True).stdout

    def elements(self, name: str = "media4") -> list[dict[str, Any]]:
        """Every element of a set, wherever its packets go."""
        found = []
        for goto in (ACCEPT, *COPYING):
            kind = "map" if goto == ACCEPT else "set"
            listed = json.loads(self.nft("-j", "list", kind, "inet", "sosgate", kernel_set(name, goto)))["nftables"]
            for each in next(part[kind] for part in listed if kind in part).get("elem", []):
                element = (each[0] if kind == "map" else each)["elem"]
                found.append({"key": element["val"]["concat"], "goto": goto, **element})
        return found

    def ways(self) -> list[str]:
        """Where packets of each element go, by port."""
        return [each["goto"] for each in sorted(self.elements(), key=lambda each: each["key"][2])]

    def fast(self) -> dict[int, tuple[str, int]]:
        """The pinholes whose packets are handed on at once: by port, to whom, and how many there were."""
        held = {element: each for element, each in self.pinholes._held.items() if each.fast is not None}
        counts = dict(chain.from_iterable(self.pinholes._fast_path.counts()))
        assert counts.keys() == held.keys()
        return {
            each.pinhole.key.dst_port: (packed_address_text(each.fast.neighbour), counts[element][0])
            for element, each in held.items()
            if each.fast is not None
        }

    def open_fast_path(self) -> None:
        """Let flows that rest take the fast path."""

        def use() -> None:
            self.pinholes.use_fast_path(survey(our_programs=self.pinholes.fast_programs()), None)

        live_testbed.in_namespace(self.namespace, use)
        assert self.pinholes.status().no_fast_path == ""

    def count(self) -> None:
        """Have the pinholes counted where they are."""
        live_testbed.in_namespace(self.namespace, lambda: asyncio.run(self.pinholes.count()))

    def again(self) -> Pinholes:
        """What a daemon that starts anew has."""
        return live_testbed.in_namespace(self.namespace, lambda: Pinholes(self.said.append))


@contextmanager
def kernel_in(namespace: str) -> Iterator[Kernel]:
    """Give a namespace the table and its pinholes while the ``with`` block lasts."""
    said: list[str] = []
    pinholes = live_testbed.in_namespace(namespace, lambda: Pinholes(said.append))
    kernel = Kernel(namespace, said, pinholes)
    kernel.nft("-f", "-", script=render_ruleset(policy(CARRIER_ZONE, PSAP_ZONE)))
    try:
        yield kernel
    finally:
        kernel.nft("-f", "-", script="table inet sosgate\ndelete table inet sosgate\n")
        pinholes.close()


class Clock:
    """The daemon's clock, and what it does by it."""

    def __init__(self, kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
        self._kernel = kernel
        self._now_s = time.monotonic()
        monkeypatch.setattr("firewall.live.pinholes.time.monotonic", lambda: self._now_s)

    def count(self) -> str:
        """Let a second pass; return where packets of the first pinhole go then."""
        self._now_s += 1
        asyncio.run(self._kernel.pinholes.count())
        return self._kernel.ways()[0]

    def sample(self, after_s: float = SAMPLE_EVERY_S) -> list[str]:
        """Let a time pass; return where packets go then, by port."""
        self._now_s += after_s
        self._kernel.pinholes.sample()
        return self._kernel.ways()


def send(flow: tuple[socket.socket, socket.socket], count: int) -> None:
    for _ in range(count):
        flow[0].sendto(bytes(100), (PSAP, 40_000))
        flow[1].recv(200)


def ip(namespace: str, *arguments: str) -> str:
    command = ["ip", "netns", "exec", namespace, "ip", *arguments]
    return subprocess.run(command, text=True, capture_output=True, check=True).stdout
