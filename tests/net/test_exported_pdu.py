"""Exported PDUs as Wireshark writes them (``tshark -U "OSI layer 7"``)."""

import ipaddress
import struct

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firewall.net.datagram import Packet, Transport
from firewall.net.exported_pdu import EXPORTED_PDU, read_exported_pdu
from firewall.net.frame import FrameDecoder
from firewall.net.ip import Undecoded
from tests.net.packets import CALLER, CALLER6, PSAP, PSAP6, record

SIP = b"OPTIONS sip:psap.example SIP/2.0\r\n\r\n"


def exported(
    payload: bytes = SIP, src: str = CALLER, dst: str = PSAP, port_type: int = 3, name: bytes = b"sip"
) -> bytes:
    def tag(kind: int, value: bytes) -> bytes:
        return struct.pack(">HH", kind, len(value)) + value

    addresses = [ipaddress.ip_address(address) for address in (src, dst)]
    first = 20 if addresses[0].version == 4 else 22
    numbers = ((24, port_type), (25, 5062), (26, 5061), (30, 1))
    return b"".join(
        [
            tag(12, name + bytes(-len(name) % 4)),
            *(tag(first + place, address.packed) for place, address in enumerate(addresses)),
            *(tag(kind, struct.pack(">I", value)) for kind, value in numbers),
            tag(0, b""),
            payload,
        ]
    )


@pytest.mark.parametrize(("src", "dst"), [(CALLER, PSAP), (CALLER6, PSAP6)])
@pytest.mark.parametrize(("port_type", "transport"), [(2, "TCP"), (3, "UDP")])
def test_a_message_has_the_addresses_that_it_had(src: str, dst: str, port_type: int, transport: Transport) -> None:
    frame = record(exported(src=src, dst=dst, port_type=port_type), link_type=EXPORTED_PDU)
    assert FrameDecoder().decode(frame) == Packet(src, 5062, dst, 5061, SIP, transport, frame_number=1)


def test_what_is_neither_sip_nor_rtp_is_no_signalling() -> None:
    packet = read_exported_pdu(exported(name=b"diameter"))
    assert packet is not None
    assert packet.transport == "other"


def test_cut_tags_are_told_as_unreadable() -> None:
    for size in range(len(exported(b""))):
        decoded = FrameDecoder().decode(record(exported(b"")[:size], link_type=EXPORTED_PDU))
        assert isinstance(decoded, Undecoded), size
        assert (decoded.kind, decoded.reason) == ("malformed", "the exported PDU is damaged, or tells no addresses")


def test_a_message_that_a_snapshot_length_cut_is_told_with_what_there_is_of_it() -> None:
    whole = exported()
    cut = msgspec.structs.replace(record(whole[:-4], link_type=EXPORTED_PDU), original_length=len(whole))
    decoded = FrameDecoder().decode(cut)
    assert isinstance(decoded, Undecoded)
    assert (decoded.kind, decoded.datagram.payload) == ("truncated", SIP[:-4])


@given(st.binary(max_size=80), st.integers(0, 120))
def test_any_bytes_give_a_packet_or_none(noise: bytes, at: int) -> None:
    whole = exported()
    packet = read_exported_pdu(whole[:at] + noise + whole[at + len(noise) :])
    assert packet is None or packet.transport in ("TCP", "UDP", "other")
