"""Offers and answers in the messages of a call (RFC 6337 §2); what a call opens by them is in test_media.py."""

from hypothesis import given
from hypothesis import strategies as st

from firewall.engine.negotiation import Negotiation, Party, descriptions_of
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


def test_a_provisional_answer_that_comes_behind_the_final_one_undoes_nothing() -> None:
    """A queue's announcement comes from elsewhere than the call taker's voice, and UDP may bring the 183 last."""
    negotiation, first = Negotiation(), invite()
    early = answer(first, sdp(PSAP[0], "audio 30000 RTP/AVP 0"), 183)
    assert [note(negotiation, raw) for raw in (first, early, answer(first), early)] == [True, True, True, False]
    (session,) = negotiation.sessions.values()
    assert session.answer.media[0].port == 40000


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
    description, _ = descriptions_of(parse_message(request(body=OFFER)))
    assert description is not None
    assert description.media[0].port == 49170
    for other in (request(body=f"\r\n{OFFER}"), request(body=OFFER, headers=("Content-Type: text/plain",))):
        assert descriptions_of(parse_message(other)) == (None, None)


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
    description, _ = descriptions_of(parse_message(raw))
    assert description is None or all(0 <= medium.port <= 65535 for medium in description.media)


def fork(branch: str, body: str = OFFER) -> bytes:
    """The INVITE of a call as a proxy sends it to one of those that it asks (RFC 3261 §16.7)."""
    return invite(body, branch=f"z9hG4bK-{branch}")


def test_one_fork_that_refuses_takes_nothing_from_the_one_that_answers() -> None:
    negotiation = Negotiation()
    note(negotiation, fork("busy"))
    assert not note(negotiation, fork("free"))
    assert not note(negotiation, response(fork("busy"), 486, to_tag="busy"))
    assert note(negotiation, answer(fork("free")))
    (session,) = negotiation.sessions.values()
    assert (session.offer.by, session.answerer) == (HERE, THERE)


def test_the_refusal_of_the_last_fork_ends_the_offer() -> None:
    negotiation = Negotiation()
    note(negotiation, fork("busy"))
    note(negotiation, fork("free"))
    note(negotiation, response(fork("busy"), 486, to_tag="busy"))
    assert not note(negotiation, response(fork("busy"), 486, to_tag="busy"))
    assert note(negotiation, response(fork("free"), 603, to_tag="free"))
    assert not negotiation.offers


def test_forks_to_each_of_which_a_relay_offers_a_port_of_its_own_have_offers_of_their_own() -> None:
    negotiation = Negotiation()
    other = sdp(CARRIER[0], "audio 49180 RTP/AVP 0")
    assert note(negotiation, fork("one"))
    assert note(negotiation, fork("two", other))
    assert not note(negotiation, fork("two", other))
    note(negotiation, answer(fork("two", other), to_tag="two"))
    note(negotiation, answer(fork("one"), to_tag="one"))
    ports = {session.answerer: session.offer.description.media[0].port for session in negotiation.sessions.values()}
    agreed = [session.offer.description.media[0].port for session in negotiation.sessions.values()]
    assert (len(ports), agreed) == (1, [49180, 49170])
    assert all(offer.is_final for offer in negotiation.offers.values())


CORE = Party("core", "203.0.113.9")


def through_a_relay(negotiation: Negotiation, cseq: int, callee_port: int, *, by_callee: bool = False) -> list[int]:
    """An offer that passes the firewall, a proxy with a media relay, and the firewall again; the ports agreed on."""
    near, far = sdp(CARRIER[0], f"audio {49170 + cseq} RTP/AVP 0"), sdp(CORE.ip, f"audio {30000 + cseq} RTP/AVP 0")
    tags = {"to_tag": "psap"} if cseq > 1 else {}
    if by_callee:
        tags = {"from_tag": "psap", "to_tag": "caller"}
    first = invite(near, cseq=cseq, branch="z9hG4bK-near", **tags)
    second = invite(far, cseq=cseq, branch="z9hG4bK-far", **tags)
    start, end = (THERE, HERE) if by_callee else (HERE, THERE)
    final = answer(second, sdp(end.ip, f"audio {callee_port} RTP/AVP 0"))
    relayed = answer(first, sdp(CORE.ip, f"audio {31000 + cseq} RTP/AVP 0"))
    for raw, by, to in ((first, start, CORE), (second, CORE, end), (final, end, CORE), (relayed, CORE, start)):
        message = parse_message(raw)
        assert negotiation.note(message, by, to, message.dialog_id)
    return sorted(
        medium.port
        for session in negotiation.sessions.values()
        for medium in (*session.offer.description.media, *session.answer.media)
    )


def test_a_call_that_passes_twice_by_way_of_a_media_relay_agrees_on_each_of_its_two_parts() -> None:
    negotiation = Negotiation()
    assert through_a_relay(negotiation, 1, 40000) == [30001, 31001, 40000, 49171]
    assert through_a_relay(negotiation, 2, 41000) == [30002, 31002, 41000, 49172]
    assert through_a_relay(negotiation, 7, 42000, by_callee=True) == [30007, 31007, 42000, 49177]
    negotiation.forget(("caller", "psap"))
    assert not negotiation.sessions


