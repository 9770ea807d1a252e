from firewall.lint.flow import selected
from firewall.lint.proof.asking import Asker, Undecided
from firewall.lint.proof.context import Context, contexts
from firewall.lint.proof.encoding import Encoding
from firewall.lint.proof.prove import calling_pairs, merged
from firewall.lint.proof.witness import Staged
from firewall.ruleset.policy import Policy
from tests.lint.policies import ZONES, policy, rule


def asker(tested: Policy) -> Asker:
    return Asker(Encoding([tested]), tested)


def kinds(tested: Policy, asking: Asker) -> list[Context]:
    every = [
        each for pair in calling_pairs(tested) for each in contexts(tested, selected(tested.emergency.flows), pair)
    ]
    return list(merged(asking, every))


def first_answer(tested: Policy) -> Staged | Undecided | None:
    """What comes of the question whether the first rule decides the first message of a call."""
    asking = asker(tested)
    context = next(each for each in kinds(tested, asking) if each.step.role == "initial")
    return asking.ask(context, [asking.encoding.policies[0].rules[0].decides], lambda staged: staged)


def test_the_plainest_message_that_meets_the_question_is_found() -> None:
    staged = first_answer(policy(rule('sip.Subject == "now"'), zones=ZONES))
    assert isinstance(staged, Staged)
    datagram = staged.sent[-1].datagram
    assert b"\r\nSubject: now\r\n" in datagram.payload
    assert (datagram.src_ip, datagram.src_port, datagram.transport) == ("192.0.2.10", 5060, "UDP")


def test_only_what_the_question_demands_is_unusual() -> None:
    staged = first_answer(policy(rule("ipv6 and tcp and frame.len > 9000"), zones=ZONES))
    assert isinstance(staged, Staged)
    datagram = staged.sent[-1].datagram
    assert datagram.src_ip.startswith("2001:db8:1:")
    assert datagram.transport == "TCP"
    assert datagram.frame_len == 9001
    assert datagram.src_port == 5060


def test_a_question_that_no_message_meets_has_no_answer() -> None:
    assert first_answer(policy(rule("net.src == 203.0.113.1"))) is None
    assert first_answer(policy(rule('sip.r-uri contains "urn:" and sip.r-uri.host'))) is None


def test_what_is_not_known_to_be_impossible_is_undecided() -> None:
    assert isinstance(first_answer(policy(rule('sip matches "^INVITE.*union select"'))), Undecided)


def test_contexts_that_no_atom_tells_apart_are_asked_once() -> None:
    plain, told_apart = policy(), policy(rule('sip.Method == "PRACK"') + rule("sip.Status-Code == 180", name="other"))
    few, more = (len(kinds(each, asker(each))) for each in (plain, told_apart))
    assert few < more
