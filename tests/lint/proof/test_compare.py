"""Every pair of rules between which a verdict changes is found once, the limits of both policies taken as they are."""

import pytest

from firewall.lint.proof.compare import Comparison, compare
from firewall.lint.proof.kinds import MAX_KINDS
from tests.lint.policies import BESIDE_MANAGEMENT, policy, rule


def between(before: str, after: str) -> Comparison:
    return compare(policy(before), policy(after))


def pairs(found: Comparison) -> set[tuple[str | None, str | None, bool]]:
    return {(each.before.rule, each.after.rule, each.is_emergency) for each in found.changes}


def test_each_pair_of_rules_is_one_change_for_emergencies_and_one_for_others() -> None:
    found = between("", rule('sip.Method == "INFO"'))
    assert pairs(found) == {
        (before, "guilty", is_emergency)
        for before in ("from-carrier", "from-psaps", None)
        for is_emergency in (False, True)
    }


def test_a_rule_about_what_no_grammar_has_is_a_change() -> None:
    found = between("", rule('sip.From matches "^[A-Za-z]+, [A-Z]" and sip.Method == "INVITE"'))
    assert ("from-carrier", "guilty", True) in pairs(found)


@pytest.mark.parametrize(
    "what",
    [
        'sip.r-uri matches "^tel:.49"',
        'sip.r-uri matches "^urn:"',
        'sip.Priority matches "non-emergency"',
        'sip.Resource-Priority contains "esnet-like"',
        'sip.to.user == "911"',
    ],
)
def test_what_looks_like_an_emergency_and_is_none_is_among_ordinary_messages(what: str) -> None:
    found = between("", rule(f"{what} and not emergency"))
    assert ("from-carrier", "guilty", False) in pairs(found)


@pytest.mark.parametrize(
    "what",
    [
        'emergency.service matches "^urn:emergency" and sip.Method == "ACK"',
        'emergency.service == "urn:service:sos.fire" and sip.Status-Code == 200',
        'sip.anomaly == "line_end_lf" and sip.Method == "BYE"',
        "malformed and emergency",
    ],
)
def test_what_a_call_keeps_to_its_end_is_asked_about_in_all_its_messages(what: str) -> None:
    found = between("", rule(what))
    assert {after for _, after, is_emergency in pairs(found) if is_emergency} == {"guilty"}


def test_more_services_than_are_told_apart_leave_the_difference_open() -> None:
    many = " or ".join(f'emergency.service == "urn:service:sos.x{number}"' for number in range(MAX_KINDS + 1))
    found = between("", rule(f'({many}) and sip.Method == "BYE"'))
    assert any(str(MAX_KINDS) in each for each in found.unanswered)


def test_two_rules_with_the_same_limit_are_above_it_together() -> None:
    limited = rule("not emergency", more="limit: {rate: 5/1s, per: net.src}", name="a")
    renamed = rule("not emergency", more="limit: {rate: 5/1s, per: net.src}", name="b")
    found = between(limited, renamed)
    assert (found.changes, found.counted, found.unanswered) == ((), (), ())


def test_a_rule_behind_the_limit_that_changes_is_seen_only_below_it() -> None:
    limited = rule("not emergency", "reject", more="limit: {rate: 5/1s, per: net.src}", name="a")
    found = between(limited, limited + rule('sip.Method == "PUBLISH"'))
    words = {word for change in found.changes if not change.is_emergency for where in change.where for word in where}
    assert "the sender is below 5/1s per net.src" in words


def test_a_new_limit_of_many_a_second_is_a_change() -> None:
    limited = rule('sip.Method == "PUBLISH" and not emergency', more="limit: {rate: 500/1s, per: net.src}")
    assert ("from-carrier", "guilty", False) in pairs(between("", limited))


def test_a_limit_that_takes_too_many_messages_to_show_leaves_the_question_open() -> None:
    limited = rule("sip", "reject", more="limit: {rate: 5000/1s}", name="a")
    found = between(limited, rule("sip", more="limit: {rate: 5000/1s}", name="a"))
    assert found.changes == ()
    assert found.unanswered


def test_a_shadow_rule_that_would_decide_on_other_messages_is_told_with_one() -> None:
    found = between(
        rule('sip.Method == "INFO"', more="mode: shadow"), rule('sip.Method == "PUBLISH"', more="mode: shadow")
    )
    assert found.changes == ()
    (shadow,) = found.shadows
    assert shadow.rule == "guilty"
    assert shadow.message.split(" ")[0] == ("INFO" if shadow.is_before else "PUBLISH")


