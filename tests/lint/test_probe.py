from dataclasses import replace
from itertools import pairwise

from firewall.lint.flow import VOICE
from firewall.lint.form import SOS
from firewall.lint.instant import BASE_NS
from firewall.lint.probe import Probe, Questioner, replays_without_interfaces
from firewall.lint.proof.prove import calling_pairs
from tests.lint.policies import policy, rule


def probe() -> Probe:
    return Probe(VOICE, SOS, calling_pairs(policy())[0], BASE_NS)


def test_a_call_that_passes_is_asked_to_its_end() -> None:
    engine, asked = Questioner(policy()), probe()
    assert engine.ask(asked) is None
    last = Questioner(policy(rule('sip.CSeq.method == "BYE" and sip.Status-Code'))).ask(asked)
    assert last is not None
    assert len(last.sent) == len(asked.steps())


def test_a_probe_ends_at_the_first_message_that_does_not_pass() -> None:
    blocked = Questioner(policy(rule("sip.Status-Code == 180"))).ask(probe())
    assert blocked is not None
    assert [sent.label for sent in blocked.sent] == ["INVITE", "100 Trying (INVITE)", "180 Ringing (INVITE)"]
    assert blocked.decision.decision.rule == "guilty"


def test_each_message_arrives_by_its_senders_interface_at_its_instant() -> None:
    sent = probe().sent()
    assert [each.datagram.in_iface for each in sent[:3]] == ["f0", "f1", "f1"]
    assert sent[0].at_ns == BASE_NS
    assert all(earlier.at_ns < later.at_ns for earlier, later in pairwise(sent))


def test_a_witness_is_confirmed_only_where_the_engine_blocks_it_for_the_same_reason() -> None:
    guilty, innocent = Questioner(policy(rule("emergency"))), Questioner(policy())
    blocked = guilty.ask(probe())
    assert blocked is not None
    witness = blocked.witness()
    assert guilty.confirms(witness)
    assert not innocent.confirms(witness)
    assert not guilty.confirms(replace(witness, reason="default"))


def test_one_probe_leaves_nothing_behind_for_the_next() -> None:
    limited = policy(rule("emergency", more="limit: {rate: 1/1h, per: net.src, burst: 20}"))
    questioner = Questioner(limited)
    assert [questioner.ask(probe()) for _ in range(5)] == [None] * 5


def test_a_witness_between_zones_that_only_interfaces_tell_apart_cannot_be_replayed() -> None:
    zones = "zones:\n  psap: {interfaces: [f1]}\n  carrier: {interfaces: [f0]}\n"
    when = rule('zone.src == "carrier" and emergency')
    for tested, replayable in ((policy(when), True), (policy(when, zones=zones), False)):
        blocked = Questioner(tested).ask(Probe(VOICE, SOS, calling_pairs(tested)[0], BASE_NS))
        assert blocked is not None
        assert replays_without_interfaces(tested, blocked.witness()) is replayable
