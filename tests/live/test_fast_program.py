"""The program that hands media on, run by the kernel on packets made here: what it takes, and what it makes of it."""

import ctypes
import os
import socket
import struct
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firewall.live import bpf
from firewall.live.bpf import BpfMap, load
from firewall.live.fast_program import KEY_BYTES, VALUE_BYTES, counted, element_value, program
from firewall.live.flow_sets import Family
from tests.live.conftest import machine_root

pytestmark = [pytest.mark.netns, machine_root]

_RUN = 10  # BPF_PROG_TEST_RUN
_CONTEXT_BYTES, _PRIORITY = 192, 32  # struct __sk_buff
GO_ON, REDIRECT = 0xFFFFFFFF, 7
MTU = 600
SRC, DST, PORT = "192.0.2.10", "198.51.100.10", 40_000
SRC_6, DST_6 = "2001:db8:1::10", "2001:db8:2::10"
KEYS: dict[Family, bytes] = {
    4: socket.inet_aton(SRC) + socket.inet_aton(DST) + struct.pack("!H2x", PORT),
    6: socket.inet_pton(socket.AF_INET6, SRC_6) + socket.inet_pton(socket.AF_INET6, DST_6) + struct.pack("!H2x", PORT),
}


class Ingress:
    """The program with an element for each IP version, that leads to a link which takes ``MTU`` bytes."""

    def __init__(self) -> None:
        self.maps = {family: BpfMap(KEY_BYTES[family], VALUE_BYTES, 8) for family in KEYS}
        self.program = load(program({family: each.fd for family, each in self.maps.items()}))

        self.priority = 0

    def run(self, frame: bytes, link: int = 999) -> tuple[int, bytes, tuple[int, int]]:
        """Return what becomes of a frame that comes in by ``lo``: the program's word, the frame, what the element
        counted. ``priority`` is then the one it has."""
        for family, each in self.maps.items():
            each.put(KEYS[family], element_value(link, MTU, family, bytes(16)))
        given_frame = ctypes.create_string_buffer(frame, len(frame))
        out = ctypes.create_string_buffer(len(frame))
        context = ctypes.create_string_buffer(_CONTEXT_BYTES)
        places = [ctypes.addressof(each) for each in (given_frame, out, context)]
        fields = (self.program, 0, len(frame), len(frame), *places[:2], 1, 0, 0, _CONTEXT_BYTES, 0, places[2])
        asked = ctypes.create_string_buffer(struct.pack("=IIIIQQIIIIQQ", *fields).ljust(80, b"\0"), 80)
        bpf.ask(_RUN, asked)
        word = int(struct.unpack_from("=I", asked, 4)[0])
        self.priority = int(struct.unpack_from("=I", context, _PRIORITY)[0])
        counts = [counted(each.get(KEYS[family]) or b"") for family, each in self.maps.items()]
        return word, out.raw, (sum(packets for packets, _ in counts), sum(octets for _, octets in counts))


@pytest.fixture(scope="module")
def ingress() -> Iterator[Ingress]:
    made = Ingress()
    yield made
    os.close(made.program)
    for each in made.maps.values():
        each.close()


def checksum(header: bytes) -> int:
    total = int(sum(struct.unpack("!10H", header)))
    total = (total & 0xFFFF) + (total >> 16)
    return ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF


def ipv4(payload: bytes = b"media", **changes: int | str) -> bytes:
    """An Ethernet frame with a UDP datagram, as the element has it unless something is changed."""
    values = {"first": 0x45, "tos": 0, "identity": 7, "fragment": 0x4000, "ttl": 64, "protocol": 17} | changes
    src, dst = str(values.get("src", SRC)), str(values.get("dst", DST))
    head = [values[name] for name in ("first", "tos")]
    rest = [values[name] for name in ("identity", "fragment", "ttl", "protocol")]
    header = (
        struct.pack("!BBHHHBBH", *head, 28 + len(payload), *rest, 0) + socket.inet_aton(src) + socket.inet_aton(dst)
    )
    header = header[:10] + struct.pack("!H", checksum(header)) + header[12:]
    udp = struct.pack("!HHHH", 49_170, values.get("port", PORT), 8 + len(payload), 0)
    return ether(int(values.get("ethertype", 0x0800)), int(values.get("mac", 0))) + header + udp + payload


