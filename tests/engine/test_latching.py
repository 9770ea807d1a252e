"""Media from behind a NAT: the way back is latched to where packets come from."""

from ipaddress import ip_address

import pytest

from firewall.engine.events import (
    DeadlineReached,
)
from firewall.engine.latching import MAX_LATCHED
from tests.media import (
    ANSWER,
    CALLED,
    CALLER,
    FROM_CALLED,
    FROM_CALLER,
    HEADERS,
    OFFER,
    ORDINARY,
    MediaScene,
    answer,
    flows,
    invite,
    reasons,
    sdp,
)
from tests.messages import request
from tests.scene import ALL, policy


def test_media_behind_nat_is_latched_to_where_it_comes_from() -> None:
    """RFC 3264 §5.1 does not hold behind NAT: the address in the description is not the one that packets have."""
    scene = MediaScene(policy(ALL, more="media: {nat: latch}"))
    scene.call(offer=sdp("10.0.0.5", "audio 49170 RTP/AVP 0"), uri=ORDINARY)
    assert scene.to(CALLED) == FROM_CALLER
    mapped = (CALLER[0], 61234)
    assert scene.to(mapped) == []
    scene.packet(mapped, CALLED, at_s=2)
    assert scene.to(mapped) == FROM_CALLED
    again = invite(sdp("10.0.0.5", "audio 49170 RTP/AVP 0, a=sendonly"), to_tag="psap", cseq=2, uri=ORDINARY)
    scene.carrier(again, at_s=3)
    scene.psap(answer(again), at_s=3.1)
    scene.tell(DeadlineReached(), at_s=5)
    assert scene.to(mapped) == FROM_CALLED, "a hold does not forget where the caller is"
    scene.carrier(request("BYE", ORDINARY, to_tag="psap", cseq=2), at_s=10)
    scene.tell(DeadlineReached(), at_s=11)
    assert scene.open == {}


@pytest.mark.parametrize("media_ip", [CALLER[0], "203.0.113.9"])
@pytest.mark.parametrize("source", ["address", "port", "zone"])
@pytest.mark.parametrize("rules", [{"guard": "enforce"}, {"more": ", nat: latch"}])
def test_whose_nat_gives_it_a_port_that_it_did_not_name_hears_what_is_sent_there(
    rules: dict[str, str], source: str, media_ip: str
) -> None:
    """As by STUN, a proxy or a gateway at the NAT that writes the public address, but not the port, into its offer."""
    more = f"media: {{source: {source}{rules.get('more', '')}}}"
    scene = MediaScene(policy(ALL, guard=rules.get("guard", "off"), more=more))
    scene.call(offer=sdp(media_ip, "audio 49170 RTP/AVP 0"))
    usual, mapped = (media_ip, 49170), (media_ip, 61000)
    before = len(scene.open)
    scene.packet(usual, CALLED, at_s=1.2)
    assert len(scene.open) == before
    scene.packet(mapped, CALLED, at_s=1.3)
    is_known = source != "zone" or media_ip == CALLER[0] or "more" in rules
    assert scene.to(mapped) == (FROM_CALLED if is_known else [])
    if is_known:
        scene.talk(1.4, 1.6, CALLED, mapped)
        assert scene.tell(DeadlineReached(), at_s=5).alarms == []
    scene.carrier(request("BYE", to_tag="psap", cseq=2), at_s=10)
    scene.tell(DeadlineReached(), at_s=11)
    assert scene.open == {}


def test_what_comes_late_from_a_port_that_was_left_opens_no_way_back_to_it() -> None:
    scene = MediaScene(policy(ALL, guard="enforce"))
    scene.call()
    again = invite(sdp(CALLER[0], "audio 49180 RTP/AVP 0"), to_tag="psap", cseq=2)
    scene.carrier(again, at_s=2)
    scene.psap(answer(again), at_s=2.1)
    for at_s in (2.2, 2.7):  # in the grace time, and after it
        scene.tell(DeadlineReached(), at_s=at_s)
        scene.packet(CALLER, CALLED, at_s=at_s)
    scene.tell(DeadlineReached(), at_s=3.3)
    assert (scene.to(CALLER), scene.to((CALLER[0], 49180))) == ([], FROM_CALLED)


