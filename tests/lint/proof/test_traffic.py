"""All traffic: every method in every state of a dialog, emergency or not, each as the engine really meets it."""

from firewall.lint.proof.kinds import METHODS
from firewall.lint.proof.traffic import Chain, chains, contexts_of_anybody, plain_ends
from firewall.ruleset.expression import Atom, Comparison, Contains, Field, Membership
from firewall.sip.message import Request
from tests.lint.policies import loaded, policy, text

POLICY = policy("")


def traffic(*atoms: Atom) -> list[Chain]:
    return chains(POLICY, atoms, plain_ends(POLICY))[0]


def kinds(found: list[Chain]) -> set[tuple[str | None, str, str]]:
    """Class, method (or status) and dialog state of every message."""
    return {
        (
            context.facts.emergency.emergency_class if context.facts.emergency is not None else None,
            context.facts.message.method if isinstance(context.facts.message, Request) else "response",
            context.facts.dialog_state,
        )
        for chain in found
        for context in chain
        if context.facts.message is not None
    }


def test_every_class_has_requests_and_responses_in_every_state() -> None:
    found = kinds(traffic())
    for emergency_class in (None, "call", "callback", "test"):
        for state in ("none", "early", "confirmed", "terminated"):
            assert (emergency_class, "response", state) in found
            assert {(emergency_class, "INVITE", state), (emergency_class, "ACK", state)} <= found
    assert {("text", "MESSAGE", "none"), ("registration", "REGISTER", "none")} <= found


def test_methods_that_no_rule_and_no_engine_tells_apart_are_asked_about_once() -> None:
    def ordinary(*atoms: Atom) -> set[str]:
        return {method for of, method, state in kinds(traffic(*atoms)) if (of, state) == (None, "terminated")}

    named = ordinary(Comparison(Field("sip.Method"), "==", "PUBLISH"))
    assert named - ordinary() == {"PUBLISH"}
    assert len(ordinary()) < len(METHODS)


def test_a_method_that_only_a_rule_names_is_among_them() -> None:
    found = kinds(traffic(Membership(Field("sip.Method"), ("X-ODD",))))
    assert (None, "X-ODD", "confirmed") in found


def test_what_belongs_to_nothing_and_what_is_no_sip_is_there_too() -> None:
    every = [context for chain in traffic() for context in chain]
    assert any(context.facts.malformed is not None and context.is_fixed for context in every)
    strays = [each for each in every if "nobody knows" in each.flow.name and each.index == 0]
    assert strays
    assert not any(each.follows for each in strays)


def test_in_a_chain_everything_before_a_message_passed() -> None:
    chain = next(each for each in traffic() if each[0].flow.name == "ordinary INVITE in a confirmed dialog")
    assert [context.follows for context in chain] == [False, True, True, True, True, True]
    assert [context.facts.dialog_state for context in chain[-2:]] == ["confirmed", "confirmed"]


def test_an_ordinary_message_may_not_become_an_emergency_where_rules_look_at_what_would_make_it_one() -> None:
    def language(*atoms: Atom) -> int:
        chain = next(each for each in traffic(*atoms) if each[0].flow.name == "ordinary INVITE outside a call")
        return len(chain[0].language)

    assert language() == 0
    assert language(Contains(Field("sip.r-uri"), "x")) > 0


def test_whom_a_register_is_for_makes_no_emergency() -> None:
    chain = next(
        each
        for each in traffic(Contains(Field("sip.to.user"), "x"))
        if each[0].flow.name == "ordinary REGISTER outside a call"
    )
    assert {context.language for context in chain} == {()}


def test_anybodys_messages_are_of_either_side_to_anyone_those_with_few_before_them_first() -> None:
    asked = [Comparison(Field("malformed.reason"), "==", "not_sip")]
    every, untold = contexts_of_anybody(POLICY, asked, plain_ends(POLICY))
    assert {each.facts.zone_src for each in every} == {"carrier", "psap"}
    assert all(each.to_anyone for each in every)
    assert [each.index for each in every] == sorted(each.index for each in every)
    assert untold == ()


def test_methods_that_cannot_be_told_apart_are_told() -> None:
    asked = [Contains(Field("sip.Method"), text) for text in "ABCDEFGH"]
    every, untold = chains(POLICY, asked, plain_ends(POLICY))
    assert untold == ("the rules tell more than 128 methods apart",)
    assert any("X-ORDINARY" in chain[0].flow.name for chain in every)


def test_without_zones_documentation_addresses_stand_for_the_ends() -> None:
    ends = plain_ends(loaded(text("", zones="", emergency="", after="")))
    assert (ends.caller.ip, ends.psap.ip) == ("192.0.2.10", "198.51.100.20")
