"""SDP fields of odd bodies; tests/ruleset/test_sip_fields.py compares the usual ones with Wireshark."""

import pytest

from firewall.net.datagram import Datagram
from firewall.ruleset.facts import Facts
from firewall.ruleset.fields import FIELDS
from firewall.sip.message import parse_message
from firewall.sip.sdp import parse_sdp
from tests.ruleset.captured import sip

HEAD = "v=0\no=- 1 1 IN IP4 192.0.2.1\ns=-\nt=0 0\n"


def values(name: str, body: str, content_type: str = "application/sdp") -> tuple[object, ...]:
    payload = sip(more=f"Content-Type: {content_type}\n", body=body)
    return FIELDS[name].read(Facts(Datagram("192.0.2.1", 1, "192.0.2.2", 2, payload), parse_message(payload)))


@pytest.mark.parametrize(
    ("name", "body", "expected"),
    [
        ("sdp.media.format", HEAD + "m=audio 9 RTP/AVP 0 35 96 x\n",
         ("ITU-T G.711 PCMU", "Unassigned", "DynamicRTP-Type-96", "x")),
        ("sdp.media.format", HEAD + "m=audio 9 RTP/AVP 127 128 999\n", ("DynamicRTP-Type-127", "128", "999")),
        ("sdp.media.format", HEAD + "m=audio 9 UDP/TLS/RTP/SAVPF 0 111\n", ("ITU-T G.711 PCMU", "DynamicRTP-Type-111")),
        ("sdp.media.format", HEAD + "m=audio 9 RTP/XYZ 0\nm=audio 9 TCP/RTP/AVP 3\n", ("0", "3")),
        ("sdp.session_name", HEAD.replace("s=-", "s= "), (" ",)),
        ("sdp.session_name", HEAD.replace("s=-", "s="), ("",)),
        ("sdp.session_attr", HEAD + "a= tool: x \n", (" tool: x ",)),
        ("sdp.session_info", HEAD + "i=of the session\nm=audio 9 RTP/AVP 0\ni=of the medium\n", ("of the session",)),
        ("sdp.media.format", HEAD + "m=message 9 TCP/MSRP *\n", ("*",)),
        ("sdp.media.format", HEAD + "m=audio 9 RTP/AVP 96\na=rtpmap:96 opus/48000\na=fmtp:96 x=1\n",
         ("DynamicRTP-Type-96", "96", "96")),
        ("sdp.media.media", HEAD + "m=\nm=audio\n", ("audio",)),
        ("sdp.media.proto", HEAD + "m=audio 9\n", ()),
        ("sdp.connection_info.address", HEAD + "c=IN IP4\nc=IN IP4 192.0.2.7/127\n", ("192.0.2.7",)),
        ("sdp.session_attr", HEAD + "a=s\nm=audio 9 RTP/AVP 0\na=m\n", ("s",)),
        ("sdp.media_attr", HEAD + "a=s\nm=audio 9 RTP/AVP 0\na=m\n", ("m",)),
        ("sdp.media.port", HEAD + "m=audio 65535 RTP/AVP 0\nm=video 65536 RTP/AVP 31\n", (65535, 65535)),
        ("sdp.media.port", HEAD + f"m=audio {'9' * 5000}/2 RTP/AVP 0\nm=video 0070000 RTP/AVP 31\n", (65535, 65535)),
        ("sdp.media.port", HEAD + f"m=audio 40000/2/3 RTP/AVP 0\nm=video {'0' * 30}7 RTP/AVP 31\n", (40000, 7)),
        ("sdp.media.port", HEAD + "m=audio 40000x RTP/AVP 0\nm=video 0x10/2 RTP/AVP 31\n", (0, 0)),
        ("sdp.media.port", HEAD + "m=audio -1 RTP/AVP 0\nm=video /3 RTP/AVP 31\nm=text ٣ RTP/AVP 98\nm=x\nm=\n", ()),
        ("sdp", "", ()),
    ],
)  # fmt: skip
def test_sdp_is_read_as_far_as_it_goes(name: str, body: str, expected: tuple[object, ...]) -> None:
    assert values(name, body) == expected


def test_a_port_that_a_field_shows_as_the_highest_is_none_that_media_can_have() -> None:
    body = HEAD + "m=audio 70000 RTP/AVP 0\nm=video 40000x RTP/AVP 31\n"
    assert values("sdp.media.port", body) == (65535, 0)
    assert [medium.port for medium in parse_sdp(body.encode()).media] == [0, 0]


def test_a_body_of_another_type_has_no_sdp() -> None:
    assert values("sdp", HEAD, "text/plain") == ()
    assert values("sdp.version", HEAD, "text/plain") == ()


def test_a_description_cannot_hide_by_having_no_content_type() -> None:
    assert values("sdp.media.media", HEAD + "m=audio 9 RTP/AVP 0\n", content_type="") == ("audio",)


def test_every_sdp_part_of_a_multipart_body_is_read() -> None:
    part = f"--b\nContent-Type: application/sdp\n\n{HEAD}m=audio 9 RTP/AVP 0\n"
    assert values(
        "sdp.media.media", part + part.replace("audio", "video") + "--b--\n", "multipart/mixed;boundary=b"
    ) == (
        "audio",
        "video",
    )