def test_a_port_that_another_call_had_just_now_is_a_way_back_like_any_other() -> None:
    """The NAT of a gateway gives a port to one call after the other."""
    scene = MediaScene(policy(ALL, guard="enforce", more="media: {grace: 30s}"))
    scene.call()
    scene.carrier(request("BYE", to_tag="psap", cseq=2), at_s=2)
    first = invite(sdp(CALLER[0], "audio 49180 RTP/AVP 0"), call_id="next")
    scene.carrier(first, at_s=3)
    scene.psap(answer(first), at_s=4)
    scene.packet(CALLER, CALLED, at_s=5)
    scene.tell(DeadlineReached(), at_s=33)
    assert scene.to(CALLER) == FROM_CALLED


@pytest.mark.parametrize("named", [CALLER[0], "10.0.0.5"])
def test_no_way_back_leads_to_a_signalling_port_lest_signalling_goes_past_the_firewall(named: str) -> None:
    scene = MediaScene(policy(ALL, guard="enforce", more="media: {nat: latch}"))
    scene.call(offer=sdp(named, "audio 49170 RTP/AVP 0"))
    scene.packet((CALLER[0], 5060), CALLED, at_s=2)
    assert scene.to((CALLER[0], 5060)) == []


def test_where_the_policy_latches_nobody_an_ordinary_caller_hears_at_the_port_that_it_named() -> None:
    scene = MediaScene(policy(ALL, guard="enforce"))
    scene.call(uri=ORDINARY)
    scene.packet((CALLER[0], 61000), CALLED, at_s=2)
    assert scene.to((CALLER[0], 61000)) == []


@pytest.mark.parametrize("guard", ["off", "enforce"])
def test_an_emergency_caller_behind_nat_is_no_cause_for_alarm_where_the_policy_latches(guard: str) -> None:
    scene, mapped = MediaScene(policy(ALL, guard=guard, more="media: {nat: latch}")), (CALLER[0], 61000)
    first = invite(sdp("10.0.0.5", "audio 49170 RTP/AVP 0"))
    assert scene.carrier(first).alarms == []
    scene.psap(answer(first), at_s=1)
    scene.carrier(request("ACK", to_tag="psap"), at_s=1.1)
    scene.talk(1.2, 1.4, mapped)
    scene.talk(1.4, 1.6, CALLED, mapped)
    assert scene.tell(DeadlineReached(), at_s=5).alarms == []
    (call,) = scene.carrier(request("BYE", to_tag="psap", cseq=2), at_s=10).calls
    assert (call.outcome, call.hurt_by, call.guarded) == ("completed", None, False)


def test_where_both_sides_name_addresses_that_are_not_their_own_nothing_can_be_latched_and_that_is_told() -> None:
    scene, first = MediaScene(policy(ALL, more="media: {nat: latch}")), invite(sdp("10.0.0.5", "audio 49170 RTP/AVP 0"))
    scene.carrier(first)
    told = scene.psap(answer(first, sdp("10.9.9.9", "audio 40000 RTP/AVP 0")), at_s=1)
    assert {alarm.alarm.reason for alarm in told.alarms} == {"media_third_party"}


def test_a_caller_behind_nat_who_is_put_on_hold_by_the_address_is_no_cause_for_alarm() -> None:
    scene = MediaScene(policy(ALL, more="media: {nat: latch}"))
    offer, held = sdp("10.0.0.5", "audio 49170 RTP/AVP 0"), sdp("0.0.0.0", "audio 40000 RTP/AVP 0")  # noqa: S104
    scene.call(offer=offer)
    again = invite(offer, to_tag="psap", cseq=2)
    scene.carrier(again, at_s=3)
    assert scene.psap(answer(again, held), at_s=3.1).alarms == []


