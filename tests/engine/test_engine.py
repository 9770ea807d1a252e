"""The engine as a whole: verdict semantics of DESIGN section 5, exceptions, guard, clock."""

import socket
from typing import Literal

import pytest

from firewall.engine.engine import Engine
from firewall.engine.events import DatagramReceived, DeadlineReached, InterceptionLost, PolicyRefused, PolicyReplaced
from firewall.engine.outputs import Forward, Write, WriteDecision
from firewall.engine.record import PolicyChange, Stats
from firewall.errors import Place
from firewall.net.datagram import Datagram
from tests.messages import CARRIER, PSAP, SDP, request, response
from tests.scene import START, Scene, Told, policy

INVITES_ONLY = "  - {name: calls, when: 'sip.Method == \"INVITE\"', action: allow}"
ORDINARY = "sip:6175550199@198.51.100.10"


def test_the_shortest_policy_allows_invite_and_the_whole_call_follows() -> None:
    scene = Scene(policy(INVITES_ONLY))
    invite = request(uri=ORDINARY, body=SDP)
    told = [
        scene.carrier(invite),
        scene.psap(response(invite, 100, to_tag=None), at_s=0.01),
        scene.psap(response(invite, 180), at_s=0.1),
        scene.carrier(request("PRACK", ORDINARY, to_tag="psap", cseq=2), at_s=0.2),
        scene.psap(response(request("PRACK", ORDINARY, to_tag="psap", cseq=2)), at_s=0.3),
        scene.psap(response(invite, 200), at_s=1),
        scene.carrier(request("ACK", ORDINARY, to_tag="psap", branch="z9hG4bK-own"), at_s=1.1),
        scene.carrier(request("BYE", ORDINARY, to_tag="psap", cseq=3), at_s=9),
        scene.psap(response(request("BYE", ORDINARY, to_tag="psap", cseq=3)), at_s=9.1),
    ]
    assert [t.verdict for t in told] == ["allow"] * 9
    assert [t.reason for t in told] == [
        "rule", "response", "response", "in_dialog", "response", "response", "in_dialog", "in_dialog", "response",
    ]  # fmt: skip
    assert [t.decision.dialog.state for t in told if t.decision.dialog] == [
        "none", "none", "none", "early", "early", "early", "confirmed", "confirmed", "terminated",
    ]  # fmt: skip
    assert all(len(t.forwarded) == 1 for t in told)


def test_rules_about_methods_are_asked_in_their_order_whatever_the_method_is() -> None:
    rules = "\n".join(
        (
            '  - {name: known, when: \'sip.Method in {"BYE", "INFO"}\', action: drop}',
            "  - {name: any, when: 'sip.CSeq.seq == 7', action: drop}",
            '  - {name: unknown, when: \'sip.Method == "FROB" or sip.Method == "INFO"\', action: allow}',
        )
    )
    scene = Scene(policy(rules))
    told = {
        (method, number): scene.carrier(request(method, ORDINARY, cseq=number, call_id=f"{method}-{number}")).decision
        for method in ("BYE", "INFO", "FROB", "invite", "INVITE")
        for number in (1, 7)
    }
    assert {key: decision.decision.rule for key, decision in told.items()} == {
        ("BYE", 1): "known", ("BYE", 7): "known",
        ("INFO", 1): "known", ("INFO", 7): "known",
        ("FROB", 1): "unknown", ("FROB", 7): "any",
        ("invite", 1): None, ("invite", 7): "any",
        ("INVITE", 1): None, ("INVITE", 7): "any",
    }  # fmt: skip


def test_the_called_party_may_end_the_call() -> None:
    scene = Scene(policy(INVITES_ONLY))
    invite = request(uri=ORDINARY)
    scene.carrier(invite)
    scene.psap(response(invite), at_s=1)
    bye = request("BYE", "sip:6175550123@192.0.2.10", from_tag="psap", to_tag="caller", to="<sip:a@b>")
    assert scene.psap(bye, at_s=5).reason == "in_dialog"


