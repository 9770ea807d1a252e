"""Which way packets may be handed on, and between which links; test_pinhole_fast_path.py has flows that are."""

import errno
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from firewall.engine.pinhole import PinholeKey
from firewall.live import testbed as live_testbed
from firewall.live.bpf import attach, programs_behind
from firewall.live.fast_path import FastPath
from firewall.live.flow_sets import element_of
from firewall.live.forwarding import Forwarding, survey
from firewall.net.ip import packed_address_text
from tests.live.conftest import Namespaces, machine_root
from tests.live.kernel_sets import Kernel, ip, send
from tests.live.sipp import CARRIER, CARRIER_V6, PSAP, PSAP_V6

pytestmark = [pytest.mark.netns, machine_root]

PORT = 40_000
MEDIA = element_of(PinholeKey("UDP", None, CARRIER, None, PSAP, PORT))
MEDIA_V6 = element_of(PinholeKey("UDP", None, CARRIER_V6, None, PSAP_V6, PORT))


def test_root_of_a_user_namespace_is_told_what_keeps_it_from_the_fast_path() -> None:
    script = (
        "from firewall.live.fast_path import FastPath; from firewall.live.forwarding import Forwarding; "
        "path = FastPath(); path.use(Forwarding(()), None); print(path.obstacle)"
    )
    command = ["unshare", "--user", "--map-root-user", "--net", sys.executable, "-c", script]
    done = subprocess.run(command, text=True, capture_output=True, check=True)
    assert done.stdout == "CAP_BPF is missing, which only root of the machine has or gives\n"


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        (errno.EPERM, "CAP_BPF is missing, which only root of the machine has or gives"),
        (errno.EINVAL, "the kernel takes no programs behind links (TCX, since Linux 6.6)"),
        (errno.ENOMEM, "the kernel takes no program behind links (Cannot allocate memory)"),
    ],
)
def test_where_the_kernel_takes_no_program_it_is_told_why(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch, code: int, sentence: str
) -> None:
    def refuse(*_: int) -> int:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("firewall.live.fast_path.attach", refuse)
    kernel.pinholes.use_fast_path(live_testbed.in_namespace(kernel.namespace, survey), None)
    assert kernel.pinholes.status().no_fast_path == sentence


@pytest.fixture
def ways(testbed: Namespaces) -> Iterator[FastPath]:
    fast_path = live_testbed.in_namespace(testbed.fw, FastPath)
    live_testbed.in_namespace(testbed.fw, lambda: fast_path.use(survey(), None))
    yield fast_path
    fast_path.close()


def use(testbed: Namespaces, ways: FastPath, forwarding: Forwarding, *from_interfaces: str) -> None:
    live_testbed.in_namespace(testbed.fw, lambda: ways.use(forwarding, from_interfaces or None))


def test_only_what_is_routed_from_a_neighbour_to_a_neighbour_has_a_way(ways: FastPath, testbed: Namespaces) -> None:
    link = live_testbed.in_namespace(testbed.fw, lambda: socket.if_nametoindex("f1"))

    def way(src: str | None, dst: str, src_port: int | None = None) -> str | None:
        found = ways.egress(element_of(PinholeKey("UDP", None, src, src_port, dst, PORT)), src or "", dst)
        assert found is None or (found.link, found.mtu) == (link, 1500)
        return None if found is None else packed_address_text(found.neighbour)

    ip(testbed.fw, "route", "add", "203.0.113.128/25", "via", "198.51.100.10")
    try:
        assert way(CARRIER, PSAP) == PSAP
        assert way(CARRIER_V6, PSAP_V6) == PSAP_V6
        assert way(CARRIER, "203.0.113.200") == "198.51.100.10"
        assert way(CARRIER, PSAP, 49_170) is None
        assert way(None, PSAP) is None
        assert way(CARRIER, "198.51.100.1") is None  # this machine
        assert way("198.51.100.1", PSAP) is None
        assert way("233.252.0.1", PSAP) is None  # from nowhere
    finally:
        ip(testbed.fw, "route", "del", "203.0.113.128/25")
    ways.use(Forwarding((), "nothing may"), None)
    assert way(CARRIER, PSAP) is None


def test_a_way_leads_over_the_links_and_in_the_versions_it_was_told_of(ways: FastPath, testbed: Namespaces) -> None:
    found = live_testbed.in_namespace(testbed.fw, lambda: survey(our_programs=ways.programs))
    f0, f1 = found.links

    def has_way() -> tuple[bool, bool]:
        return ways.egress(MEDIA, CARRIER, PSAP) is not None, ways.egress(MEDIA_V6, CARRIER_V6, PSAP_V6) is not None

    use(testbed, ways, found, "f0")
    assert has_way() == (True, True)  # also over an interface by which none may come in
    use(testbed, ways, replace(found, links=(f0, replace(f1, versions=(6,)))))
    assert has_way() == (False, True)
    use(testbed, ways, replace(found, links=(f0,)))
    assert has_way() == (False, False)


