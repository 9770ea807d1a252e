"""Session descriptions: RFC 8866."""

from hypothesis import given
from hypothesis import strategies as st

from firewall.sip.sdp import parse_sdp
from tests.messages import SDP


def test_media_sections_are_read_with_the_address_that_holds() -> None:
    session = parse_sdp(
        (SDP + "m=text 0 RTP/AVP 98\r\nc=IN IP4 198.51.100.9/127\r\na=rtpmap:98 t140/1000\r\n").encode()
    )
    audio, text = session.media
    assert (audio.media, audio.port, audio.proto, audio.formats, audio.address) == (
        "audio", 49170, "RTP/AVP", ("0", "101"), "192.0.2.10",
    )  # fmt: skip
    assert audio.attributes == ("rtpmap:0 PCMU/8000",)
    assert (text.port, text.address) == (0, "198.51.100.9")


def test_a_port_that_is_none_rejects_the_stream() -> None:
    (media,) = parse_sdp(b"m=audio x RTP/AVP 0\n").media
    assert (media.port, media.address) == (0, None)


@given(st.binary(max_size=300))
def test_any_bytes_are_read(body: bytes) -> None:
    parse_sdp(body)
