"""Offers and answers in the messages of a call (RFC 6337 §2); what a call opens by them is in test_media.py."""

from hypothesis import given
from hypothesis import strategies as st

from firewall.engine.negotiation import Negotiation, Party, description_of
from firewall.sip.message import parse_message
from tests.media import ANSWER, OFFER, answer, invite, sdp
from tests.messages import CARRIER, PSAP, request, response

HERE, THERE = Party("carrier", CARRIER[0]), Party("psap", PSAP[0])


def note(negotiation: Negotiation, raw: bytes) -> bool:
    message = parse_message(raw)
    by, to = (THERE, HERE) if raw.startswith(b"SIP/") else (HERE, THERE)
    return negotiation.note(message, by, to, message.dialog_id)


def test_a_retransmission_changes_nothing() -> None:
    negotiation, first = Negotiation(), invite()
    assert [note(negotiation, raw) for raw in (first, first, answer(first), answer(first))] == [
        True,
        False,
        True,
        False,
    ]


def test_the_answer_of_a_183_said_again_in_the_200_only_ends_the_offer() -> None:
    negotiation, first = Negotiation(), invite()
    note(negotiation, first)
    note(negotiation, answer(first, status=183))
    (session,) = negotiation.sessions.values()
    assert note(negotiation, answer(first))
    assert list(negotiation.sessions.values()) == [session]
    assert [offer.is_final for offer in negotiation.offers.values()] == [True]


def test_an_answer_said_again_does_not_undo_an_update() -> None:
    """RFC 6337 §3.1.1: the 200 may carry the SDP of the 183 although an UPDATE came between them."""
    negotiation, first = Negotiation(), invite()
    note(negotiation, first)
    note(negotiation, answer(first, status=183))
    update = request("UPDATE", to_tag="psap", cseq=2, headers=("Content-Type: application/sdp",), body=OFFER)
    note(negotiation, update)
    moved = sdp(PSAP[0], "audio 41000 RTP/AVP 0")
    note(negotiation, answer(update, moved))
    note(negotiation, answer(first, ANSWER))
    (session,) = negotiation.sessions.values()
    assert session.answer.media[0].port == 41000


def test_a_refused_offer_is_forgotten_and_the_session_stays() -> None:
    negotiation, first = Negotiation(), invite()
    note(negotiation, first)
    note(negotiation, answer(first))
    again = invite(sdp(CARRIER[0], "audio 5 RTP/AVP 0"), to_tag="psap", cseq=2)
    note(negotiation, again)
    assert note(negotiation, response(again, 488))
    (session,) = negotiation.sessions.values()
    assert session.offer.description.media[0].port == 49170


def test_what_a_provisional_response_agreed_on_is_taken_back_when_the_re_invite_is_refused() -> None:
    """RFC 3261 §14.1: after a final refusal the session is as if no re-INVITE had been sent."""
    negotiation, first = Negotiation(), invite()
    note(negotiation, first)
    note(negotiation, answer(first))
    (agreed,) = negotiation.sessions.values()
    for cseq, moved in ((2, 41000), (3, 42000)):
        again = invite(sdp(CARRIER[0], "audio 5 RTP/AVP 0"), to_tag="psap", cseq=cseq)
        note(negotiation, again)
        for port in (moved, moved + 2):  # a later provisional response says something else
            note(negotiation, answer(again, sdp(PSAP[0], f"audio {port} RTP/AVP 0"), 183))
        (session,) = negotiation.sessions.values()
        assert session.answer.media[0].port == moved + 2
        assert note(negotiation, response(again, 488))
        assert list(negotiation.sessions.values()) == [agreed]


def test_a_refusal_that_comes_after_the_2xx_takes_nothing_back() -> None:
    negotiation, first = Negotiation(), invite()
    again = invite(sdp(CARRIER[0], "audio 5 RTP/AVP 0"), to_tag="psap", cseq=2)
    for raw in (first, answer(first), again, answer(again)):
        note(negotiation, raw)
    renewed = dict(negotiation.sessions)
    assert not note(negotiation, response(again, 488))
    assert negotiation.sessions == renewed


def test_an_offer_in_a_provisional_response_is_taken_back_when_the_re_invite_is_refused() -> None:
    negotiation, first, again = Negotiation(), invite(), invite("", to_tag="psap", cseq=2)
    for raw in (first, answer(first), again):
        note(negotiation, raw)
    agreed = dict(negotiation.sessions)
    note(negotiation, answer(again, sdp(PSAP[0], "audio 41000 RTP/AVP 0"), 183, headers=("RSeq: 1",)))
    prack = request("PRACK", to_tag="psap", cseq=3, headers=("Content-Type: application/sdp",), body=OFFER)
    assert note(negotiation, prack)
    assert negotiation.sessions != agreed
    assert note(negotiation, response(again, 488))
    assert negotiation.sessions == agreed


def test_an_unreliable_provisional_response_to_an_invite_without_an_offer_makes_none() -> None:
    """RFC 3261 §13.2.1: the first offer in a response must be in a reliable one."""
    negotiation, first = Negotiation(), invite("")
    assert not note(negotiation, first)
    assert not note(negotiation, answer(first, status=183))
    assert note(negotiation, answer(first, status=183, headers=("RSeq: 1",)))


def test_a_body_that_no_content_type_names_is_a_description_where_it_begins_like_one() -> None:
    description = description_of(parse_message(request(body=OFFER)))
    assert description is not None
    assert description.media[0].port == 49170
    assert description_of(parse_message(request(body=f"\r\n{OFFER}"))) is None
    assert description_of(parse_message(request(body=OFFER, headers=("Content-Type: text/plain",)))) is None


def test_sessions_and_offers_are_bounded() -> None:
    negotiation = Negotiation()
    for n in range(200):
        first = invite(cseq=n)
        note(negotiation, first)
        note(negotiation, answer(first, to_tag=f"fork-{n}"))
    assert len(negotiation.offers) <= 16
    assert len(negotiation.sessions) <= 16


@given(st.binary(max_size=200))
def test_any_body_gives_a_description_or_none(body: bytes) -> None:
    head = request().partition(b"Content-Length")[0]
    raw = head + b"Content-Type: application/sdp\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    description = description_of(parse_message(raw))
    assert description is None or all(0 <= medium.port <= 65535 for medium in description.media)
