"""What is made of the engine's records: calls, hurt calls, outcomes, words."""

from pathlib import Path

import msgspec
import pytest

from firewall.engine.outputs import Write, WriteDecision
from firewall.engine.record import SipFields
from firewall.engine.recording import endpoint_text
from firewall.replay.report import PolicyTally, sip_summary
from tests.messages import request, response
from tests.net.packets import START_NS, pcap
from tests.replay.calls import RULES_CALLS, SOS, back, forth, invite, make_policy, message
from tests.replay.replayed import replay_capture
from tests.scene import ALL, Scene, Told, drop, policy

BLOCK = "  - {name: block, action: drop}"


def a_call(rules: str, guard: str = "off") -> list[Told]:
    """What an engine told of a call that is answered and ended."""
    scene, asked = Scene(policy(rules, guard=guard)), request()
    return [
        scene.carrier(asked),
        scene.psap(response(asked), at_s=1),
        scene.carrier(request("ACK", to_tag="psap"), at_s=1.1),
        scene.carrier(request("BYE", to_tag="psap", cseq=2), at_s=9),
        scene.stops(at_s=10),
    ]


def tally_of(*told: Told, runs: int = 1) -> PolicyTally:
    tally = PolicyTally(policy(ALL))
    for tally.run in range(runs):
        for write in (output for each in told for output in each.outputs if isinstance(output, Write)):
            tally.note(write)
    return tally


def test_a_call_is_hurt_once_and_by_the_first_decision_that_did_it() -> None:
    tally = tally_of(*a_call(BLOCK))
    assert [hurt.message for hurt in tally.hurt.values()] == ["INVITE sip:911@198.51.100.10"]
    assert (tally.verdicts["drop"], sum(tally.deciders.values())) == (4, 4)


def test_a_blocked_call_without_a_call_id_is_one_call() -> None:
    raw = request("INVITE", "urn:service:sos").replace(b"Call-ID", b"X-Nothing")
    tally = tally_of(Scene(policy(BLOCK)).carrier(raw))
    assert (tally.calls, len(tally.hurt), tally.by_outcome) == (1, 1, {"blocked": 1})


def test_the_same_call_id_in_another_run_is_another_call() -> None:
    tally = tally_of(*a_call(BLOCK), runs=2)
    assert (tally.calls, len(tally.hurt), tally.by_outcome) == (2, 2, {"blocked": 2})


def test_the_last_outcome_counts() -> None:
    told = a_call(ALL)
    (ended,) = (call for each in told for call in each.calls)
    impaired = Told([Write(msgspec.structs.replace(ended, outcome="impaired"))])
    assert tally_of(impaired, *told).by_outcome == {"completed": 1}
    assert tally_of(*told, impaired).by_outcome == {"impaired": 1}


def test_a_call_is_guarded_only_while_every_one_of_its_messages_passed() -> None:
    guarded = a_call(BLOCK, guard="enforce")
    assert tally_of(*guarded).guarded == 1
    assert tally_of(*guarded, *a_call(BLOCK)).guarded == 0


@pytest.mark.parametrize(("guard", "outcome"), [("off", "impaired"), ("enforce", "in_progress")])
def test_a_hurt_call_whose_beginning_is_missing_is_a_call(guard: str, outcome: str) -> None:
    ack = [output for output in a_call(drop("ACK"), guard)[2].outputs if isinstance(output, WriteDecision)]
    tally = tally_of(Told([*ack]))
    assert (tally.calls, len(tally.hurt), tally.by_outcome) == (1, 1, {outcome: 1})


def test_the_ack_of_an_own_reject_hurts_nobody_again() -> None:
    scene = Scene(policy("  - {name: no, action: reject, status: 503}"))
    rejected = scene.carrier(request())
    ack = scene.carrier(request("ACK", branch="z9hG4bK-call-1@192.0.2.10-INVITE-1", to_tag="ours"), at_s=0.1)
    assert (ack.verdict, ack.reason) == ("drop", "reject_ack")
    assert (len(tally_of(rejected).hurt), len(tally_of(ack).hurt)) == (1, 0)


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
    rules = make_policy(tmp_path, no_ack + RULES_CALLS, guard=guard)
    tally = replay_capture([str(path)], rules).report.policy
    assert (len(tally.hurt), tally.guarded, tally.by_outcome) == (0, 0, {"failed_downstream": 1})
    assert tally.verdicts["drop"] == 1
