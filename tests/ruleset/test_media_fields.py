"""Fields of media: there for what SDP negotiated, and for nothing else."""

import struct

import pytest

from firewall.net.datagram import Datagram
from firewall.ruleset.facts import Facts, MediaFacts
from firewall.ruleset.fields import FIELDS

ENDS = ("192.0.2.1", 4000, "198.51.100.1", 4002)
RTP = Datagram(*ENDS, struct.pack(">BBHII", 0x80, 0x80 | 101, 7, 160, 0xCAFE) + bytes(4))
# A sender report (RFC 3550 §6.4.1) with its 24 bytes after the SSRC, and a source description (§6.5).
RTCP = Datagram(
    *ENDS, struct.pack(">BBHI", 0x80, 200, 6, 0xCAFE) + bytes(20) + struct.pack(">BBHI", 0x81, 202, 1, 0xBEEF)
)
SHORT_RTP = Datagram(*ENDS, bytes([0x80] + [0] * 10))
NO_RTP = Datagram(*ENDS, bytes(40))


def read(name: str, datagram: Datagram, *, negotiated: bool = True) -> tuple[object, ...]:
    return FIELDS[name].read(Facts(datagram, media_negotiated=negotiated))


@pytest.mark.parametrize("datagram", [SHORT_RTP, NO_RTP])
def test_what_cannot_be_rtp_has_no_rtp_fields(datagram: Datagram) -> None:
    assert read("rtp", datagram) == ()
    assert read("rtp.ssrc", datagram) == ()


@pytest.mark.parametrize("name", ["rtp", "rtp.version"])
def test_rtp_that_nobody_negotiated_is_not_read(name: str) -> None:
    assert read(name, RTP) != ()
    assert read(name, RTP, negotiated=False) == ()


def test_the_header_of_rtp_is_read_field_by_field() -> None:
    names = ("rtp.version", "rtp.p_type", "rtp.marker", "rtp.seq", "rtp.timestamp", "rtp.ssrc")
    assert [read(name, RTP) for name in names] == [(2,), (101,), (1,), (7,), (160,), (0xCAFE,)]


def test_each_packet_of_a_compound_has_its_values() -> None:
    assert read("rtcp", RTCP) != ()
    assert read("rtcp.pt", RTCP) == (200, 202)
    assert read("rtcp.senderssrc", RTCP) == (0xCAFE,)  # tshark: a description (202) has no sender
    assert read("rtp", RTCP) == ()
    assert read("rtcp", RTP) == ()
    assert read("rtcp.pt", RTCP, negotiated=False) == ()


def test_what_was_negotiated_is_read_and_a_message_has_none_of_it() -> None:
    facts = Facts(RTP, media_negotiated=True, media=MediaFacts("text", "rtp", ("t140", "red"), "recvonly"))
    names = ("media.kind", "media.protocol", "media.codec", "media.direction", "media.negotiated")
    assert [FIELDS[name].read(facts) for name in names] == [
        ("text",), ("rtp",), ("t140", "red"), ("recvonly",), (True,),
    ]  # fmt: skip
    assert FIELDS["media.kind"].read(Facts(RTP)) == ()
