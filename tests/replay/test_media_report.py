"""What a replay tells of media: quality of each flow, what was dropped, whose emergency call it hurt."""

from pathlib import Path

import pytest

from firewall.cli.policy_file import read_policy
from firewall.replay.document import replay_document
from firewall.replay.driver import replay
from firewall.replay.media_report import flow_changes
from tests.net.packets import CALLER, PSAP, SECOND_NS, START_NS, ethernet, ipv4, pcap, udp
from tests.replay.calls import CALLER_MEDIA, ORDINARY, PSAP_MEDIA, RULES_CALLS, call, make_policy, policy_text, rtp
from tests.replay.replayed import ReplayResult, replay_capture

PT0_ONLY = """
  - name: pcma-only
    when: rtp and not rtp.p_type == 8
    action: drop
"""


def replayed(
    tmp_path: Path, rules: str, *packets: tuple[int, bytes], guard: str = "off", target: str = ""
) -> ReplayResult:
    script = call(media_packets=50, **({"target": target} if target else {}))
    path = tmp_path / "calls.pcap"
    path.write_bytes(pcap([(at_ns, ethernet(packet)) for at_ns, packet in sorted([*script, *packets])]))
    return replay_capture([str(path)], make_policy(tmp_path, rules, guard=guard))


def test_each_flow_is_told_with_its_quality(tmp_path: Path) -> None:
    media = replayed(tmp_path, RULES_CALLS).report.policy.media
    flows = [(f.src_ip, f.dst_port, f.verdict, f.packets, [s.lost for s in f.streams]) for f in media.flows]
    assert flows == [(PSAP, CALLER_MEDIA, "allow", 50, [0]), (CALLER, PSAP_MEDIA, "allow", 50, [0])]
    assert media.packets == {"allow": 100, "drop": 0}


def test_packets_that_nobody_negotiated_are_counted_as_dropped_and_why(tmp_path: Path) -> None:
    strangers = [
        (START_NS + (2 + n) * SECOND_NS, ipv4(udp(rtp(n), 7000, PSAP_MEDIA), "192.0.2.66", PSAP)) for n in range(3)
    ]
    media = replayed(tmp_path, RULES_CALLS, *strangers).report.policy.media
    assert (media.packets, media.refused) == ({"allow": 100, "drop": 3}, {"media_wrong_source": 3})


@pytest.mark.parametrize(("guard", "dropped"), [("off", True), ("enforce", False)])
def test_media_of_an_emergency_call_that_a_rule_drops_hurts_it_guard_or_no_guard(
    tmp_path: Path, guard: str, dropped: bool
) -> None:
    tally = replayed(tmp_path, PT0_ONLY + RULES_CALLS, guard=guard).report.policy
    (hurt,) = tally.hurt.values()
    assert (hurt.rule, hurt.reason, hurt.message, hurt.enforced) == ("pcma-only", "rule", "media: audio", dropped)
    assert bool(tally.media.packets["drop"]) == dropped
    assert tally.by_outcome == ({"impaired": 1} if dropped else {"completed": 1})


def test_an_ordinary_call_is_not_an_emergency_that_is_hurt(tmp_path: Path) -> None:
    tally = replayed(tmp_path, PT0_ONLY + RULES_CALLS, target=ORDINARY).report.policy
    assert tally.hurt == {}
    assert tally.media.refused["pcma-only"] == 100


def test_the_document_has_the_flows(tmp_path: Path) -> None:
    document = replay_document(replayed(tmp_path, RULES_CALLS).report)["media"]
    assert document["packets"] == {"allow": 100, "drop": 0}
    assert document["flows"][0]["streams"][0]["packets"] == 50


def test_many_packets_go_the_short_way_and_are_counted_exactly(tmp_path: Path) -> None:
    """The same call, once with every packet decided one by one."""
    long_way = policy_text(RULES_CALLS + "  - {name: all, when: rtp, action: allow, inspect: all}\n", guard="off")
    (tmp_path / "all.yaml").write_text(long_way)
    short = replayed(tmp_path, RULES_CALLS).report.policy.media.flows[0]
    long = replay_capture([str(tmp_path / "calls.pcap")], read_policy(str(tmp_path / "all.yaml")))
    other = long.report.policy.media.flows[0]
    assert (short.packets, short.octets, short.streams) == (other.packets, other.octets, other.streams)


def test_two_policies_differ_in_the_flows_that_only_one_lets_pass(tmp_path: Path) -> None:
    replayed(tmp_path, RULES_CALLS)
    mute = PT0_ONLY.replace("pcma-only", "one-way").replace("not rtp.p_type == 8", 'zone.src == "psap"')
    policies = [
        make_policy(tmp_path, rules, guard="off", name=name)
        for rules, name in ((RULES_CALLS, "a"), (mute + RULES_CALLS, "b"))
    ]
    report = replay([str(tmp_path / "calls.pcap")], policies[0], against=policies[1])
    assert report.against is not None
    (change,) = flow_changes(report.policy.media, report.against.media)
    assert change.before is not None
    assert change.after is not None
    assert (change.before.passed, change.after.passed, change.after.rule) == (True, False, "one-way")
    (told,) = replay_document(report)["media_changed"]
    assert told["after"]["src_ip"] == PSAP