def test_a_cancel_follows_its_invite_and_its_response_follows_it() -> None:
    scene = Scene(policy(INVITES_ONLY))
    invite = request(uri=ORDINARY, branch="z9hG4bK-x")
    cancel = request("CANCEL", ORDINARY, branch="z9hG4bK-x")
    scene.carrier(invite)
    assert scene.carrier(cancel, at_s=1).reason == "cancel"
    assert scene.psap(response(cancel), at_s=1.1).reason == "response"
    assert scene.psap(response(invite, 487), at_s=1.2).reason == "response"
    assert scene.carrier(request("ACK", ORDINARY, branch="z9hG4bK-x", to_tag="psap"), at_s=1.3).reason == "in_dialog"


@pytest.mark.parametrize(
    "stray",
    [
        request("BYE", ORDINARY, to_tag="psap", cseq=2),
        request("CANCEL", ORDINARY, branch="z9hG4bK-unknown"),
        response(request(uri=ORDINARY)),
        request("INVITE", ORDINARY, to_tag="psap", from_tag="stranger").replace(b"INVITE", b"INFO"),
    ],
)
def test_what_belongs_to_nothing_gets_the_default(stray: bytes) -> None:
    told = Scene(policy(INVITES_ONLY)).carrier(stray)
    assert (told.verdict, told.reason, told.forwarded) == ("drop", "default", [])


def test_a_known_call_id_with_a_strangers_tags_does_not_belong() -> None:
    scene = Scene(policy(INVITES_ONLY))
    invite = request(uri=ORDINARY)
    scene.carrier(invite)
    scene.psap(response(invite), at_s=1)
    bye = request("BYE", ORDINARY, from_tag="stranger", to_tag="psap", cseq=2)
    assert scene.carrier(bye, at_s=2).reason == "default"


def test_first_match_decides_also_inside_a_dialog() -> None:
    rules = "  - {name: no-bye, when: 'sip.Method == \"BYE\"', action: drop}\n" + INVITES_ONLY
    scene = Scene(policy(rules))
    invite = request(uri=ORDINARY)
    scene.carrier(invite)
    scene.psap(response(invite), at_s=1)
    told = scene.carrier(request("BYE", ORDINARY, to_tag="psap", cseq=2), at_s=2)
    assert (told.verdict, told.decision.decision.rule) == ("drop", "no-bye")


def test_a_shadow_rule_is_recorded_and_not_enforced() -> None:
    rules = "  - {name: quiet, when: 'sip.Method == \"INVITE\"', action: drop, mode: shadow}\n" + INVITES_ONLY
    told = Scene(policy(rules)).carrier(request(uri=ORDINARY))
    assert told.verdict == "allow"
    assert [(s.rule, s.verdict) for s in told.decision.decision.shadow] == [("quiet", "drop")]


def test_a_limit_matches_only_above_its_burst_and_refills() -> None:
    rules = "  - {name: cap, limit: {rate: 2/1s, per: net.src, burst: 2}, action: drop}\n" + INVITES_ONLY
    scene = Scene(policy(rules))
    verdicts = [scene.carrier(request(uri=ORDINARY, call_id=f"c{i}"), at_s=0.0).verdict for i in range(4)]
    assert verdicts == ["allow", "allow", "drop", "drop"]
    other = scene.carrier(request(uri=ORDINARY, call_id="x"), src=("192.0.2.77", 5060))
    assert other.verdict == "allow", "each source has a bucket of its own"
    assert scene.carrier(request(uri=ORDINARY, call_id="c5"), at_s=0.5).verdict == "allow", "half a second, one token"
    assert scene.carrier(request(uri=ORDINARY, call_id="c6"), at_s=0.5).verdict == "drop"


def test_a_ban_drops_everything_from_the_source_until_it_ends() -> None:
    rules = "  - {name: scan, when: 'sip.Method == \"REGISTER\"', action: drop, ban: 10s}\n" + INVITES_ONLY
    scene = Scene(policy(rules))
    assert scene.carrier(request("REGISTER", "sip:198.51.100.10")).reason == "rule"
    told = scene.carrier(request(uri=ORDINARY), at_s=9)
    assert (told.verdict, told.reason, told.decision.decision.rule) == ("drop", "banned", "scan")
    assert scene.carrier(request(uri=ORDINARY), at_s=10).verdict == "allow"