@pytest.mark.parametrize("rules", [{"guard": "enforce"}, {"more": "media: {nat: latch}"}])
def test_who_gets_another_port_of_its_nat_in_a_call_goes_on_hearing(rules: dict[str, str]) -> None:
    """As after each silence (on hold, on mute) in which the NAT forgot the last one, however many they are."""
    scene = MediaScene(policy(ALL, **rules))
    scene.call(offer=sdp("10.0.0.5", "audio 49170 RTP/AVP 0"))
    ports = [(CALLER[0], 61000 + number) for number in range(4 * MAX_LATCHED)]
    for number, port in enumerate(ports):
        scene.packet(ports[0], CALLED, at_s=2 + 60 * number)
        scene.packet(port, CALLED, at_s=3 + 60 * number)
        assert scene.to(port) == FROM_CALLED
    heard = [port for port in ports if scene.to(port)]
    assert heard == [ports[0], *ports[1 - MAX_LATCHED :]], "the longest left make room"
    scene.carrier(request("BYE", to_tag="psap", cseq=2), at_s=3900)
    scene.packet((CALLER[0], 60999), CALLED, at_s=3900.1)
    scene.tell(DeadlineReached(), at_s=3901)
    assert scene.open == {}, "what still comes after the BYE opens nothing"


def test_who_sends_from_ever_other_ports_fills_no_table_and_takes_the_way_of_nobody() -> None:
    scene = MediaScene(policy(ALL, more="media: {nat: latch}"))
    scene.call(offer=sdp("10.0.0.5", "audio 49170 RTP/AVP 0"))
    ports = [(CALLER[0], 61000 + number) for number in range(10 * MAX_LATCHED)]
    for number, port in enumerate(ports):
        scene.packet(port, CALLED, at_s=2 + number / 50)
    assert [port for port in ports if scene.to(port)] == ports[:MAX_LATCHED]


def test_who_sends_from_ever_other_ports_fills_no_log_where_the_table_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("firewall.engine.call_pinholes.MAX_PINHOLES", 4)
    scene = MediaScene(policy(ALL, more="media: {nat: latch}"))
    scene.call(offer=sdp("10.0.0.5", "audio 49170 RTP/AVP 0"), uri=ORDINARY)
    told = [scene.packet((CALLER[0], 61000 + number), CALLED, at_s=2 + number / 50) for number in range(160)]
    refused = [record for each in told for record in flows(each) if record.decision.reason == "media_table_full"]
    assert len(refused) == MAX_LATCHED


def test_two_callers_behind_one_nat_are_heard_and_hear_where_the_called_side_has_one_port() -> None:
    scene = MediaScene(policy(ALL, more="media: {nat: latch}"))
    for number in (1, 2):
        first = invite(sdp(f"10.0.0.{number}", "audio 49170 RTP/AVP 0"), call_id=f"c{number}", uri=ORDINARY)
        scene.carrier(first)
        scene.psap(answer(first), at_s=1)
    for number in (1, 2, 1, 2):
        scene.packet((CALLER[0], 61000 + number), CALLED, at_s=2 + number / 10)
    assert [scene.to((CALLER[0], 61000 + number)) for number in (1, 2)] == [FROM_CALLED] * 2


def test_the_guard_lets_an_emergency_caller_behind_nat_be_heard_and_hear_but_no_stranger_in() -> None:
    scene = MediaScene(policy(ALL, guard="enforce"))
    scene.call(offer=sdp("10.0.0.5", "audio 49170 RTP/AVP 0"))
    outside = (CALLER[0], 61000)
    assert scene.packet(CALLED, outside, at_s=2).outputs[0].record.decision.verdict == "drop"  # type: ignore[union-attr]
    scene.packet(outside, CALLED, at_s=2.1)
    assert (scene.to(CALLED), scene.to(outside)) == ([("10.0.0.5", "allow"), (CALLER[0], "allow")], FROM_CALLED)
    assert reasons(scene.packet(("192.0.2.66", 61000), CALLED, at_s=2.2)) == [("refused", "media_wrong_source")]
    scene.carrier(request("BYE", to_tag="psap", cseq=2), at_s=10)
    scene.tell(DeadlineReached(), at_s=11)
    assert scene.open == {}