def test_a_late_offer_that_passes_twice_by_way_of_a_media_relay_is_answered_on_each_part() -> None:
    negotiation = Negotiation()
    near, far = invite("", branch="z9hG4bK-near"), invite("", branch="z9hG4bK-far")
    offer, relayed = sdp(PSAP[0], "audio 40000 RTP/AVP 0"), sdp(CORE.ip, "audio 31000 RTP/AVP 0")
    ack = request("ACK", to_tag="psap", headers=("Content-Type: application/sdp",), body=OFFER)
    far_ack = request(
        "ACK", to_tag="psap", headers=("Content-Type: application/sdp",), body=sdp(CORE.ip, "audio 30000 RTP/AVP 0")
    )
    for raw, by, to in (
        (near, HERE, CORE),
        (far, CORE, THERE),
        (answer(far, offer), THERE, CORE),
        (answer(near, relayed), CORE, HERE),
        (ack, HERE, CORE),
        (far_ack, CORE, THERE),
    ):
        message = parse_message(raw)
        negotiation.note(message, by, to, message.dialog_id)
    assert sorted(
        (session.offer.description.media[0].port, session.answer.media[0].port)
        for session in negotiation.sessions.values()
    ) == [(31000, 49170), (40000, 30000)]


def test_a_call_that_passes_twice_unchanged_agrees_end_to_end() -> None:
    """A proxy without a relay leaves descriptions as they are: each part only says again what the other said."""
    negotiation = Negotiation()
    near, far = fork("near"), fork("far")
    for raw, by, to, news in (
        (near, HERE, CORE, True),
        (far, CORE, THERE, False),
        (answer(far), THERE, CORE, True),
        (answer(near), CORE, HERE, False),
    ):
        message = parse_message(raw)
        assert negotiation.note(message, by, to, message.dialog_id) is news
    (session,) = negotiation.sessions.values()
    assert (session.offer.by, session.answerer) == (HERE, THERE)


def test_a_new_offer_by_another_way_than_the_last_one_replaces_what_was_agreed() -> None:
    """Where no proxy put itself into the route, what comes after the first answer goes straight to the other side."""
    negotiation = Negotiation()
    first, again = fork("first"), invite(sdp(CARRIER[0], "audio 5000 RTP/AVP 0"), to_tag="psap", cseq=2)
    for raw, by, to in ((first, HERE, CORE), (answer(first), CORE, HERE), (again, HERE, THERE)):
        message = parse_message(raw)
        negotiation.note(message, by, to, message.dialog_id)
    assert note(negotiation, answer(again))
    (session,) = negotiation.sessions.values()
    assert (session.offer.description.media[0].port, session.is_renewed) == (5000, True)


def test_candidates_that_come_later_are_of_who_named_them_until_the_dialog_ends() -> None:
    """RFC 8840: both sides may name them by INFO, as soon as it rings; an answer that comes again takes none back."""
    negotiation, first = Negotiation(), invite(_TRICKLED.format(CARRIER[0]))
    note(negotiation, first)
    fragment = "m=audio 9 RTP/AVP 0\r\na=mid:a\r\na=candidate:{} 1 UDP 1 192.0.2.7 {} typ host\r\n"
    for index, at in enumerate((5000, 5002)):
        info = _info(fragment.format(index, at), cseq=2 + index)
        assert (note(negotiation, info), note(negotiation, info)) == (True, False)
    note(negotiation, answer(first, _TRICKLED.format(PSAP[0])))
    (key,) = negotiation.sessions
    assert not note(negotiation, answer(first, _TRICKLED.format(PSAP[0])))
    session = negotiation.with_candidates(key)
    assert session.offer.description.media[0].attribute_values("candidate") == ("1 1 UDP 1 192.0.2.7 5002 typ host",)
    assert session.answer == negotiation.sessions[key].answer
    assert not negotiation.note(parse_message(_info(fragment, cseq=9)), Party("carrier", "192.0.2.99"), THERE, key[0])
    assert not negotiation.note(parse_message(_info(fragment, cseq=9)), HERE, THERE, key[0], is_strange=True)
    assert not note(negotiation, _info(fragment * 199, cseq=9))
    for number in range(99):
        negotiation.note(parse_message(_info(fragment, cseq=9)), HERE, THERE, ("caller", f"fork {number}"))
    assert len(negotiation.candidates) == 32
    note(negotiation, _info(fragment, cseq=10))
    negotiation.forget(key[0])
    assert key[0] not in {dialog for dialog, _ in negotiation.candidates}


_TRICKLED = "v=0\r\nc=IN IP4 {}\r\nm=audio 9 RTP/AVP 0\r\na=mid:a\r\n"


def _info(fragment: str, cseq: int) -> bytes:
    headers = ("Info-Package: trickle-ice", "Content-Type: application/trickle-ice-sdpfrag")
    return request("INFO", to_tag="psap", cseq=cseq, headers=headers, body=fragment)
