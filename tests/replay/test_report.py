"""What is made of the engine's records: calls, hurt calls, outcomes, words."""

from pathlib import Path

import msgspec
import pytest

from firewall.engine.record import EmergencyCall, Record, SipDecision, SipFields
from firewall.engine.recording import endpoint_text
from firewall.replay.report import PolicyTally, sip_summary
from firewall.ruleset.policy import Policy
from tests.messages import request
from tests.net.packets import START_NS, ipv4, pcap, udp
from tests.replay.calls import RULES_BLOCKING, RULES_CALLS, SOS, back, call, forth, invite, make_policy, message
from tests.replay.replayed import replay_capture


def records_of(folder: Path, rules: str, guard: str = "off") -> tuple[list[Record], Policy]:
    (folder / "a.pcap").write_bytes(pcap(call(), link_type=101))
    policy = make_policy(folder, rules, guard=guard)
    return replay_capture([str(folder / "a.pcap")], policy).records, policy


def tally_of(records: list[Record], policy: Policy, runs: int = 1) -> PolicyTally:
    tally = PolicyTally(policy)
    for run in range(runs):
        for record in records:
            tally.take(record, run, "a.pcap")
    return tally


def test_a_call_is_hurt_once_and_by_the_first_decision_that_did_it(tmp_path: Path) -> None:
    tally = tally_of(*records_of(tmp_path, RULES_BLOCKING + RULES_CALLS))
    assert [(hurt.packet, hurt.message) for hurt in tally.hurt.values()] == [(1, "INVITE urn:service:sos")]
    assert sum(tally.deciders.values()) == 6


def test_a_blocked_call_without_a_call_id_is_one_call(tmp_path: Path) -> None:
    raw = request("INVITE", "urn:service:sos").replace(b"Call-ID", b"X-Nothing")
    (tmp_path / "a.pcap").write_bytes(pcap([(START_NS, ipv4(udp(raw)))], link_type=101))
    policy = make_policy(tmp_path, RULES_BLOCKING, guard="off")
    tally = tally_of(replay_capture([str(tmp_path / "a.pcap")], policy).records, policy)
    assert (tally.calls, len(tally.hurt), tally.by_outcome) == (1, 1, {"blocked": 1})


def test_the_same_call_id_in_another_run_is_another_call(tmp_path: Path) -> None:
    tally = tally_of(*records_of(tmp_path, RULES_BLOCKING + RULES_CALLS), runs=2)
    assert (tally.calls, len(tally.hurt), tally.by_outcome) == (2, 2, {"blocked": 2})


def test_the_last_outcome_counts(tmp_path: Path) -> None:
    records, policy = records_of(tmp_path, RULES_CALLS)
    (told,) = (record for record in records if isinstance(record, EmergencyCall))
    impaired = msgspec.structs.replace(told, outcome="impaired")
    assert tally_of([impaired, told], policy).by_outcome == {"completed": 1}


def test_a_call_is_guarded_only_while_every_one_of_its_messages_passed(tmp_path: Path) -> None:
    records, policy = records_of(tmp_path, RULES_BLOCKING + RULES_CALLS, guard="enforce")
    assert tally_of(records, policy).guarded == 1
    last = next(record for record in reversed(records) if isinstance(record, SipDecision))
    enforced = msgspec.structs.replace(last, decision=msgspec.structs.replace(last.decision, enforced=True))
    assert tally_of([*records, enforced], policy).guarded == 0


@pytest.mark.parametrize(("guard", "outcome"), [("off", "impaired"), ("enforce", "in_progress")])
def test_a_hurt_call_whose_beginning_is_missing_is_a_call(tmp_path: Path, guard: str, outcome: str) -> None:
    records, policy = records_of(tmp_path, RULES_BLOCKING + RULES_CALLS, guard)
    ack = [record for record in records if isinstance(record, SipDecision) and record.pcap_cnt == 4]
    tally = tally_of(list(ack), policy)
    assert (tally.calls, len(tally.hurt), tally.by_outcome) == (1, 1, {outcome: 1})


def test_the_ack_of_an_own_reject_hurts_nobody_again(tmp_path: Path) -> None:
    records, policy = records_of(tmp_path, RULES_BLOCKING + RULES_CALLS)
    (ack,) = (record for record in records if isinstance(record, SipDecision) and record.pcap_cnt == 4)
    own = msgspec.structs.replace(ack, decision=msgspec.structs.replace(ack.decision, reason="reject_ack", rule=None))
    assert not tally_of([own], policy).hurt


def test_endpoints_and_messages_in_words() -> None:
    assert endpoint_text("192.0.2.7", 5060) == "192.0.2.7:5060"
    assert endpoint_text("2001:db8::1", 5060) == "[2001:db8::1]:5060"
    assert sip_summary(SipFields(method="BYE", uri="sip:a@example.com")) == "BYE sip:a@example.com"
    assert sip_summary(SipFields(code="180", reason="Ringing", cseq="1 INVITE")) == "180 Ringing (1 INVITE)"
    assert sip_summary(None) == "unreadable message"


@pytest.mark.parametrize("guard", ["off", "enforce"])
def test_what_no_call_lacks_hurts_none(tmp_path: Path, guard: str) -> None:
    ack = message(f"ACK {SOS} SIP/2.0", "1 ACK", call_id="c1", to_tag="b").replace(b"1ACK", b"1INVITE")
    busy = message("SIP/2.0 486 Busy Here", "1 INVITE", call_id="c1", to_tag="b")
    refused = [forth(invite()), back(busy), forth(ack)]
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap([(START_NS + at * 10**9, packet) for at, packet in enumerate(refused)], link_type=101))
    no_ack = "\n  - {name: no-ack, when: 'sip.Method == \"ACK\"', action: drop}"
    policy = make_policy(tmp_path, no_ack + RULES_CALLS, guard=guard)
    tally = replay_capture([str(path)], policy).report.policy
    assert (len(tally.hurt), tally.guarded, tally.by_outcome) == (0, 0, {"failed_downstream": 1})
    assert tally.verdicts["drop"] == 1