@pytest.mark.parametrize("rules", [{"guard": "enforce"}, {"more": "media: {nat: latch}"}])
@pytest.mark.parametrize("named", ["c=IN IP4 media.example", "i=nothing"])
def test_who_names_a_host_or_no_address_at_all_hears_where_its_media_comes_from(
    rules: dict[str, str], named: str
) -> None:
    """RFC 8866 §5.7 allows a host's name and wants a c=; nobody knows beforehand whether that is where it signals."""
    scene, outside = MediaScene(policy(ALL, **rules)), (CALLER[0], 61000)
    scene.call(offer=OFFER.replace(f"c=IN IP4 {CALLER[0]}", named))
    scene.talk(1.2, 1.4, outside)
    assert all(ip_address(key.dst_ip) for key in scene.open), "the kernel knows no names"
    assert scene.to(outside) == FROM_CALLED
    scene.talk(1.4, 1.6, CALLED, outside)
    assert scene.tell(DeadlineReached(), at_s=5).alarms == []
    assert reasons(scene.packet(("198.51.100.66", 61000), CALLER, at_s=6)) == [("refused", "media_wrong_source")]
    call = scene.carrier(request("BYE", to_tag="psap", cseq=2), at_s=10).calls[-1]
    assert (call.outcome, call.hurt_by, call.guarded) == ("completed", None, "guard" in rules)


@pytest.mark.parametrize("rules", [{"guard": "enforce"}, {"more": "media: {nat: latch}"}])
@pytest.mark.parametrize("named", ["c=IN IP4 media.example", "i=nothing"])
def test_who_names_a_host_or_no_address_at_all_hears_from_the_first_packet_on_where_its_signalling_is(
    rules: dict[str, str], named: str
) -> None:
    """Both sides may do that: neither would bring the other's way with its packets."""
    camera = "m=video 49180 RTP/AVP 97\r\n"  # that is off
    scene, first = MediaScene(policy(ALL, **rules)), invite(OFFER.replace(f"c=IN IP4 {CALLER[0]}", named) + camera)
    scene.carrier(first)
    assert [verdict for _, verdict in scene.to(CALLER)] == ["allow"], "early media, too"
    scene.psap(answer(first, ANSWER.replace(f"c=IN IP4 {CALLED[0]}", named) + camera), at_s=1)
    scene.carrier(request("ACK", to_tag="psap"), at_s=1.1)
    for src, dst in ((CALLED, CALLER), (CALLER, CALLED)):
        assert not any(told.outputs for told in scene.talk(1.2, 1.4, src, dst))
    assert scene.tell(DeadlineReached(), at_s=5).alarms == []
    scene.carrier(request("BYE", to_tag="psap", cseq=2), at_s=10)
    scene.tell(DeadlineReached(), at_s=11)
    assert scene.open == {}


@pytest.mark.parametrize("rules", [{"guard": "enforce"}, {"more": "media: {nat: latch}"}])
def test_who_names_nowhere_and_sends_all_the_same_is_sent_media_there(rules: dict[str, str]) -> None:
    """As a phone that does not know its address yet, or whose later candidates nobody saw."""
    scene = MediaScene(policy(ALL, **rules))
    scene.call(answered=sdp("0.0.0.0", "audio 40000 RTP/AVP 0"))  # noqa: S104
    scene.talk(1.2, 1.4, CALLED, CALLER)
    assert scene.to(CALLED) == FROM_CALLER


def test_packets_that_were_faster_than_the_latching_do_not_make_a_camera_that_is_off_a_lost_one() -> None:
    """The called side sends to where the caller's first packet came from, at once: live the daemon has not seen it."""
    scene, mapped = MediaScene(policy(ALL, guard="enforce")), (CALLER[0], 61000)
    offer, answered = (sdp(ip, "audio 40000 RTP/AVP 0", "video 49180 RTP/AVP 97") for ip in ("10.0.0.5", CALLED[0]))
    scene.call(offer=offer, answered=answered)
    assert reasons(scene.packet(CALLED, mapped, at_s=1.2)) == [("refused", "media_not_negotiated")]
    scene.talk(1.3, 1.5, mapped, CALLED)
    scene.talk(1.3, 1.5, CALLED, mapped)
    assert scene.tell(DeadlineReached(), at_s=6).alarms == []


