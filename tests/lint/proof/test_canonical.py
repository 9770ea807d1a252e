"""The one way of writing changes no meaning."""

from hypothesis import given
from hypothesis import strategies as st

from firewall.lint.proof.canonical import Known, canonical, canonical_policies, lemmas, recognises_alike
from firewall.ruleset.evaluate import compile_condition
from firewall.ruleset.expression import Comparison, Condition, Field, Membership, Not, SetMembers
from tests.lint.policies import loaded, policy, rule, text
from tests.ruleset.captured import facts
from tests.ruleset.strategies import conditions

AGENT = Field("sip.User-Agent")


@given(conditions(), st.sampled_from(range(len(facts()))))
def test_a_condition_written_in_the_one_way_is_true_of_the_same_messages(condition: Condition, number: int) -> None:
    message = facts()[number]
    assert compile_condition(canonical(condition, {}))(message) == compile_condition(condition)(message)


def test_equal_lists_of_texts_are_one_condition_whatever_the_name_and_the_order() -> None:
    known: Known = {}
    named = Membership(AGENT, (SetMembers("a", frozenset({"x", "y"})),))
    other = Membership(AGENT, (SetMembers("b", frozenset({"y", "x"})),))
    assert canonical(named, known) == canonical(other, known) == canonical(Membership(AGENT, ("y", "x")), known)


def test_a_list_of_one_text_is_a_comparison() -> None:
    assert canonical(Not(Membership(AGENT, ("x",))), {}) == Not(Comparison(AGENT, "==", "x"))


def test_places_and_the_use_of_the_emergency_section_are_left_out() -> None:
    one = loaded(text(rule("emergency")))
    other = loaded("\n\n" + text(rule("emergency")).replace("to: [psap]", "to: [psap], guard: alert"))
    first, second = canonical_policies([one, other])
    assert (first.zones, first.emergency) == (second.zones, second.emergency)


def test_policies_recognise_alike_when_numbers_and_prefixes_are_the_same() -> None:
    one, other = policy(""), loaded(text("").replace('"911"', '"112"'))
    assert recognises_alike(one, one)
    assert not recognises_alike(one, other)


def test_a_text_is_in_every_list_that_has_it_and_a_list_is_all_of_its_parts() -> None:
    atoms = {
        Comparison(AGENT, "==", "x"): 1,
        Comparison(AGENT, "==", "y"): 2,
        Membership(AGENT, ("x", "y")): 3,
        Membership(AGENT, ("x", "z")): 4,
        Comparison(Field("sip.Subject"), "==", "x"): 5,
    }
    assert sorted(lemmas(atoms)) == [[-3, 1, 2], [-2, 3], [-1, 3], [-1, 4]]
