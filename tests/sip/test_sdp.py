"""Session descriptions: RFC 8866."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firewall.sip import sdp
from firewall.sip.limits import MAX_MEDIA
from firewall.sip.media_endpoint import endpoints
from firewall.sip.sdp import Candidate, PayloadMap, candidates_of, parse_sdp, payload_maps
from tests.messages import SDP


def test_media_sections_are_read_with_the_address_that_holds() -> None:
    session = parse_sdp(
        (SDP + "m=text 0 RTP/AVP 98\r\nc=IN IP4 198.51.100.9/127\r\na=rtpmap:98 t140/1000\r\n").encode()
    )
    audio, text = session.media
    assert (audio.media, audio.port, audio.proto, audio.formats, audio.address) == (
        "audio", 49170, "RTP/AVP", ("0", "101"), "192.0.2.10",
    )  # fmt: skip
    assert audio.attribute("rtpmap") == "0 PCMU/8000"
    assert (text.port, text.address) == (0, "198.51.100.9")


def test_a_port_that_is_none_rejects_the_stream() -> None:
    (media,) = parse_sdp(b"m=audio x RTP/AVP 0\n").media
    assert (media.port, media.address) == (0, None)


def test_a_line_that_says_nothing_begins_no_section() -> None:
    session = parse_sdp(b"m=\na=x\nm=audio 4000 RTP/AVP 0\nm=\na=sendonly\na=\nc=\nm=")
    (media,) = session.media
    assert (dict(media.own.by_name), media.direction, media.address) == ({"sendonly": ("",)}, "sendonly", None)


def test_of_thousands_of_media_the_first_are_read() -> None:
    body = b"v=0\n" + b"".join(b"m=audio %d RTP/AVP 0\n" % port for port in range(4000, 6000))
    assert [medium.port for medium in parse_sdp(body).media] == list(range(4000, 4000 + MAX_MEDIA))


def test_descriptions_that_say_the_same_are_equal_whatever_ends_their_lines() -> None:
    one, other = parse_sdp(OFFER), parse_sdp(OFFER.replace(b"\n", b" \r\n"))
    assert (one == other, hash(one) == hash(other)) == (True, True)
    assert one != parse_sdp(OFFER + b"a=x\n")


@given(st.binary(max_size=300))
def test_any_bytes_are_read(body: bytes) -> None:
    parse_sdp(body)


OFFER = b"""v=0
o=- 1 1 IN IP4 192.0.2.10
s=-
c=IN IP4 192.0.2.10
t=0 0
a=sendonly
m=audio 49170/2 RTP/SAVPF 0 101
a=rtpmap:0 PCMU/8000
a=rtpmap:101 telephone-event/8000
a=rtpmap:111 opus/48000/2
a=rtcp:53020 IN IP4 192.0.2.11
a=candidate:1 1 UDP 2130706431 192.0.2.10 49170 typ host
a=candidate:2 1 UDP 1694498815 203.0.113.4 45664 typ srflx raddr 10.0.0.1 rport 8998
a=candidate:broken
m=text 49180 RTP/AVP 98 99
a=rtpmap:98 red/1000
a=rtpmap:99 T140/1000
a=rtcp-mux
a=recvonly
m=message 2855 TCP/MSRP *
a=path:msrp://192.0.2.10:2855/iau39;tcp
m=video 0 RTP/AVP 31
"""


def test_the_direction_of_the_session_holds_where_a_medium_has_none() -> None:
    audio, text, message, video = parse_sdp(OFFER).media
    assert [medium.direction for medium in (audio, text, message, video)] == [
        "sendonly", "recvonly", "sendonly", "sendonly",
    ]  # fmt: skip


def test_payload_types_have_names_and_clock_rates() -> None:
    audio = parse_sdp(OFFER).media[0]
    assert payload_maps(audio.attribute_values("rtpmap")) == {
        "0": PayloadMap("pcmu", 8000),
        "101": PayloadMap("telephone-event", 8000),
        "111": PayloadMap("opus", 48000),
    }
    assert payload_maps(("0 PCMU", "8 /8000", "9")) == {"0": PayloadMap("pcmu", None)}


def test_rtcp_is_where_it_is_said_to_be() -> None:
    """RFC 3605, RFC 5761."""
    audio, text, _, video = parse_sdp(OFFER).media
    assert (audio.number_of_ports, audio.said_rtcp) == (2, (53020, "192.0.2.11"))
    assert (text.said_rtcp, text.attribute("rtcp-mux"), video.port) == (None, "", 0)
    (plain,) = parse_sdp(b"c=IN IP4 192.0.2.1\nm=audio 4000 RTP/AVP 0\na=rtcp:none\n").media
    assert plain.said_rtcp is None


def test_candidates_that_can_be_read_are_read() -> None:
    assert candidates_of(parse_sdp(OFFER).media[0].attribute_values("candidate")) == (
        Candidate(1, "udp", "192.0.2.10", 49170),
        Candidate(1, "udp", "203.0.113.4", 45664),
    )


def test_real_time_text_and_session_messages_are_known() -> None:
    """RFC 4103, RFC 4975."""
    audio, text, message, _ = parse_sdp(OFFER).media
    assert [medium.own.is_text for medium in (audio, text, message)] == [False, True, False]
    assert (message.is_msrp, message.msrp_path) == (True, ("msrp://192.0.2.10:2855/iau39;tcp",))


@given(
    st.lists(st.sampled_from([*OFFER.split(b"\n"), b"a=rtcp:", b"a=rtpmap:", b"a=candidate:", b"m="]), max_size=30),
    st.binary(max_size=9),
)
def test_any_lines_in_any_order_are_read(lines: list[bytes], junk: bytes) -> None:
    for medium in parse_sdp(b"\r\n".join([*lines, junk])).media:
        repr([getattr(medium, name) for name in dir(medium) if not name.startswith("_")])


def test_a_long_description_is_kept_by_its_bytes() -> None:
    """What is read of thousands of short lines takes twenty times their room, and a call keeps its descriptions."""
    long = SDP.encode() + b"".join(b"a=%x\n" % number for number in range(9_000))
    parse_sdp(long + b"a=warm\n")
    tracemalloc.start()
    try:
        kept = [parse_sdp(long + b"a=%d\n" % number) for number in range(3)]
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken < 2 * len(kept) * len(long)
    assert [len(each.media[0].own.by_name) for each in kept] == [9_001] * 3
    assert kept[0] != kept[1]


def test_later_candidates_are_of_the_medium_with_their_mid_and_of_none_beside() -> None:
    """RFC 5888 §4: no two have the same. Where thousands had, each byte of a fragment would become hundreds."""
    media = parse_sdp("".join(f"m=audio 9 RTP/AVP 0\r\na=mid:{mid}\r\n" for mid in "abab").encode())
    fragment = b"m=audio 9 RTP/AVP 0\r\na=mid:b\r\na=candidate:1 1 UDP 1 192.0.2.7 5000 typ host\r\n"
    named = media.with_candidates(fragment)
    assert [len(medium.attribute_values("candidate")) for medium in named.media] == [0, 1, 0, 0]
    assert named.with_candidates(fragment) == named


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_any_later_candidates_are_taken(body: bytes, fragment: bytes) -> None:
    described = parse_sdp(b"m=audio 9 RTP/AVP 0\r\n" + body)
    assert len(described.with_candidates(fragment).media) == len(described.media)


def test_candidates_are_read_once_for_all_plans(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each message of a call that has many forks plans all of them anew."""
    read: list[str] = []
    one = sdp._candidate

    def noted(value: str) -> Candidate | None:
        read.append(value)
        return one(value)

    monkeypatch.setattr(sdp, "_candidate", noted)
    lines = "".join(f"a=candidate:once{number} 1 UDP 1 192.0.2.7 {5000 + number} typ host\r\n" for number in range(100))
    (medium,) = parse_sdp((SDP + lines).encode()).media
    for _ in range(10):
        endpoints(medium, "rtp")
        endpoints(medium, "rtcp")
    assert len(read) <= 200
