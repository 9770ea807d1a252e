"""A capture of two interfaces whose writer mixed the frames up gives the decisions of one in time order."""

from pathlib import Path

from firewall.cli.policy_file import read_policy
from firewall.replay.driver import replay_capture
from tests.net.packets import enhanced, interface, option, section
from tests.replay.calls import RULES_CALLS, call, policy_text

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
