"""Whole captures through the engine: what is counted, what is decided once, what a cut leaves, what changes."""

import dataclasses
import random
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from firewall.engine.record import PolicyChange, SipDecision
from firewall.net.capture_record import MAX_TIMESTAMP_NS, Unreadable
from firewall.net.datagram import Datagram
from firewall.replay.driver import replay
from firewall.replay.lane import Lane
from tests.net.packets import (
    CALLER,
    PSAP,
    START_NS,
    enhanced,
    ethernet,
    interface,
    ipv4,
    linux_sll,
    linux_sll2,
    option,
    pcap,
    section,
    segment,
    udp,
)
from tests.net.test_hep import hep
from tests.oracle.sharkd import frames_shown
from tests.replay.calls import (
    ORDINARY,
    RULES_BLOCKING,
    RULES_CALLS,
    Timed,
    back,
    call,
    forth,
    invite,
    make_policy,
    policy_text,
)
from tests.replay.replayed import replay_capture

TWO_CALLS = call("e1") + call("o1", target=ORDINARY, user="alice", begins_s=20)


def write(folder: Path, packets: list[Timed], name: str = "a.pcap") -> str:
    path = folder / name
    path.write_bytes(pcap([(at_ns, ethernet(packet)) for at_ns, packet in packets]))
    return str(path)


def test_a_capture_is_counted_and_every_message_decided_once(tmp_path: Path) -> None:
    path = write(tmp_path, TWO_CALLS)
    result = replay_capture([path], make_policy(tmp_path, RULES_CALLS))
    (found,) = result.report.captures
    assert (found.path, found.packets, found.sip_messages, found.rtp_packets) == (path, 28, 12, 16)
    assert (found.copies, found.own_replies, found.unreadable) == (0, 0, [])
    sip_frames = frames_shown(Path(path), "sip")
    assert [decision.pcap_cnt for decision in result.decisions] == sip_frames
    tally = result.report.policy
    assert tally.verdicts == Counter(allow=12)
    assert (tally.calls, len(tally.hurt), tally.by_outcome) == (1, 0, {"completed": 1})


def test_rtp_is_counted_as_tshark_does_when_the_description_is_known(tmp_path: Path) -> None:
    stray = [(START_NS + 10**10, ipv4(udp(b"\x80\0" + bytes(170), 1234, 4321)))]
    path = write(tmp_path, call(media_packets=50) + stray)
    (found,) = replay_capture([path], make_policy(tmp_path, RULES_CALLS)).report.captures
    assert found.rtp_packets == len(frames_shown(Path(path), "rtp")) == 100


@pytest.mark.parametrize(("guard", "guarded", "outcome"), [("enforce", 1, "completed"), ("off", 0, "blocked")])
def test_a_call_that_a_rule_blocks_is_hurt_also_where_the_guard_lets_it_pass(
    tmp_path: Path, guard: str, guarded: int, outcome: str
) -> None:
    path = write(tmp_path, TWO_CALLS)
    tally = replay_capture([path], make_policy(tmp_path, RULES_BLOCKING + RULES_CALLS, guard=guard)).report.policy
    assert (tally.calls, len(tally.hurt), tally.guarded) == (1, 1, guarded)
    assert tally.by_outcome == {outcome: 1}
    (hurt,) = tally.hurt.values()
    assert (hurt.packet, hurt.call_id, hurt.message) == (1, "e1", "INVITE urn:service:sos")
    assert (hurt.verdict, hurt.rule, hurt.line, hurt.reason) == ("drop", "no-anonymous", 7, "rule")
    assert tally.verdicts == Counter(allow=6, drop=6)


def test_the_same_capture_gives_the_same_records(tmp_path: Path) -> None:
    path, policy = write(tmp_path, TWO_CALLS), make_policy(tmp_path, RULES_CALLS)
    assert replay_capture([path], policy).records == replay_capture([path], policy).records


def test_a_capture_cut_in_the_middle_is_replayed_up_to_the_cut(tmp_path: Path) -> None:
    path = Path(write(tmp_path, call()))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) - 30])
    result = replay_capture([str(path)], make_policy(tmp_path, RULES_CALLS))
    (found,) = result.report.captures
    assert (found.packets, found.sip_messages) == (13, 5)
    assert [loss.packet for loss in found.unreadable] == [14]
    assert found.unreadable[0].reason.startswith("cut")
    assert len(result.decisions) == 5


