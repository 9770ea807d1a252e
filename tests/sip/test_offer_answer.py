"""Offer and answer: RFC 3264."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firewall.sip.offer_answer import negotiate
from firewall.sip.sdp import parse_sdp

OFFER = parse_sdp(
    b"c=IN IP4 192.0.2.10\nm=audio 4000 RTP/AVP 0 8 101\nm=video 4002 RTP/AVP 31\nm=text 4004 RTP/AVP 98\na=recvonly\n"
)


def test_media_are_paired_by_their_order_and_a_rejected_one_is_closed() -> None:
    answer = parse_sdp(
        b"c=IN IP4 198.51.100.10\nm=audio 5000 RTP/AVP 8\nm=video 0 RTP/AVP 31\nm=text 5004 RTP/AVP 98\na=sendonly\n"
    )
    audio, video, text = negotiate(OFFER, answer)
    assert (audio.is_accepted, audio.flows_to_offerer, audio.flows_to_answerer) == (True, True, True)
    assert (video.is_accepted, video.flows_to_offerer, video.flows_to_answerer) == (False, False, False)
    assert (text.flows_to_offerer, text.flows_to_answerer) == (True, False)


@pytest.mark.parametrize(
    ("offered", "answered", "to_offerer", "to_answerer"),
    [
        ("sendrecv", "sendrecv", True, True),
        ("sendonly", "recvonly", False, True),
        ("sendrecv", "recvonly", False, True),
        ("inactive", "inactive", False, False),
        ("sendonly", "sendonly", False, False),
    ],
)
def test_media_flow_where_one_side_sends_and_the_other_receives(
    offered: str, answered: str, to_offerer: bool, to_answerer: bool
) -> None:
    """RFC 3264 §6.1, and hold as in §8.4."""
    offer, answer = (
        parse_sdp(f"c=IN IP4 192.0.2.1\nm=audio 4000 RTP/AVP 0\na={direction}\n".encode())
        for direction in (offered, answered)
    )
    (medium,) = negotiate(offer, answer)
    assert (medium.flows_to_offerer, medium.flows_to_answerer) == (to_offerer, to_answerer)


def test_an_answer_with_too_few_media_accepts_none_of_the_rest() -> None:
    accepted = [medium.is_accepted for medium in negotiate(OFFER, parse_sdp(b"m=audio 5000 RTP/AVP 0\n"))]
    assert accepted == [True, False, False]


@pytest.mark.parametrize(
    ("answered", "ports"),
    [
        (["text 5004", "audio 5000", "video 5002"], [5000, 5002, 5004]),
        (["text 5004", "audio 5000"], [5000, None, 5004]),
        (["audio 5000", "text 5004"], [5000, None, 5004]),
        (["audio 0", "text 5004", "audio 5000"], [None, None, 5004]),
        (["video 5002", "video 5006", "audio 5000"], [5000, 5006, None]),
    ],
)
def test_an_answer_in_another_order_or_without_what_it_rejects_is_meant_for_what_has_its_kind(
    answered: list[str], ports: list[int | None]
) -> None:
    media = negotiate(OFFER, parse_sdp("".join(f"m={each} RTP/AVP 0\n" for each in answered).encode()))
    assert [each.answer.port if each.answer is not None and each.is_accepted else None for each in media] == ports


def test_what_was_not_offered_or_is_another_medium_is_not_agreed() -> None:
    answer = parse_sdp(b"m=video 5000 RTP/AVP 31\n" * 5)
    media = negotiate(OFFER, answer)
    assert [medium.is_accepted for medium in media] == [False, True, False]


def test_what_an_answer_bundles_is_one_transport_and_what_it_rejects_is_not() -> None:
    """RFC 9143 §7.3: a rejected medium leaves the group."""
    media = "m=audio {} RTP/AVP 0\na=mid:a\nm=video 0 RTP/AVP 96\na=bundle-only\na=mid:b\n"
    offer = parse_sdp(f"c=IN IP4 192.0.2.10\na=group:BUNDLE a b\n{media.format(4000)}".encode())
    alone = parse_sdp(f"c=IN IP4 192.0.2.10\n{media.format(4000)}".encode())
    assert not negotiate(alone, offer)[1].is_accepted, "nobody offered it"
    for group, is_accepted in (("BUNDLE a b", True), ("BUNDLE a", False), ("LS a b", False), ("", False)):
        answer = parse_sdp(f"c=IN IP4 198.51.100.10\na=group:{group}\n{media.format(5000)}".encode())
        audio, video = negotiate(offer, answer)
        assert (audio.is_accepted, video.is_accepted) == (True, is_accepted)
        assert (video.offer.port, video.answer and video.answer.port) == ((4000, 5000) if is_accepted else (0, 0))


@given(st.binary(max_size=120), st.binary(max_size=120))
def test_any_two_descriptions_can_be_compared(offer: bytes, answer: bytes) -> None:
    for medium in negotiate(parse_sdp(b"m=audio 1 RTP/AVP 0\n" + offer), parse_sdp(answer)):
        assert not (medium.flows_to_offerer and not medium.is_accepted)
