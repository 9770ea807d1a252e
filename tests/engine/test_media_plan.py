"""From descriptions to ways, where no call of test_media.py shows it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firewall.engine.media_plan import MAX_CUT, MAX_WAYS, Planner
from firewall.engine.negotiation import Negotiation, Offer, Party, Session
from firewall.sip.sdp import parse_sdp
from tests.media import ANSWER, CALLED, CALLER, OFFER, MediaScene, answer, invite, sdp
from tests.messages import request
from tests.scene import ALL, policy

HERE, THERE = Party("carrier", CALLER[0]), Party("psap", CALLED[0])


def agreed(offer: str, answer: str) -> Negotiation:
    made = Offer(parse_sdp(offer.encode()), HERE, THERE, 1, is_final=True)
    return Negotiation(sessions={("a", "b"): Session(made, parse_sdp(answer.encode()), THERE)})


@pytest.mark.parametrize(
    ("offered", "answered", "expected"),
    [
        ("sendrecv", "sendrecv", {CALLER, CALLED}),
        ("sendonly", "recvonly", {CALLED}),
        ("recvonly", "sendonly", {CALLER}),
        ("inactive", "inactive", set()),
    ],
)
def test_what_must_be_heard_follows_the_directions(offered: str, answered: str, expected: set[tuple[str, int]]) -> None:
    ways = Planner(policy(ALL)).ways(agreed(f"{OFFER}a={offered}\r\n", f"{ANSWER}a={answered}\r\n"))
    assert {(key.dst_ip, key.dst_port) for key, way in ways.items() if way.is_expected} == expected
    assert len(ways) == 4


def test_who_puts_media_on_hold_by_the_address_is_sent_none_and_expects_none() -> None:
    """RFC 3264 §8.4, as RFC 2543 did it."""
    ways = Planner(policy(ALL)).ways(agreed(OFFER.replace(f"c=IN IP4 {CALLER[0]}", "c=IN IP4 0.0.0.0"), ANSWER))
    assert {way.key.dst_ip for way in ways.values()} == {CALLED[0]}
    assert {way.refusal for way in ways.values()} == {None}


def test_who_names_port_9_has_no_port_yet_and_none_is_missed() -> None:
    ways = Planner(policy(ALL), is_guarding=True).ways(agreed(OFFER.replace(" 49170 ", " 9 "), ANSWER))
    assert {(way.key.dst_ip, way.refusal) for way in ways.values() if way.protocol == "rtp"} == {(CALLED[0], None)}


def test_who_names_nothing_but_candidates_puts_nothing_on_hold() -> None:
    """RFC 8829 §5.2.1: a browser that had none yet when it began, or hides its own, names 0.0.0.0 and port 9."""
    audio = "audio 9 UDP/TLS/RTP/SAVPF 0, a=rtcp-mux, a=candidate:1 1 UDP 1 {} {} typ host"
    offer, answer = (sdp("0.0.0.0", audio.format(*each)) for each in (CALLER, CALLED))  # noqa: S104
    ways = Planner(policy(ALL)).ways(agreed(offer, answer))
    assert {(key.src_ip, key.dst_ip, way.is_expected) for key, way in ways.items()} == {
        (CALLER[0], CALLED[0], True),
        (CALLED[0], CALLER[0], True),
    }


def test_a_host_name_is_no_address() -> None:
    ways = Planner(policy(ALL)).ways(agreed(OFFER.replace(f"c=IN IP4 {CALLER[0]}", "c=IN IP4 media.example"), ANSWER))
    assert {way.refusal for way in ways.values() if way.dst == HERE} == {"media_no_address"}


def test_text_is_text_whatever_its_medium_is_called() -> None:
    text = "audio 49170 RTP/AVP 98, a=rtpmap:98 t140/8000"
    ways = Planner(policy(ALL)).ways(agreed(sdp(CALLER[0], text), sdp(CALLED[0], text)))
    assert {way.kind for way in ways.values()} == {"text"}


def test_msrp_is_a_way_over_tcp_to_where_its_path_goes() -> None:
    """RFC 4975 §8.2; the port of the m= line is only a fallback."""
    medium = "message 9 TCP/MSRP *, a=path:msrp://{}:2855/s;tcp"
    offer, answer = (sdp(ip, medium.format(ip)) for ip in (CALLER[0], CALLED[0]))
    ways = Planner(policy(ALL)).ways(agreed(offer, answer))
    assert {(key.transport, key.dst_ip, key.dst_port) for key in ways} == {
        ("TCP", CALLER[0], 2855), ("TCP", CALLED[0], 2855),
    }  # fmt: skip


@pytest.mark.parametrize("host", ["relay.example", "203.0.113.250", "10.0.0.5"])
def test_session_messages_are_refused_nowhere_as_tcp_passes(host: str) -> None:
    """RFC 4975 §6 names hosts, RFC 4976 relays, wherever they are: emergency calls were told as blocked for that."""
    medium = "message 9 TCP/MSRP *, a=path:msrp://{}:2855/s;tcp"
    ways = Planner(policy(ALL)).ways(
        agreed(sdp(CALLER[0], medium.format(host)), sdp(CALLED[0], medium.format(CALLED[0])))
    )
    assert {way.refusal for way in ways.values()} == {None}
    assert {key.dst_ip for key in ways} == {CALLED[0], *([host] if host[0].isdigit() else [])}


_LINES = st.sampled_from(
    [
        "v=0", "c=IN IP4 192.0.2.10", "c=IN IP6 ::1", "c=IN IP4 0.0.0.0", "c=IN IP4 x", "m=audio 49170 RTP/AVP 0", "m=",
        "m=a", "m=audio 65535 RTP/AVP 0", "m=message 9 TCP/MSRP *", "a=rtcp-mux", "a=rtcp:99999", "a=rtcp:1 IN IP4 y",
        "a=path:msrp://[::1]:1/x", "a=candidate:1 1 UDP 1 192.0.2.4 5000 typ host", "a=sendonly", "m=text 4 RTP/AVP 98",
        "a=candidate:1 2 UDP 1 nowhere 5001 typ host", "a=rtpmap:98 t140/1000",
    ]
)  # fmt: skip


def test_media_that_share_a_port_and_its_candidates_cost_no_more_than_so_many_ways() -> None:
    """RFC 9143 has each of them sent to all, and a message of 10 KB names 250."""
    own = ", ".join(f"a=candidate:1 1 UDP 1 192.0.2.{n} 5000 typ host" for n in range(20, 28))
    media = [f"audio 40000 RTP/AVP {n % 128}, a=mid:{n}, {own if n == 0 else ''}" for n in range(250)]
    whole = sdp(CALLER[0], *media, session=f"a=group:BUNDLE {' '.join(map(str, range(250)))}")
    ways = Planner(policy(ALL)).ways(agreed(whole, whole))
    assert {len(way.formats.payload_types) < 128 for way in ways.values() if way.protocol == "rtp"} == {True}


@given(st.lists(_LINES, max_size=40), st.lists(_LINES, max_size=40))
def test_any_descriptions_give_a_bounded_number_of_ways_with_ports_that_exist(
    offer: list[str], answer: list[str]
) -> None:
    for rules in (policy(ALL), policy(ALL, more="media: {nat: latch, source: port}")):
        ways = Planner(rules).ways(agreed("\r\n".join(offer), "\r\n".join(answer)))
        assert len(ways) <= MAX_WAYS + MAX_CUT
        assert sum(way.refusal is None for way in ways.values()) <= MAX_WAYS
        assert all(0 < key.dst_port <= 65535 for key, way in ways.items() if way.refusal is None)


@pytest.mark.parametrize(
    ("forks", "is_reliable", "media"),
    [
        (20, False, ("audio {} RTP/AVP 0",)),
        (20, True, ("audio {} RTP/AVP 0",)),
        (70, True, ("audio {} RTP/AVP 0",)),
        (12, False, ("audio {} RTP/AVP 0", "video {} RTP/AVP 96", "text {} RTP/AVP 98")),
    ],
)
def test_who_answers_at_last_is_heard_however_many_were_asked_before(
    forks: int, *, is_reliable: bool, media: tuple[str, ...]
) -> None:
    """A queue asks one call taker after the other: each is a fork with media of its own, and most do not answer."""
    scene = MediaScene(policy("  - {name: calls, when: 'sip.Method == \"INVITE\"', action: allow}"))
    first = invite(sdp(CALLER[0], *(each.format(49170 + 2 * n) for n, each in enumerate(media))))
    scene.carrier(first)
    asked = [f"198.51.100.{20 + fork}" for fork in range(forks)]
    for number, ip in enumerate(asked):
        description = sdp(ip, *(each.format(40000 + 2 * n) for n, each in enumerate(media)))
        headers = ("Require: 100rel", "RSeq: 1") if is_reliable else ()
        scene.psap(answer(first, description, 183, headers=headers, to_tag=ip), at_s=20 * number)
        rung = scene.carrier(request("PRACK", "sip:h", to_tag=ip, cseq=2 + number), at_s=20 * number)
        assert (rung.reason, scene.to((ip, 40000))) == ("in_dialog", [(CALLER[0], "allow")])
    last, at_s = asked[-1], 20 * forks
    scene.psap(answer(first, "" if is_reliable else description, to_tag=last), at_s=at_s)
    scene.carrier(request("ACK", "sip:h", to_tag=last), at_s=at_s)
    assert (scene.to((last, 40000)), (last, "allow") in scene.to(CALLER)) == ([(CALLER[0], "allow")], True)
    for src, dst in ((CALLER, (last, 40000)), ((last, 40000), CALLER)):
        scene.packet(src, dst, at_s=at_s + 1)
    (ended,) = scene.carrier(request("BYE", to_tag=last, cseq=99), at_s=at_s + 60).calls
    assert (ended.outcome, ended.media_loss) == ("completed", ())


def test_the_answer_to_an_invite_is_one_also_after_many_updates() -> None:
    """RFC 3311, in an early dialog: 20 announcements, each from another machine."""
    scene = MediaScene()
    first = invite()
    scene.carrier(first)
    scene.psap(answer(first, status=183), at_s=1)
    for number in range(20):
        update = invite(method="UPDATE", to_tag="psap", cseq=2 + number)
        scene.carrier(update, at_s=2 + number)
        scene.psap(answer(update), at_s=2.1 + number)
    scene.psap(answer(first), at_s=30)
    assert scene.to(CALLED) == [(CALLER[0], "allow")], "and no way from anybody of the zone any more"


def test_all_of_what_ice_may_choose_is_open_also_where_the_port_of_a_source_counts() -> None:
    """Each of eight candidates to each of the others, in both directions, would be too many ways of one call."""

    def described(ip: str, first: int) -> str:
        lines = [f"a=candidate:{n} {1 + n % 2} UDP {99 - n} {ip} {first + n} typ host" for n in range(16)]
        return sdp(ip, ", ".join((f"audio {first} RTP/AVP 0", *lines)))

    planner = Planner(policy(ALL, more="media: {source: port}"))
    ways = planner.ways(agreed(described(CALLER[0], 50000), described(CALLED[0], 40000)))
    assert {way.refusal for way in ways.values()} == {None}
    toward = {(key.dst_ip, key.dst_port) for key, way in ways.items() if way.protocol == "rtp"}
    assert toward == {
        (ip, first + n) for ip, first in ((CALLER[0], 50000), (CALLED[0], 40000)) for n in range(0, 16, 2)
    }
    few = planner.ways(agreed(OFFER, ANSWER))
    assert {key.src_port for key, way in few.items() if way.protocol == "rtp"} == {CALLER[1], CALLED[1]}