def test_frames_cut_by_the_snapshot_length_are_named_and_the_rest_is_replayed(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap([(at, ethernet(packet)) for at, packet in call()], snap_bytes=330))
    report = replay_capture([str(path)], make_policy(tmp_path, RULES_CALLS)).report
    (found,) = report.captures
    truncated = frames_shown(path, "frame.cap_len < frame.len")
    assert truncated
    assert [loss.packet for loss in found.unreadable] == truncated
    assert len(found.unreadable) + sum(report.policy.verdicts.values()) == found.sip_messages
    assert found.sip_messages == len(frames_shown(path, "sip")) == 6


def fragments(packet: bytes, size: int = 160) -> list[bytes]:
    body = packet[20:]
    return [
        ipv4(body[at : at + size], identification=9, offset=at, more=at + size < len(body))
        for at in range(0, len(body), size)
    ]


def test_a_message_in_fragments_is_decided_at_the_frame_that_completes_it(tmp_path: Path) -> None:
    pieces = fragments(forth(invite()))
    random.Random(1).shuffle(pieces)
    path = write(tmp_path, [(START_NS + n, piece) for n, piece in enumerate(pieces)])
    result = replay_capture([path], make_policy(tmp_path, RULES_CALLS))
    assert [decision.pcap_cnt for decision in result.decisions] == [len(pieces)]
    assert frames_shown(Path(path), "sip") == [len(pieces)]


def test_a_message_of_which_a_fragment_is_missing_is_reported(tmp_path: Path) -> None:
    pieces = fragments(forth(invite()))
    path = write(tmp_path, [(START_NS + n, piece) for n, piece in enumerate(pieces[1:])])
    result = replay_capture([path], make_policy(tmp_path, RULES_CALLS))
    assert not result.decisions
    assert [(loss.packet, "fragments are missing" in loss.reason) for loss in result.report.captures[0].unreadable] == [
        (1, True)
    ]


def both_sides(packets: list[Timed]) -> list[tuple[int, int, bytes]]:
    """Each packet in on one side and, 0.2 ms later, out on the other: (time, side, packet)."""
    return [(at_ns + side * 200_000, side, packet) for at_ns, packet in packets for side in (0, 1)]


def test_a_capture_of_any_interface_is_decided_like_one_of_a_single_interface(tmp_path: Path) -> None:
    policy = make_policy(tmp_path, RULES_BLOCKING + RULES_CALLS)
    single = replay_capture([write(tmp_path, TWO_CALLS)], policy)
    frames2 = [(at, linux_sll2(p, interface=2 + side, outgoing=side == 1)) for at, side, p in both_sides(TWO_CALLS)]
    frames1 = [(at, linux_sll(p, outgoing=side == 1)) for at, side, p in both_sides(TWO_CALLS)]
    for frames, link_type in ((frames2, 276), (frames1, 113)):
        (tmp_path / "any.pcap").write_bytes(pcap(frames, link_type=link_type, nanoseconds=True))
        both = replay_capture([str(tmp_path / "any.pcap")], policy)
        assert [d.decision for d in both.decisions] == [d.decision for d in single.decisions]
        (found,) = both.report.captures
        assert (found.packets, found.copies, found.sip_messages) == (56, 12, 24)
        assert found.sip_messages == len(frames_shown(tmp_path / "any.pcap", "sip"))