def test_a_rejected_invite_is_answered_and_its_ack_ends_here() -> None:
    rules = "  - {name: full, when: 'sip.Method == \"INVITE\"', action: reject, status: 503}"
    scene = Scene(policy(rules, default="allow"))
    invite = request(uri=ORDINARY)
    told = scene.carrier(invite)
    (reply,) = told.replies
    assert told.forwarded == []
    assert (reply.src_ip, reply.src_port, reply.dst_ip, reply.dst_port) == (*PSAP, *CARRIER)
    assert reply.payload.startswith(b"SIP/2.0 503 Service Unavailable\r\n")
    again = scene.carrier(invite, at_s=0.5)
    assert again.replies[0].payload == reply.payload, "RFC 3261 §8.2.7: the same tag for every retransmission"
    ack = scene.carrier(request("ACK", ORDINARY, branch="z9hG4bK-call-1@192.0.2.10-INVITE-1", to_tag="x"), at_s=0.6)
    assert (ack.verdict, ack.reason, ack.forwarded, ack.replies) == ("drop", "reject_ack", [], [])


def test_what_nobody_may_answer_is_dropped_not_rejected() -> None:
    rules = "  - {name: all, action: reject}"
    scene = Scene(policy(rules))
    told = scene.carrier(response(request(uri=ORDINARY)))
    assert (told.verdict, told.replies) == ("drop", [])


def test_the_guard_lets_an_emergency_call_pass_and_says_so() -> None:
    rules = "  - {name: wrong, action: drop}"
    scene = Scene(policy(rules, guard="enforce"))
    told = scene.carrier(request())
    assert told.verdict == "drop"
    assert (told.decision.decision.enforced, told.decision.decision.override) == (False, "guard")
    assert len(told.forwarded) == 1
    assert [a.alarm.code for a in told.alarms] == ["emergency_guarded"]
    assert told.calls == [], "a call that the guard saved is not hurt"


@pytest.mark.parametrize("guard", ["alert", "off"])
def test_without_an_enforcing_guard_the_block_is_alarmed_with_rule_file_and_line(guard: str) -> None:
    scene = Scene(policy("  - {name: wrong, action: drop}", guard=guard))
    told = scene.carrier(request())
    assert told.forwarded == []
    (alarm,) = told.alarms
    assert (alarm.alarm.code, alarm.alarm.rule, alarm.alarm.file) == ("emergency_blocked", "wrong", "policy.yaml")
    assert alarm.alarm.line == told.decision.decision.line
    assert f'rule "wrong" (policy.yaml:{alarm.alarm.line})' in alarm.alarm.message
    (call,) = told.calls
    assert (call.outcome, call.problem, call.attribution) == ("blocked", "InitialTrafficBlocked", "policy")
    again = scene.carrier(request(), at_s=0.5)
    assert (again.verdict, again.alarms, again.calls) == ("drop", [], []), "a retransmission is not a second call"


def test_malformed_bytes_get_the_exception_policy_with_their_reason() -> None:
    told = Scene(policy(INVITES_ONLY)).carrier(b"\xff\xfe not a message")
    assert (told.verdict, told.reason, told.decision.sip) == ("drop", "not_sip", None)
    told = Scene(policy(INVITES_ONLY, more="exceptions: {malformed: allow}")).carrier(b"HELO mail")
    assert (told.verdict, told.reason) == ("allow", "not_sip")


def test_a_rule_may_match_what_is_malformed() -> None:
    told = Scene(policy("  - {name: junk, when: malformed, action: allow}")).carrier(b"junk")
    assert (told.verdict, told.reason) == ("allow", "rule")


@pytest.mark.parametrize("payload", [b"", b"\r\n\r\n", b"\r\n", b"\0\0\0\0"])
def test_a_keep_alive_passes_unless_a_rule_says_otherwise(payload: bytes) -> None:
    assert Scene(policy(INVITES_ONLY)).carrier(payload).reason == "keep_alive"
    assert Scene(policy("  - {name: all, action: drop}")).carrier(payload).verdict == "drop"


def test_an_unreadable_message_that_names_the_sos_service_is_an_emergency() -> None:
    told = Scene(policy(INVITES_ONLY, guard="enforce")).carrier(b"INVITE urn:service:sos\r\n\r\n")
    assert told.decision.emergency is not None
    assert len(told.forwarded) == 1