def ipv6(payload: bytes = b"media", **changes: int | str) -> bytes:
    """The same over IPv6."""
    values = {"first": 0x60, "next_header": 17, "hop_limit": 64} | changes
    addresses = [socket.inet_pton(socket.AF_INET6, str(values.get(*each))) for each in (("src", SRC_6), ("dst", DST_6))]
    fields = (values["first"], 0, 8 + len(payload), values["next_header"], values["hop_limit"])
    udp = struct.pack("!HHHH", 49_170, values.get("port", PORT), 8 + len(payload), 0)
    return (
        ether(0x86DD, int(values.get("mac", 0))) + struct.pack("!BxHHBB", *fields) + b"".join(addresses) + udp + payload
    )


def ether(ethertype: int, mac: int) -> bytes:
    return mac.to_bytes(6, "big") + bytes(6) + struct.pack("!H", ethertype)


@given(st.binary(max_size=MTU - 28), st.integers(2, 255), st.integers(0, 255), st.integers(0, 0xFFFF))
def test_a_plain_packet_of_ipv4_is_handed_on_as_routing_would(
    ingress: Ingress, payload: bytes, ttl: int, tos: int, identity: int
) -> None:
    given_frame = {"tos": tos, "identity": identity, "fragment": 0x4000 * (identity & 1)}
    word, out, counts = ingress.run(ipv4(payload, ttl=ttl, **given_frame))
    assert (word, counts) == (REDIRECT, (1, 28 + len(payload)))
    assert out[14:34] == ipv4(payload, ttl=ttl - 1, **given_frame)[14:34]
    assert out[34:] == ipv4(payload)[34:]
    assert ingress.priority == (0, 2, 6, 4)[tos >> 3 & 3]  # rt_tos2priority() of <net/route.h>


def test_a_checksum_that_becomes_zero_is_written_as_zero(ingress: Ingress) -> None:
    """RFC 1624, section 3."""
    frame = next(each for number in range(0x10000) if (each := ipv4(identity=number))[24:26] == b"\xfe\xff")
    assert ingress.run(frame)[1][24:26] == b"\0\0"