def pcapng_of_both_sides(folder: Path, names: tuple[bytes, bytes]) -> str:
    data = section() + b"".join(interface(101, option(2, name)) for name in names)
    data += b"".join(enhanced(packet, at_ns // 1000, side) for at_ns, side, packet in both_sides(TWO_CALLS))
    (folder / "both.pcapng").write_bytes(data)
    return str(folder / "both.pcapng")


def test_a_capture_of_two_interfaces_is_decided_once_and_tells_where_a_message_came_in(tmp_path: Path) -> None:
    text = policy_text(RULES_CALLS).replace("carrier: {", "carrier: {interfaces: [f0], ")
    (tmp_path / "ifaces.yaml").write_text(text)
    from firewall.cli.policy_file import read_policy

    policy = read_policy(str(tmp_path / "ifaces.yaml"))
    result = replay_capture([pcapng_of_both_sides(tmp_path, (b"f0", b"f1"))], policy)
    assert result.report.captures[0].copies == 12
    assert {decision.in_iface for decision in result.decisions} == {"f0"}
    elsewhere = replay_capture([pcapng_of_both_sides(tmp_path, (b"eth0", b"eth1"))], policy)
    assert {decision.in_iface for decision in elsewhere.decisions} == {None}
    assert elsewhere.report.policy.verdicts == result.report.policy.verdicts == Counter(allow=12)


def test_retransmissions_in_a_plain_capture_are_decided_each_time(tmp_path: Path) -> None:
    path = write(tmp_path, [(START_NS + n * 500_000_000, forth(invite())) for n in range(4)])
    result = replay_capture([path], make_policy(tmp_path, RULES_CALLS))
    assert len(result.decisions) == 4
    assert result.report.policy.calls == 1


def test_each_capture_is_a_run_of_its_own(tmp_path: Path) -> None:
    path = write(tmp_path, call())
    result = replay_capture([path, path], make_policy(tmp_path, RULES_CALLS))
    assert [found.packets for found in result.report.captures] == [14, 14]
    assert result.report.policy.calls == 2
    assert sum(isinstance(record, PolicyChange) for record in result.records) == 2
    half = len(result.records) // 2
    assert result.records[:half] == result.records[half:]


def test_parts_of_one_recording_are_one_run(tmp_path: Path) -> None:
    """With rules that name INVITE alone, the rest of a call follows it, if the firewall saw it begin."""
    policy = make_policy(tmp_path, '\n  - name: calls\n    when: sip.Method == "INVITE"\n    action: allow\n')
    packets = call()
    parts = [write(tmp_path, packets[:5], "1.pcap"), write(tmp_path, packets[5:], "2.pcap")]
    together = replay(parts, policy, continuous=True)
    assert (together.policy.calls, len(together.policy.hurt)) == (1, 0)
    apart = replay(parts, policy)
    assert len(apart.policy.hurt) == 1


def test_a_message_that_begins_in_one_part_of_a_recording_and_ends_in_the_next_is_decided_there(tmp_path: Path) -> None:
    message = invite()
    pieces = {
        "IP fragments are missing: 160 bytes of the datagram came": fragments(forth(message))[:1],
        "the capture ends inside a SIP message over TCP: 200 bytes came": [segment(message[:200], 1000)],
    }
    rests = [fragments(forth(message))[1:], [segment(message[200:], 1200)]]
    for (told, begin), rest in zip(pieces.items(), rests, strict=True):
        parts = [
            write(tmp_path, [(START_NS + number, packet) for number, packet in enumerate(packets)], name)
            for name, packets in (("1.pcap", begin), ("2.pcap", rest), ("3.pcap", [forth(b"\r\n")]))
        ]
        together = replay(parts, make_policy(tmp_path, RULES_CALLS), continuous=True)
        assert [found.sip_messages for found in together.captures] == [0, 1, 0]
        assert [found.unreadable for found in together.captures] == [[Unreadable(1, told)], [], []]
        alone = replay([parts[0], parts[2], parts[2]], make_policy(tmp_path, RULES_CALLS), continuous=True)
        assert [found.unreadable for found in alone.captures] == [[Unreadable(1, told)], [], []]
        apart = replay(parts, make_policy(tmp_path, RULES_CALLS))
        assert sum(found.sip_messages for found in apart.captures) == 0


def test_what_one_part_of_a_recording_shows_is_known_in_the_next(tmp_path: Path) -> None:
    """Where media is, as an earlier part announced it; and what came in there and goes out here."""
    policy, packets = make_policy(tmp_path, RULES_CALLS), call(media_packets=50)
    parts = [write(tmp_path, packets[:9], "1.pcap"), write(tmp_path, packets[9:], "2.pcap")]
    whole = replay([write(tmp_path, packets)], policy).captures[0].rtp_packets
    assert sum(found.rtp_packets for found in replay(parts, policy, continuous=True).captures) == whole == 100
    for number, outgoing in enumerate((False, True)):
        frame = linux_sll2(forth(invite()), interface=2 + number, outgoing=outgoing)
        Path(parts[number]).write_bytes(pcap([(START_NS + number, frame)], link_type=276))
    assert [found.copies for found in replay(parts, policy, continuous=True).captures] == [0, 1]


def test_a_second_policy_shows_what_it_decides_differently(tmp_path: Path) -> None:
    strict = make_policy(tmp_path, RULES_BLOCKING + RULES_CALLS, guard="off", name="strict")
    report = replay([write(tmp_path, TWO_CALLS)], make_policy(tmp_path, RULES_CALLS), against=strict)
    assert len(report.policy.hurt) == 0
    assert report.against is not None
    assert len(report.against.hurt) == 1
    assert report.against.verdicts == Counter(allow=6, drop=6)
    assert [change.packet for change in report.changed] == [1, 2, 3, 4, 13, 14]
    first = report.changed[0]
    assert first.before is not None
    assert first.after is not None
    assert (first.before.verdict, first.before.rule) == ("allow", "calls")
    assert (first.after.verdict, first.after.rule) == ("drop", "no-anonymous")
    assert first.emergency is not None


def test_a_policy_against_itself_changes_nothing(tmp_path: Path) -> None:
    policy = make_policy(tmp_path, RULES_BLOCKING + RULES_CALLS)
    assert replay([write(tmp_path, TWO_CALLS)], policy, against=policy).changed == []


def test_a_datagram_that_only_one_policy_takes_for_signalling_is_compared_too(tmp_path: Path) -> None:
    odd = [(START_NS, forth(b"hello, not SIP at all", 5090))]
    policy = make_policy(tmp_path, RULES_CALLS)
    wider = dataclasses.replace(policy, signalling_ports=frozenset({5060, 5090}))
    report = replay([write(tmp_path, odd)], policy, against=wider)
    assert report.captures[0].sip_messages == 0
    assert sum(report.policy.verdicts.values()) == 0
    (change,) = report.changed
    assert change.before is None
    assert change.after is not None
    assert change.after.verdict == "drop"


def test_a_firewalls_own_reject_in_the_capture_is_neither_decided_nor_compared(tmp_path: Path) -> None:
    rejecting = (
        '\n  - name: closed\n    when: sip.Method == "INVITE"\n    action: reject\n    status: 503\n' + RULES_CALLS
    )
    policy, other = make_policy(tmp_path, rejecting), make_policy(tmp_path, RULES_CALLS, name="other")
    lane = Lane(policy, lambda _record: None)
    asked = forth(invite(target=ORDINARY, user="alice"))
    lane.receive(Datagram(CALLER, 5060, PSAP, 5060, invite(target=ORDINARY, user="alice")), START_NS)
    (reply,) = lane.expected_replies
    path = write(tmp_path, [(START_NS, asked), (START_NS + 1, back(reply[4]))])
    report = replay([path], policy, against=other)
    (found,) = report.captures
    assert (found.sip_messages, found.own_replies) == (2, 1)
    assert report.policy.verdicts == Counter(reject=1)
    assert [change.packet for change in report.changed] == [1]


def test_an_empty_capture_has_nothing_to_decide(tmp_path: Path) -> None:
    result = replay_capture([write(tmp_path, [])], make_policy(tmp_path, RULES_CALLS))
    assert result.report.captures[0].packets == 0
    assert result.records == []


def test_times_that_go_backwards_are_replayed_as_they_are(tmp_path: Path) -> None:
    packets = call()
    packets[3] = (packets[0][0] - 5_000_000_000, packets[3][1])
    result = replay_capture([write(tmp_path, packets)], make_policy(tmp_path, RULES_CALLS))
    assert len(result.decisions) == 6
    assert result.decisions[3].timestamp.startswith("2025-12-31T23:59:55")


@pytest.mark.parametrize("jump_at", [0, 5])
def test_a_capture_of_the_last_year_that_a_calendar_has_is_replayed(jump_at: int, tmp_path: Path) -> None:
    """A damaged clock or counter: far behind the times that 64 bits of nanoseconds can tell."""
    last_us, packets = MAX_TIMESTAMP_NS // 1000 - 1000, [ethernet(packet) for _, packet in call()]
    times = [number + (last_us if number >= jump_at else START_NS // 1000) for number in range(len(packets))]
    path = tmp_path / "a.pcapng"
    path.write_bytes(section() + interface() + b"".join(map(enhanced, packets, times)))
    (found,) = replay_capture([str(path)], make_policy(tmp_path, RULES_CALLS)).report.captures
    assert (found.sip_messages, found.rtp_packets) == (6, 8)


def test_captures_full_of_noise_are_read_to_their_end(tmp_path: Path) -> None:
    chance = random.Random(7)
    packets = []
    for number in range(300):
        packet = bytearray(chance.choice(TWO_CALLS)[1])
        for _ in range(chance.randrange(6)):
            packet[chance.randrange(len(packet))] = chance.randrange(256)
        packets.append((START_NS + number, bytes(packet)))
    policy = make_policy(tmp_path, RULES_CALLS)
    result = replay_capture([write(tmp_path, packets)], policy)
    (found,) = result.report.captures
    assert found.packets == 300
    assert all(isinstance(loss, Unreadable) for loss in found.unreadable)
    assert len({d.pcap_cnt for d in result.decisions}) == len(result.decisions)
    assert all(isinstance(decision, SipDecision) for decision in result.decisions)


def over_tcp(timed: list[Timed], rng: random.Random | None = None) -> list[Timed]:
    """The UDP signalling of some packets as two TCP streams, cut at every byte that chance likes."""
    sequence = {CALLER: 1000, PSAP: 5_000_000}
    found: list[Timed] = []
    for at_ns, packet in timed:
        source = CALLER if packet[12:16] == bytes(map(int, CALLER.split("."))) else PSAP
        if packet[20:22] != (5060).to_bytes(2, "big"):
            found.append((at_ns, packet))
            continue
        payload = packet[28:].replace(b"SIP/2.0/UDP", b"SIP/2.0/TCP")
        cuts = sorted({0, len(payload), *(rng.sample(range(1, len(payload)), 4) if rng else ())})
        parts = [(at_ns + n, payload[a:b], sequence[source] + a) for n, (a, b) in enumerate(pairwise(cuts))]
        if rng:
            rng.shuffle(parts)
        ports = (5060, 5060)
        times = sorted(at for at, _, _ in parts)
        found += [
            (at, segment(data, number, ports=ports, back=source == PSAP))
            for at, (_, data, number) in zip(times, parts, strict=True)
        ]
        sequence[source] += len(payload)
    return found


@pytest.mark.parametrize("seed", [None, 1, 2])
def test_calls_over_tcp_are_decided_as_over_udp_however_they_are_cut(tmp_path: Path, seed: int | None) -> None:
    policy = make_policy(tmp_path, RULES_BLOCKING + RULES_CALLS)
    udp_run = replay_capture([write(tmp_path, TWO_CALLS)], policy)
    opening = [(START_NS, segment(b"", 999, flags="S", ports=(5060, 5060)))]
    opening += [(START_NS, segment(b"", 4_999_999, flags="S", ports=(5060, 5060), back=True))]
    chance = random.Random(seed) if seed else None
    tcp_run = replay_capture([write(tmp_path, opening + over_tcp(TWO_CALLS, chance), "tcp.pcap")], policy)
    seen = [
        [
            (each.proto, each.decision.verdict, each.decision.rule, each.emergency and each.emergency.service)
            for each in run.decisions
        ]
        for run in (udp_run, tcp_run)
    ]
    assert [row[1:] for row in seen[1]] == [row[1:] for row in seen[0]]
    assert {row[0] for row in seen[1]} == {"TCP"}
    (found,) = tcp_run.report.captures
    assert (found.sip_messages, found.rtp_packets, found.unreadable) == (12, 16, [])


def test_a_stream_with_lost_segments_is_replayed_and_the_loss_told(tmp_path: Path) -> None:
    packets = over_tcp(TWO_CALLS)
    signalling = [number for number, (_, packet) in enumerate(packets) if packet[9] == 6]
    lost = signalling[2]  # the answer; the next segment of that direction shows that it is missing
    result = replay_capture([write(tmp_path, packets[:lost] + packets[lost + 1 :])], make_policy(tmp_path, RULES_CALLS))
    (found,) = result.report.captures
    assert found.sip_messages == 11
    assert [loss.reason.startswith("TCP segments are missing") for loss in found.unreadable] == [True]


def test_a_mirror_and_a_capture_agent_are_replayed_as_what_they_saw(tmp_path: Path) -> None:
    mirrored, agent = [], []
    for at_ns, packet in TWO_CALLS:
        outer = ("203.0.113.1", "203.0.113.2")
        frame = ethernet(packet)
        mirrored.append((at_ns, ipv4(udp(b"\x08\0\0\0\0\0\x07\0" + frame, 50000, 4789), *outer)))
        if packet[20:22] == (5060).to_bytes(2, "big"):
            ends = [".".join(map(str, packet[at : at + 4])) for at in (12, 16)]
            told = hep(packet[28:], src=ends[0], dst=ends[1], at_ns=at_ns)
            agent.append((at_ns + 5_000_000_000, ipv4(udp(told, 40000, 9060), *outer)))
    policy = make_policy(tmp_path, RULES_BLOCKING + RULES_CALLS)
    plain, mirror, by_agent = (
        replay_capture([write(tmp_path, packets, name)], policy)
        for name, packets in (("plain", TWO_CALLS), ("mirror", mirrored), ("agent", agent))
    )
    expected = [(each.timestamp, each.src_ip, each.decision.verdict, each.decision.rule) for each in plain.decisions]
    for run in (mirror, by_agent):
        assert [
            (each.timestamp, each.src_ip, each.decision.verdict, each.decision.rule) for each in run.decisions
        ] == expected
    assert mirror.report.captures[0].rtp_packets == plain.report.captures[0].rtp_packets == 16