def test_after_a_restart_unknown_in_dialog_messages_follow_for_an_hour() -> None:
    bye = request("BYE", ORDINARY, to_tag="psap", cseq=7)
    scene = Scene(policy(INVITES_ONLY), takeover=True)
    assert scene.carrier(bye, at_s=1).reason == "takeover"
    assert scene.psap(response(bye), at_s=1.1).verdict == "allow"
    assert scene.carrier(request("OPTIONS", ORDINARY, call_id="new"), at_s=2).reason == "default"
    late = request("BYE", ORDINARY, to_tag="psap", cseq=7, call_id="late")
    assert scene.carrier(late, at_s=3601).reason == "default"


@pytest.mark.parametrize(("effect", "follows"), [("unseen", "takeover"), ("lost", "default")])
def test_after_messages_passed_unseen_those_of_unknown_calls_follow_as_after_a_restart(
    effect: Literal["lost", "unseen"], follows: str
) -> None:
    """An emergency call whose INVITE passed unseen would never be answered: its 200 need not show what it is."""
    scene = Scene(policy(INVITES_ONLY, guard="enforce"))
    scene.tell(InterceptionLost("the nftables table", effect), at_s=1)
    assert scene.psap(response(request(uri=ORDINARY)), at_s=2).reason == follows
    late = request("BYE", ORDINARY, to_tag="psap", cseq=7, call_id="late")
    assert scene.carrier(late, at_s=3602).reason == "default"


def test_a_dialog_picked_up_after_a_restart_is_known_from_then_on() -> None:
    scene = Scene(policy(INVITES_ONLY), takeover=True)
    scene.carrier(request("UPDATE", ORDINARY, to_tag="psap", cseq=7), at_s=1)
    assert scene.carrier(request("BYE", ORDINARY, to_tag="psap", cseq=8), at_s=3599 + 3600).reason == "in_dialog"


def test_a_reload_keeps_the_calls() -> None:
    scene = Scene(policy(INVITES_ONLY))
    invite = request(uri=ORDINARY)
    scene.carrier(invite)
    told = scene.tell(PolicyReplaced(policy("  - {name: none, when: 'sip.Method == \"X\"', action: drop}")), at_s=1)
    assert [o.record.policy.action for o in told.outputs if isinstance(o, Write)] == ["applied"]  # type: ignore[union-attr]
    assert scene.psap(response(invite), at_s=2).reason == "response"


def test_a_reload_is_recorded_with_the_policy_that_comes_into_force() -> None:
    scene, new = Scene(policy(INVITES_ONLY)), policy(INVITES_ONLY + "\n  - {name: all, action: allow}")
    told = scene.tell(PolicyReplaced(new), at_s=1)
    (change,) = [o.record for o in told.outputs if isinstance(o, Write)]
    assert isinstance(change, PolicyChange)
    assert (change.policy.action, change.policy.sha256, change.policy.rules) == ("applied", new.sha256, 2)


def test_a_ban_ends_with_the_policy_that_set_it() -> None:
    banning = "  - {name: scan, when: 'sip.Method == \"REGISTER\"', action: drop, ban: 1h}\n" + INVITES_ONLY
    mended = banning.replace(", ban: 1h", "")
    scene, invite = Scene(policy(banning)), request()
    scene.carrier(request("REGISTER", "sip:198.51.100.10", call_id="r"))
    scene.tell(PolicyReplaced(policy(banning)), at_s=1)
    assert scene.carrier(invite, at_s=2).reason == "banned", "the same, read again, as after a rotation"
    scene.tell(PolicyReplaced(policy(mended)), at_s=3)
    assert scene.carrier(invite, at_s=4).verdict == "allow"


def test_a_refused_policy_is_recorded_and_changes_nothing() -> None:
    scene = Scene(policy(INVITES_ONLY))
    told = scene.tell(PolicyRefused("p.yaml:3:1: error: no", Place("p.yaml", 3, 1)), at_s=1)
    (change,) = [o.record for o in told.outputs if isinstance(o, Write)]
    assert isinstance(change, PolicyChange)
    assert (change.policy.action, change.policy.file) == ("refused", "p.yaml")
    assert scene.carrier(request(uri=ORDINARY), at_s=2).verdict == "allow"