def test_what_routes_were_before_it_was_told_of_links_is_forgotten(ways: FastPath, testbed: Namespaces) -> None:
    before = ways.egress(MEDIA, CARRIER, PSAP)
    ip(testbed.fw, "route", "add", "blackhole", f"{PSAP}/32")
    try:
        assert ways.egress(MEDIA, CARRIER, PSAP) == before is not None
        use(testbed, ways, live_testbed.in_namespace(testbed.fw, lambda: survey(our_programs=ways.programs)))
        assert ways.egress(MEDIA, CARRIER, PSAP) is None
    finally:
        ip(testbed.fw, "route", "del", "blackhole", f"{PSAP}/32")


def test_a_link_takes_packets_only_of_its_versions_and_none_where_another_is_refused(
    ways: FastPath,
    testbed: Namespaces,
    flow: tuple[socket.socket, socket.socket],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = live_testbed.in_namespace(testbed.fw, lambda: survey(our_programs=ways.programs))
    f0, f1 = found.links
    way = ways.egress(MEDIA, CARRIER, PSAP)
    assert way is not None
    ways.add(MEDIA, way)
    send(flow, 1)
    assert ways.counted(MEDIA) == (1, 128)
    live_testbed.in_namespace(
        testbed.fw,
        lambda: ways.use(replace(found, links=(replace(f0, versions=(6,)), replace(f1, versions=(6,)))), None),
    )
    send(flow, 1)
    assert ways.counted(MEDIA) == (1, 128)

    def refuse_f1(program: int, link: int) -> int:
        if link == f1.index:
            raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))
        return attach(program, link)

    monkeypatch.setattr("firewall.live.fast_path.attach", refuse_f1)
    use(testbed, ways, found)
    send(flow, 1)
    assert ways.counted(MEDIA) == (1, 128)


def test_a_link_that_nothing_changed_about_keeps_its_program(
    ways: FastPath, testbed: Namespaces, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel takes 10 ms for each, in which no message is forwarded."""
    found = live_testbed.in_namespace(testbed.fw, lambda: survey(our_programs=ways.programs))
    f0, f1 = found.links
    attached: list[int] = []

    def note(program: int, link: int) -> int:
        attached.append(link)
        return attach(program, link)

    monkeypatch.setattr("firewall.live.fast_path.attach", note)
    use(testbed, ways, replace(found, obstacle="something"))
    assert ways.egress(MEDIA, CARRIER, PSAP) is None
    use(testbed, ways, replace(found, links=(replace(f0, mtu=1400), f1)))
    assert (attached, ways.egress(MEDIA, CARRIER, PSAP) is None) == ([], False)
    use(testbed, ways, replace(found, links=(f0, replace(f1, versions=(4,)))))
    assert attached == [f1.index]
    use(testbed, ways, replace(found, links=(f0,)))
    use(testbed, ways, found)
    assert attached == [f1.index, f1.index]


def test_a_link_that_was_made_again_with_its_index_has_a_program(ways: FastPath, testbed: Namespaces) -> None:
    def make(words: str) -> tuple[int, set[int]]:
        ip(testbed.fw, "link", "add", "x0", *words.split(), "type", "veth", "peer", "name", "x1")
        ip(testbed.fw, "link", "set", "x0", "up")
        ip(testbed.fw, "link", "set", "x1", "netns", testbed.psap)
        index = live_testbed.in_namespace(testbed.fw, lambda: socket.if_nametoindex("x0"))
        found = live_testbed.in_namespace(testbed.fw, lambda: survey(our_programs=ways.programs))
        use(testbed, ways, found)
        return index, live_testbed.in_namespace(testbed.fw, lambda: programs_behind(index))

    index, programs = make("")
    ip(testbed.fw, "link", "del", "x0")
    try:
        assert make(f"index {index}") == (index, programs)
        assert len(programs) == 1
    finally:
        ip(testbed.fw, "link", "del", "x0")


def test_no_descriptor_is_left_open_however_often_the_links_change(ways: FastPath, testbed: Namespaces) -> None:
    found = live_testbed.in_namespace(testbed.fw, lambda: survey(our_programs=ways.programs))
    opened = Path("/proc/self/fd")
    before = len(list(opened.iterdir()))
    for _ in range(3):
        use(testbed, ways, found)
    assert ways.obstacle == ""
    assert len(list(opened.iterdir())) == before


def test_more_flows_than_are_read_at_once_are_all_counted(ways: FastPath) -> None:
    elements = [element_of(PinholeKey("UDP", None, CARRIER, None, PSAP, port)) for port in range(10_000, 20_000)]
    way = ways.egress(elements[0], CARRIER, PSAP)
    assert way is not None
    assert all(ways.add(element, way) for element in elements)
    parts = list(ways.counts())
    assert len(parts) > 10
    assert sorted(element for part in parts for element, _ in part) == sorted(elements)
    assert [ways.remove(element) for element in elements] == [(0, 0)] * len(elements)
    assert [element for part in ways.counts() for element in part] == []
    assert ways.remove(elements[0]) == (0, 0)
