"""A capture of two interfaces gives the decisions of one, whichever way its frames are mixed."""

from pathlib import Path

import pytest

from firewall.cli.policy_file import read_policy
from tests.net.packets import START_NS, enhanced, interface, ipv4, linux_sll2, option, pcap, section, udp
from tests.oracle.sharkd import frames_shown
from tests.replay.calls import RULES_CALLS, call, invite, make_policy, policy_text
from tests.replay.replayed import replay_capture
from tests.replay.test_match import frames_matched

FORWARDING_NS = 30_000
ON_CALLER_SIDE, ON_PSAP_SIDE = 0, 1
FROM_CALLER = bytes((192, 0, 2, 7))

Sight = tuple[int, int, bytes]
"""Time, interface, IP packet."""


def forwarded(calls: int = 3) -> list[Sight]:
    """Calls as the firewall's own machine sees them: in on one interface, out on the other a moment later."""
    sights: list[Sight] = []
    for number in range(calls):
        for at_ns, packet in call(f"c{number}", begins_s=number * 20):
            came_in = ON_CALLER_SIDE if packet[12:16] == FROM_CALLER else ON_PSAP_SIDE
            sights += [(at_ns, came_in, packet), (at_ns + FORWARDING_NS, 1 - came_in, packet)]
    return sights


def pcapng(path: Path, sights: list[Sight]) -> str:
    described = section() + interface(101, option(2, b"f0")) + interface(101, option(2, b"f1"))
    path.write_bytes(described + b"".join(enhanced(packet, at_ns // 1000, where) for at_ns, where, packet in sights))
    return str(path)


def test_a_copy_written_before_its_original_is_still_the_copy(tmp_path: Path) -> None:
    text = policy_text(RULES_CALLS)
    for zone, name in (("carrier", "f0"), ("psap", "f1")):
        text = text.replace(f"{zone}: {{", f"{zone}: {{interfaces: [{name}], ")
    (tmp_path / "county.yaml").write_text(text)
    policy = read_policy(str(tmp_path / "county.yaml"))
    sights = forwarded()
    # The buffer of f1 is written first, each quarter of a second.
    mixed = sorted(sights, key=lambda sight: (sight[0] // 250_000_000, -sight[1]))
    in_order = replay_capture([pcapng(tmp_path / "order.pcapng", sights)], policy)
    written = replay_capture([pcapng(tmp_path / "mixed.pcapng", mixed)], policy)
    assert mixed != sights
    assert {decision.decision.verdict for decision in in_order.decisions} == {"allow"}
    assert [(d.timestamp, d.decision, d.in_iface) for d in written.decisions] == [
        (d.timestamp, d.decision, d.in_iface) for d in in_order.decisions
    ]
    assert [d.pcap_cnt for d in written.decisions] == [
        1 + mixed.index(sights[(d.pcap_cnt or 0) - 1]) for d in in_order.decisions
    ]
    (found,), (expected,) = written.report.captures, in_order.report.captures
    assert (found.packets, found.sip_messages, found.copies, found.rtp_packets) == (
        expected.packets,
        expected.sip_messages,
        expected.copies,
        expected.rtp_packets,
    )


# Which fragment (A, B) of one datagram was seen where (0: in, 1: out), in the capture's order; the frames that
# complete it for sosgate, and for tshark.
INTERLEAVED: dict[str, tuple[tuple[int, int], list[int]]] = {
    "A0 A1 B0 B1": ((3, 4), [3]),
    "A0 B0 A1 B1": ((2, 4), [2, 4]),
    "B0 B1 A0 A1": ((3, 4), [3]),
}


@pytest.mark.parametrize("cooked", [False, True])
@pytest.mark.parametrize("seen", INTERLEAVED)
def test_fragments_of_two_interfaces_make_a_message_on_either_and_the_second_is_the_copy(
    seen: str, cooked: bool, tmp_path: Path
) -> None:
    """tshark tells no interfaces apart: a fragment seen again is a repetition to it, so it may find one message."""
    body = udp(invite())
    parts = {"A": ipv4(body[:160], more=True), "B": ipv4(body[160:], offset=160)}
    sights = [(START_NS + at * 1000, int(sight[1]), parts[sight[0]]) for at, sight in enumerate(seen.split())]
    path = tmp_path / "a.capture"
    if cooked:
        frames = [(at, linux_sll2(p, interface=2 + side, outgoing=side == 1)) for at, side, p in sights]
        path.write_bytes(pcap(frames, link_type=276))
    else:
        pcapng(path, sights)
    (first, second), theirs = INTERLEAVED[seen]
    result = replay_capture([str(path)], make_policy(tmp_path, RULES_CALLS))
    (found,) = result.report.captures
    assert [decision.pcap_cnt for decision in result.decisions] == [first]
    assert (found.sip_messages, found.copies, found.unreadable) == (2, 1, [])
    assert frames_matched(path, "sip") == [first, second]
    assert frames_shown(path, "sip") == theirs