@given(st.binary(max_size=MTU - 48), st.integers(2, 255))
def test_a_plain_packet_of_ipv6_is_handed_on_as_routing_would(ingress: Ingress, payload: bytes, hop_limit: int) -> None:
    word, out, counts = ingress.run(ipv6(payload, hop_limit=hop_limit))
    assert (word, counts) == (REDIRECT, (1, 48 + len(payload)))
    assert out[14:] == ipv6(payload, hop_limit=hop_limit - 1)[14:]


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(ipv4(ttl=1), id="its last hop"),
        pytest.param(ipv4(ttl=0), id="no hop left"),
        pytest.param(ipv4(fragment=0x2000), id="first fragment"),
        pytest.param(ipv4(fragment=0x0001), id="later fragment"),
        pytest.param(ipv4(first=0x46), id="options"),
        pytest.param(ipv4(protocol=6), id="TCP"),
        pytest.param(ipv4(src="192.0.2.11"), id="another source"),
        pytest.param(ipv4(dst="198.51.100.11"), id="another destination"),
        pytest.param(ipv4(port=PORT + 1), id="another port"),
        pytest.param(ipv4(mac=0x020000000001), id="for another machine"),
        pytest.param(ipv4(mac=0xFFFFFFFFFFFF), id="broadcast"),
        pytest.param(ipv4(bytes(MTU - 27)), id="too long for the link"),
        pytest.param(ipv4(ethertype=0x88B5), id="no IP"),
        pytest.param(ipv4()[:24] + b"\0\0" + ipv4()[26:], id="wrong header checksum"),
        pytest.param(ipv4() + b"\0", id="padding"),
        pytest.param(ipv4()[:-1], id="less than the packet"),
        pytest.param(ether(0x8100, 0) + b"\0\5" + ipv4()[12:], id="VLAN"),
        pytest.param(ipv4()[:41], id="cut"),
        pytest.param(ipv6(hop_limit=1), id="its last hop, IPv6"),
        pytest.param(ipv6(next_header=44), id="fragment, IPv6"),
        pytest.param(ipv6(next_header=0), id="extension header, IPv6"),
        pytest.param(ipv6(first=0x40), id="version 4 in IPv6"),
        pytest.param(ipv6(src="2001:db8::1"), id="another source, IPv6"),
        pytest.param(ipv6(bytes(MTU - 47)), id="too long for the link, IPv6"),
        pytest.param(ipv6()[:61], id="cut, IPv6"),
        pytest.param(ipv6() + b"\0", id="padding, IPv6"),
        pytest.param(ipv6()[:-1], id="less than the packet, IPv6"),
    ],
)
def test_everything_else_goes_on_untouched_and_uncounted(ingress: Ingress, frame: bytes) -> None:
    assert ingress.run(frame) == (GO_ON, frame, (0, 0))


def test_what_would_go_back_where_it_came_from_goes_on(ingress: Ingress) -> None:
    for frame in (ipv4(), ipv6()):
        assert ingress.run(frame, socket.if_nametoindex("lo")) == (GO_ON, frame, (0, 0))


def is_ours(frame: bytes) -> bool:
    """Tell whether a frame is to be handed on, by the words of RFC 791, 768 and 8200."""
    packet = frame[14:]
    if frame[:6] != bytes(6) or len(packet) > MTU:
        return False
    if frame[12:14] == b"\x08\0" and len(packet) >= 28:
        is_fragment = bool(packet[6] & 0x3F or packet[7])
        is_plain = packet[0] == 0x45 and not is_fragment and packet[8] > 1 and packet[9] == 17
        is_whole = int.from_bytes(packet[2:4], "big") == len(packet) and checksum(packet[:20]) == 0
        return is_plain and is_whole and packet[12:20] + packet[22:24] + b"\0\0" == KEYS[4]
    if frame[12:14] == b"\x86\xdd" and len(packet) >= 48:
        is_plain = packet[0] >> 4 == 6 and packet[6] == 17 and packet[7] > 1
        is_whole = int.from_bytes(packet[4:6], "big") == len(packet) - 40
        return is_plain and is_whole and packet[8:40] + packet[42:44] + b"\0\0" == KEYS[6]
    return False


@given(
    st.sampled_from([ipv4(), ipv6()]),
    st.dictionaries(st.integers(0, 70), st.integers(0, 255), max_size=3),
    st.integers(0, 13),  # the kernel runs no program on less than an IP header
)
def test_it_is_handed_on_exactly_if_it_is_ours(
    ingress: Ingress, frame: bytes, changed: dict[int, int], cut: int
) -> None:
    other = bytes(changed.get(place, byte) for place, byte in enumerate(frame))[: len(frame) - cut]
    word, out, (packets, _) = ingress.run(other)
    assert (word == REDIRECT, packets) == (is_ours(other), is_ours(other))
    assert out == other or is_ours(other)


def test_a_version_without_a_map_goes_on() -> None:
    made = BpfMap(KEY_BYTES[6], VALUE_BYTES, 8)
    only_six = load(program({6: made.fd}))
    ingress = Ingress()
    os.close(ingress.program)
    ingress.program = only_six
    assert ingress.run(ipv4())[0] == GO_ON
    os.close(only_six)
    for each in (made, *ingress.maps.values()):
        each.close()
