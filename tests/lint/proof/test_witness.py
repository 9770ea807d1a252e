import re

import pytest

from firewall.lint.flow import FLOWS
from firewall.lint.probe import Blocked, Questioner
from firewall.lint.proof.asking import Asker
from firewall.lint.proof.context import contexts
from firewall.lint.proof.encoding import Encoding
from firewall.lint.proof.prove import calling_pairs
from firewall.lint.proof.witness import Staged, run
from firewall.ruleset.policy import Policy
from firewall.sip.message import Request, parse_message
from tests.lint.policies import policy, rule


def staged(tested: Policy, label: str) -> Staged:
    """The call whose message of this label the first rule decides."""
    asking = Asker(Encoding([tested]), tested)
    (pair,) = calling_pairs(tested)
    context = next(each for each in contexts(tested, FLOWS[:2], pair) if each.step.label == label)
    found = asking.ask(context, [asking.encoding.policies[0].rules[0].decides], lambda each: each)
    assert isinstance(found, Staged)
    return found


def test_a_changed_call_id_is_that_of_the_whole_call() -> None:
    tested = policy(rule('sip.Method == "BYE" and len(sip.Call-ID) > 60'))
    found = staged(tested, "BYE")
    names = {parse_message(each.datagram.payload).call_id for each in found.sent}
    assert len(names) == 1
    assert len(names.pop() or "") > 60
    assert isinstance(run(found, Questioner(tested)), Blocked)


def test_the_earlier_messages_of_the_call_come_first_and_the_later_ones_are_known() -> None:
    found = staged(policy(rule('sip.Method == "ACK"')), "ACK")
    assert found.sent[0].label == "INVITE"
    assert found.sent[-1].label == "ACK"
    assert found.whole().sent[-1].label == "200 OK (BYE)"


def test_a_size_is_met_by_padding_and_the_content_length_stays_true() -> None:
    found = staged(policy(rule("frame.len in {20000..20010}")), "INVITE")
    message = parse_message(found.sent[-1].datagram.payload)
    assert 20_000 <= found.sent[-1].datagram.frame_len <= 20_010
    assert message.header("content-length") == str(len(message.body))


def test_where_an_earlier_message_is_blocked_the_guard_lets_the_later_one_be_judged() -> None:
    tested = policy(rule('sip.Method == "BYE"') + rule('sip.Method == "INVITE"', name="earlier"))
    found = staged(tested, "BYE")
    plain, guarded = run(found, Questioner(tested)), run(found, Questioner(tested), guard="enforce")
    assert isinstance(plain, Blocked)
    assert isinstance(guarded, Blocked)
    assert (plain.decision.decision.rule, guarded.decision.decision.rule) == ("earlier", "guilty")


@pytest.mark.parametrize(
    "called",
    [
        r"^sip:[+]44[0-9]{10}@",
        r"^tel:",
        r"^sip:[+0-9]+;npdi@",
        r"^sip:alice@phones[.]caller[.]example",
        r"^sip:[a-z0-9]+@home1[.]net;gr=urn:uuid:",
        r"^sip:\[2001:db8::1\]:1357$",
    ],
)
def test_an_unmarked_callback_goes_to_whoever_called(called: str) -> None:
    """A rule against what no number of this country is meets the call back to a caller who is called so."""
    when = 'zone.src == "psap" and dialog.state == "none" and not sip.Priority and sip.Method == "INVITE"'
    tested = policy(rule(f'{when} and sip.r-uri matches r"{called}"'))
    asking = Asker(Encoding([tested]), tested)
    (pair,) = calling_pairs(tested)
    unmarked = next(flow for flow in FLOWS if flow.name == "callback without a mark")
    context = next(each for each in contexts(tested, (unmarked,), pair) if each.step.role == "callback")
    found = asking.ask(context, [asking.encoding.policies[0].rules[0].decides], lambda each: each)
    assert isinstance(found, Staged)
    first, last = (parse_message(each.datagram.payload) for each in (found.sent[0], found.sent[-1]))
    assert isinstance(last, Request)
    assert re.search(called, last.request_uri)
    assert last.request_uri == first.from_.uri
    blocked = run(found, Questioner(tested))
    assert isinstance(blocked, Blocked)
    assert blocked.decision.emergency is not None
    assert blocked.decision.emergency.emergency_class == "callback"


def test_a_size_is_met_to_the_byte() -> None:
    for size in (4010, 4011, 611):
        found = staged(policy(rule(f"frame.len == {size}")), "INVITE")
        assert found.sent[-1].datagram.frame_len == size


def test_over_udp_what_the_psap_asks_comes_from_another_port_and_its_answers_from_where_it_listens() -> None:
    tested = policy(rule('zone.src == "psap" and udp.srcport > 40000'))
    asking = Asker(Encoding([tested]), tested)
    (pair,) = calling_pairs(tested)
    every = contexts(tested, FLOWS[1:2], pair)
    context = next(each for each in every if each.step.label == "BYE")
    found = asking.ask(context, [asking.encoding.policies[0].rules[0].decides], lambda each: each)
    assert isinstance(found, Staged)
    ports = [(each.datagram.src_port, each.datagram.dst_port) for each in found.whole().sent]
    assert ports[:2] == [(5060, 5060)] * 2
    assert ports[-2:] == [(40_001, 5060), (5060, 40_001)]
    assert isinstance(run(found, Questioner(tested)), Blocked)