def test_a_clock_set_back_does_not_freeze_limits() -> None:
    rules = "  - {name: cap, limit: {rate: 1/1s}, action: drop}\n" + INVITES_ONLY
    scene = Scene(policy(rules))
    assert scene.carrier(request(uri=ORDINARY, call_id="a"), at_s=3600).verdict == "allow"
    assert scene.carrier(request(uri=ORDINARY, call_id="b"), at_s=0).verdict == "drop"
    assert scene.carrier(request(uri=ORDINARY, call_id="c"), at_s=1.1).verdict == "allow", "an hour back, a second on"


def test_what_is_told_before_a_message_that_waits_fills_no_limit_up() -> None:
    """A capture has the message alone: a replay would decide otherwise."""
    rules = "  - {name: cap, limit: {rate: 1/1s}, action: drop}\n" + INVITES_ONLY
    scene = Scene(policy(rules))
    assert scene.carrier(request(uri=ORDINARY, call_id="a"), at_s=0).verdict == "allow"
    scene.tell(PolicyRefused("p.yaml:3:1: error: no", Place("p.yaml", 3, 1)), at_s=1.01)
    assert scene.carrier(request(uri=ORDINARY, call_id="b"), at_s=0.99).verdict == "drop"
    assert scene.carrier(request(uri=ORDINARY, call_id="c"), at_s=1).verdict == "allow"


def test_a_deadline_forgets_a_finished_transaction_and_names_the_next() -> None:
    scene = Scene(policy("  - {name: options, when: 'sip.Method == \"OPTIONS\"', action: allow}"))
    assert scene.engine.next_deadline() is None
    scene.carrier(request("OPTIONS", ORDINARY), at_s=0)
    deadline = scene.engine.next_deadline()
    assert deadline == START + 32_000_000_000
    scene.engine.handle(DeadlineReached(), deadline)
    assert scene.engine.next_deadline() is None
    assert scene.engine.stats().calls_tracked == 0


def test_without_a_log_a_record_is_made_only_of_what_hurts(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("defect")

    monkeypatch.setattr("firewall.engine.outputs.decision_record", broken)
    rule = "  - {name: no-messages, when: 'sip.Method == \"MESSAGE\"', action: drop}\n" + INVITES_ONLY
    engine = Engine(policy(rule), strict=False, is_logged=False)
    passed = engine.handle(DatagramReceived(Datagram(*CARRIER, *PSAP, request())), START)
    assert [type(output) for output in passed] == [WriteDecision, Forward]
    blocked = Datagram(*CARRIER, *PSAP, request("MESSAGE", call_id="b"))
    hurt = engine.handle(DatagramReceived(blocked), START)
    (told,) = [output for output in hurt if isinstance(output, WriteDecision)]
    assert (told.decision.verdict, told.decision.reason) == ("allow", "internal_error")
    assert Forward(blocked) in hurt


def test_the_record_comes_before_the_message_it_tells_of() -> None:
    outputs = Scene(policy(INVITES_ONLY)).carrier(request()).outputs
    assert [type(output) for output in outputs] == [WriteDecision, Forward]


def test_stopping_tells_the_counts_and_the_calls_still_open() -> None:
    scene = Scene(policy(INVITES_ONLY))
    scene.carrier(request())
    told = scene.stops(at_s=3)
    assert [c.outcome for c in told.calls] == ["in_progress"]
    (stats,) = [o.record for o in told.outputs if isinstance(o, Write) and isinstance(o.record, Stats)]
    assert (stats.stats.messages, stats.stats.allowed, stats.stats.emergency_calls) == (1, 1, 1)


def test_a_datagram_is_forwarded_as_the_very_same_value() -> None:
    datagram = Datagram(*CARRIER, *PSAP, request(), in_iface="f0")
    told = Told(Scene(policy(INVITES_ONLY)).engine.handle(DatagramReceived(datagram), START))
    assert told.forwarded[0] is datagram


@pytest.mark.netns
def test_it_is_tested_where_there_is_no_network() -> None:
    with pytest.raises(OSError, match="Network is unreachable"):
        socket.create_connection(("127.0.0.1", 9), 1)
