"""The plan of ordinary media is the one that the general planner makes."""

from itertools import product

from hypothesis import example, given
from hypothesis import strategies as st

from firewall.engine.media_plan import Planner
from firewall.engine.negotiation import Negotiation, Offer, Party, Session, SessionKey
from firewall.engine.plain_media import PlainPlanner
from firewall.sip.sdp import parse_sdp
from tests.media import ANSWER, CALLED, CALLER, OFFER
from tests.scene import ALL, policy

HERE, THERE = Party("carrier", CALLER[0]), Party("psap", CALLED[0])
POLICIES = [
    policy(ALL, more=f"media: {{source: {source}, early: {early}, nat: {nat}, ports: 16384-49171}}")
    for source, early, nat in product(("address", "port", "zone"), ("offer", "answer"), ("off", "latch"))
]


def mostly(usual: list[str], odd: list[str]) -> st.SearchStrategy[str]:
    """One of the usual, three times of four."""
    return st.integers(0, 3).flatmap(lambda n: st.sampled_from(usual if n else odd))


ODD_ADDRESSES = ["203.0.113.9", "2001:DB8:1::7", "2001:db8:2::7", "host.example", "fe80::1%1", "192.0.2.077"]
ODD_ADDRESSES += ["0.0.0.0", "::", "::ffff:192.0.2.7"]  # noqa: S104
ADDRESSES = {
    HERE: mostly([CALLER[0], "192.0.2.77", "192.0.2.78"], [CALLED[0], *ODD_ADDRESSES]),
    THERE: mostly([CALLED[0], "198.51.100.77"], [CALLER[0], *ODD_ADDRESSES]),
}
PORTS = mostly(
    [str(port) for port in range(40_000, 40_020, 2)],
    ["40001", "49169", "49170", "49171", "16384", "16383", "0", "5060", "5059", "65535", "40000/2", "x"],
)
PROTOCOLS = mostly(
    ["RTP/AVP 0 8 101", "RTP/AVP 98"], ["UDP/TLS/RTP/SAVPF 96", "udptl t38", "TCP/MSRP *", "RTP/AVP", ""]
)
ATTRIBUTES = mostly(
    ["sendrecv", "sendonly", "recvonly", "inactive", "rtcp-mux", "rtpmap:98 t140/1000", "rtpmap:0 PCMU/8000"],
    [
        "rtcp:40001",
        "rtcp:40000",
        "rtcp:5060",
        "rtcp:40003 IN IP4 192.0.2.10",
        "rtcp:none",
        "rtcp-mux:x",
        "candidate:1 1 UDP 1 192.0.2.4 41000 typ host",
        "path:msrp://192.0.2.10:2855/s",
    ],
)
KINDS = mostly(["audio", "video"], ["Audio", "text"])


@st.composite
def description(draw: st.DrawFn, party: Party) -> str:
    lines = [f"c=IN IP4 {draw(ADDRESSES[party])}", *draw(st.lists(ATTRIBUTES.map("a={}".format), max_size=1))]
    for _ in range(draw(st.integers(1, 3))):
        lines.append(f"m={draw(KINDS)} {draw(PORTS)} {draw(PROTOCOLS)}")
        if draw(st.integers(0, 4)) == 0:
            lines.append(f"c=IN IP4 {draw(ADDRESSES[party])}")
        lines += draw(st.lists(ATTRIBUTES.map("a={}".format), max_size=3))
    return "\r\n".join(lines)


def offered(text: str, number: int, *, is_final: bool) -> Offer:
    return Offer(parse_sdp(text.encode()), HERE, THERE, number, is_final=is_final)


AGREED = st.lists(st.tuples(description(HERE), description(THERE)), max_size=2)


def sessions(agreed: list[tuple[str, str]], *, is_renewed: bool) -> dict[SessionKey, Session]:
    return {
        (("a", str(n)), (CALLER[0], CALLED[0])): Session(
            offered(offer, n, is_final=True), parse_sdp(answer.encode()), THERE, is_renewed
        )
        for n, (offer, answer) in enumerate(agreed)
    }


@example([], [(OFFER, ANSWER)], False, True, [])
@example([], [], False, False, [(OFFER, ANSWER)])
@given(
    st.lists(description(HERE), max_size=2),
    AGREED,
    st.booleans(),
    st.booleans(),
    st.just([]) | AGREED,
)
def test_both_planners_give_the_same_ways(
    offers: list[str], agreed: list[tuple[str, str]], is_renewed: bool, is_ringing: bool, early: list[tuple[str, str]]
) -> None:
    known = sessions(agreed, is_renewed=is_renewed)
    negotiation = Negotiation(
        {("a", n, "INVITE"): offered(text, n, is_final=n == 1) for n, text in enumerate(offers)},
        known,
        ringing=frozenset(known) if is_ringing else frozenset(),
        early=Negotiation({}, sessions(early, is_renewed=False)) if early else None,
    )
    for rules, is_guarding in product(POLICIES, (False, True)):
        planner = Planner(rules, is_guarding=is_guarding)
        assert list(planner.ways(negotiation).items()) == list(planner.uncommon_ways(negotiation).items())


def test_an_ordinary_call_is_plain() -> None:
    offer = offered(OFFER, 1, is_final=True)
    session = Session(offer, parse_sdp(ANSWER.encode()), THERE)
    planner = PlainPlanner(policy(ALL), lambda *_: True, latches=False)
    assert len(planner.ways(Negotiation({("a", 1, "INVITE"): offer}, {("a", "b"): session})) or ()) == 4
    assert len(planner.ways(Negotiation({("a", 1, "INVITE"): offered(OFFER, 1, is_final=False)})) or ()) == 2
    assert planner.ways(Negotiation()) == {}