def test_the_call_before_a_message_may_be_one_that_began_before_the_policies_were_loaded() -> None:
    only_odd = rule('sip.Method == "INVITE" and not sip.User-Agent == "odd"', name="a")
    found = between(only_odd, only_odd + rule('sip.Method == "BYE" and dialog.state == "confirmed"'))
    assert {each.set_up > 0 for each in found.changes} == {True}


def test_a_rule_about_anomalies_is_a_change_shown_by_a_message_that_has_one() -> None:
    found = between("", rule('sip.anomaly == "conflicting_cseq" and not emergency', name="odd"))
    assert {(each.before.rule, each.after.rule) for each in found.changes} >= {("from-carrier", "odd")}
    assert found.changes[0].messages == ["INVITE with conflicting_cseq"]


def test_a_rule_about_anomalies_together_with_what_no_odd_message_here_has_leaves_the_question_open() -> None:
    odd = rule('sip.anomaly == "bare_cr" and sip.User-Agent contains "x" and not emergency', name="odd")
    found = between(odd, odd.replace('"x"', '"y"'))
    assert found.changes == ()
    assert found.unanswered
    assert between(odd, odd.replace("and sip.User-Agent", "and sip and sip.User-Agent")).unanswered == ()


def test_reasons_why_a_datagram_is_no_message_are_told_apart() -> None:
    found = between(rule('malformed.reason in {"stun", "not_sip"}'), rule('malformed.reason == "not_sip"'))
    assert {(each.before.rule, each.after.rule) for each in found.changes} >= {("guilty", "from-carrier")}
    assert between(rule('malformed.reason == "stun"'), rule('malformed.reason in {"stun"}')).unanswered == ()


def test_what_is_no_message_may_be_of_any_length_and_come_over_tcp() -> None:
    for more in ("frame.len > 900", "tcp"):
        found = between("", rule(f"malformed and {more}"))
        assert found.changes == ()
        assert found.unanswered


@pytest.mark.parametrize("kind", ["sip.Method", "sip.Status-Code"])
def test_a_message_without_the_branch_of_today_belongs_to_its_call_all_the_same(kind: str) -> None:
    """RFC 3261 §17.2.3: the transactions of an RFC 2543 element are told by their tags."""
    when = f'not sip.Via.branch contains "z9hG4bK" and {kind}'
    found = between(rule(when), rule(f"{when} and not emergency"))
    assert {is_emergency for _, _, is_emergency in pairs(found)} == {True}
    assert found.unanswered == ()


@pytest.mark.parametrize("odd", ["sip.Max-Forwards == 0", "count(sip.From) > 1", "len(sip.r-uri) > 5000"])
def test_a_rule_about_what_no_message_of_the_model_has_leaves_the_question_open(odd: str) -> None:
    found = between(rule(f"{odd} and not emergency"), "")
    assert found.changes == ()
    assert found.unanswered


def test_a_rule_about_what_no_message_at_all_has_changes_nothing() -> None:
    found = between(rule('sip.User-Agent matches "a$b" and not emergency'), "")
    assert (found.changes, found.unanswered) == ((), ())


@pytest.mark.parametrize(
    ("before", "after"),
    [("in {0, 3}", "== 3"), ("<= 3", "in {1 .. 3}"), ("not sip.Max-Forwards in {0, 3}", "not sip.Max-Forwards == 3")],
)
def test_a_number_that_no_message_of_the_model_has_leaves_the_question_open(before: str, after: str) -> None:
    one, other = (each if each.startswith("not") else f"sip.Max-Forwards {each}" for each in (before, after))
    found = between(rule(f"{one} and not emergency"), rule(f"{other} and not emergency"))
    assert found.changes == ()
    assert found.unanswered == ("the rules look at sip.Max-Forwards in a way that no message tried here shows",)


def test_numbers_that_no_message_can_have_change_nothing() -> None:
    found = between(rule("sip.Max-Forwards < 5 and not emergency"), rule("sip.Max-Forwards <= 4 and not emergency"))
    assert (found.changes, found.unanswered) == ((), ())


def test_what_is_decided_otherwise_by_an_interface_of_no_zone_is_a_change() -> None:
    blocking = rule('zone.src == "carrier" and sip.Method == "INVITE"')
    found = compare(policy(zones=BESIDE_MANAGEMENT), policy(blocking, zones=BESIDE_MANAGEMENT))
    assert pairs(found) == {("from-carrier", "guilty", True), ("from-carrier", "guilty", False)}