@pytest.mark.parametrize("named", ["c=IN IP4 media.example", "i=nothing"])
def test_media_to_a_host_or_to_no_address_at_all_is_told_as_lost(named: str) -> None:
    scene, first = MediaScene(), invite(OFFER.replace(f"c=IN IP4 {CALLER[0]}", named))
    assert [alarm.alarm.reason for alarm in scene.carrier(first).alarms] == ["media_no_address"]
    scene.psap(answer(first), at_s=1)
    scene.carrier(request("ACK", to_tag="psap"), at_s=1.1)
    scene.talk(1.2, 1.4)
    (call,) = scene.tell(DeadlineReached(), at_s=5).calls
    assert [(loss.side, loss.reason) for loss in call.media_loss] == [("psap", "media_no_address")]


def test_an_ordinary_caller_behind_nat_is_the_policys_choice() -> None:
    scene = MediaScene(policy(ALL, guard="enforce"))
    scene.call(offer=sdp("10.0.0.5", "audio 49170 RTP/AVP 0"), uri=ORDINARY)
    assert scene.to(CALLED) == [("10.0.0.5", "allow")]


@pytest.mark.parametrize("source", ["zone", "address", "port"])
def test_the_guard_lets_an_emergency_caller_behind_nat_hear_whatever_sources_must_be(source: str) -> None:
    scene = MediaScene(policy(ALL, guard="enforce", more=f"media: {{source: {source}}}"))
    scene.call(offer=sdp("10.0.0.5", "audio 49170 RTP/AVP 0"))
    scene.packet(("192.0.2.66", 61000), CALLED, at_s=2)
    scene.packet((CALLER[0], 61000), CALLED, at_s=2.1)
    assert (scene.to(("192.0.2.66", 61000)), len(scene.to((CALLER[0], 61000)))) == ([], 1)


@pytest.mark.parametrize("rules", [{"guard": "enforce"}, {"more": "media: {nat: latch}"}])
@pytest.mark.parametrize(("resumed", "lost"), [("sendrecv", True), ("inactive", False)])
def test_a_caller_behind_nat_is_on_hold_like_any_other_and_missed_when_it_is_not(
    rules: dict[str, str], resumed: str, *, lost: bool
) -> None:
    scene, mapped = MediaScene(policy(ALL, **rules)), (CALLER[0], 61000)
    offer = sdp("10.0.0.5", "audio 49170 RTP/AVP 0")
    scene.call(offer=offer)
    scene.talk(1.5, 3, mapped)
    scene.talk(3, 5, CALLED, mapped)
    for cseq, direction in ((2, "inactive"), (3, resumed)):
        again = invite(offer + f"a={direction}\r\n", to_tag="psap", cseq=cseq)
        scene.carrier(again, at_s=10 * cseq)
        scene.psap(answer(again, ANSWER + f"a={direction}\r\n"), at_s=10 * cseq + 0.1)
        if cseq == 3 and lost:
            scene.talk(30.5, 33, mapped)
        alarms = scene.tell(DeadlineReached(), at_s=10 * cseq + 4.1).alarms
        assert len(alarms) == (cseq == 3 and lost)


@pytest.mark.parametrize("nat", ["off", "latch"])
def test_who_holds_by_naming_no_address_may_send_music_from_where_its_media_is(nat: str) -> None:
    """RFC 3264 §8.4: 0.0.0.0 says that nothing is to be sent to who holds, not that it is behind a NAT."""
    scene, media_server = MediaScene(policy(ALL, more=f"media: {{nat: {nat}}}")), ("198.51.100.77", 40000)
    scene.call(answered=sdp(media_server[0], "audio 40000 RTP/AVP 0"))
    hold = request(
        "INVITE", to="<sip:6175550123@192.0.2.10>;tag=caller", from_uri="sip:911@198.51.100.10", from_tag="psap",
        branch="z9hG4bK-hold", headers=HEADERS, body=sdp("0.0.0.0", "audio 40000 RTP/AVP 0"),  # noqa: S104
    )  # fmt: skip
    scene.psap(hold, at_s=3)
    scene.carrier(answer(hold, OFFER), at_s=4)
    scene.tell(DeadlineReached(), at_s=6)
    assert reasons(scene.packet(media_server, CALLER, at_s=7)) == []
