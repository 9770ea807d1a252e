"""Each fix as the change it makes: the line (or lines) before and after; everything else stays byte for byte."""

import difflib

import pytest
from hypothesis import assume, given, reject, settings
from hypothesis import strategies as st

from firewall.errors import PolicyError
from firewall.lint.finding import Finding, Fix
from firewall.lint.fix import fix_of as proposed
from firewall.lint.source import PolicySource
from firewall.ruleset.expression import And, Comparison, Condition, Field, Not, is_about_emergencies
from firewall.ruleset.text import expression_text
from tests.lint.policies import examined, loaded, rule, text
from tests.ruleset.strategies import conditions

NOT_EMERGENCY = Not(Comparison(Field("emergency"), "==", True))


def fix_of(written: str, code: str) -> Fix | None:
    fixes = {finding.code: finding.fix for finding in examined(written).findings}
    return fixes[code]


def change(written: str, code: str) -> list[str]:
    """The lines that the fix of the finding deletes and adds."""
    fix = fix_of(written, code)
    assert fix is not None
    after = PolicySource(written).edited(fix.edits)
    lines = list(difflib.unified_diff(written.split("\n"), after.split("\n"), n=0, lineterm=""))
    return [line for line in lines[2:] if line[0] in "+-"]


@pytest.mark.parametrize(
    ("when", "mended"),
    [
        ("{CANCEL}", "{CANCEL} and not emergency"),
        ("{CANCEL}   # why", "{CANCEL} and not emergency   # why"),
        ("{CANCEL} or {OTHER}", "({CANCEL} or {OTHER}) and not emergency"),
        ("({CANCEL} || {OTHER})", "(({CANCEL} || {OTHER})) and not emergency"),
        ("({CANCEL}) || ({OTHER})", "(({CANCEL}) || ({OTHER})) and not emergency"),
        ('{CANCEL} and not sip.Subject == "a or b"', '{CANCEL} and not sip.Subject == "a or b" and not emergency'),
        ("'{CANCEL}'", "'{CANCEL} and not emergency'"),
        ("'{CANCEL} or {OTHER}'   # why", "'({CANCEL} or {OTHER}) and not emergency'   # why"),
        (r'"sip.Method == \"CANCEL\""', r'"sip.Method == \"CANCEL\" and not emergency"'),
    ],
)
def test_emergency_calls_are_exempted_whatever_the_quoting_and_the_precedence(when: str, mended: str) -> None:
    when, mended = (
        each.replace("{CANCEL}", 'sip.Method == "CANCEL"').replace("{OTHER}", 'sip.Method == "X"')
        for each in (when, mended)
    )
    assert change(text(rule(when)), "SOS102") == [f"-    when: {when}", f"+    when: {mended}"]


@pytest.mark.parametrize("style", [">", "|", ">-", ">  # folded"])
def test_emergency_calls_are_exempted_in_a_block_of_lines(style: str) -> None:
    written = text(rule(f'{style}\n      sip.Method == "CANCEL"\n      or sip.Method == "X"\n'))
    assert change(written, "SOS102") == [
        '-      sip.Method == "CANCEL"',
        '-      or sip.Method == "X"',
        '+      (sip.Method == "CANCEL"',
        '+      or sip.Method == "X") and not emergency',
    ]


def test_emergency_calls_are_exempted_in_a_rule_on_one_line() -> None:
    flow = '  - {name: guilty, when: sip.Method == "CANCEL", action: drop}  # short\n'
    after = '  - {name: guilty, when: sip.Method == "CANCEL" and not emergency, action: drop}  # short\n'
    assert change(text(flow), "SOS102") == [f"-{flow.rstrip()}", f"+{after.rstrip()}"]


@pytest.mark.parametrize(
    "rules", ["  - name: all  # of them\n    # why\n    action: drop\n", "  - action: drop\n    name: all\n"]
)
def test_a_rule_without_a_condition_gets_a_line_for_it(rules: str) -> None:
    added = change(text(rules), "SOS101")
    assert [line.lstrip("+- ") for line in added if line[0] == "+"][:1] == ["when: not emergency"]
    assert len(added) == 1


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("{name: all, action: drop}", "{name: all, when: not emergency, action: drop}"),
        ("{action: drop, name: all}", "{action: drop, name: all, when: not emergency}"),
    ],
)
def test_a_rule_on_one_line_without_a_condition_gets_one(before: str, after: str) -> None:
    assert change(text(f"  - {before}\n"), "SOS101") == [f"-  - {before}", f"+  - {after}"]


def test_lines_that_end_as_on_windows_go_on_doing_so() -> None:
    written = text("  - name: all\n    action: drop\n").replace("\n", "\r\n")
    fix = fix_of(written, "SOS101")
    assert fix is not None
    assert PolicySource(written).edited(fix.edits) == written.replace(
        "name: all\r\n", "name: all\r\n    when: not emergency\r\n"
    )


SETS = """sets:
  # kept
  used: {values: [a]}

  # who uses this?
  lost:  # nobody
    values:
      - b  # last

  also: {values: [c]}
"""
USING = rule("sip.User-Agent in $used and not emergency and not sip.Server in $also")


@pytest.mark.parametrize(
    ("sets", "rules", "after"),
    [
        (SETS, USING, "sets:\n  # kept\n  used: {values: [a]}\n\n  also: {values: [c]}\n"),
        ("sets:\n  lost: {values: [b]}\n", "", ""),
        ("sets: {lost: {values: [b]}}  # x\n", "", ""),
        (
            "sets: {used: {values: [a]}, lost: {values: [b]}, also: {values: [c]}}  # x\n",
            USING,
            "sets: {used: {values: [a]}, also: {values: [c]}}  # x\n",
        ),
        (
            "sets: {used: {values: [a]}, also: {values: [c]}, lost: {values: [b]}}\n",
            USING,
            "sets: {used: {values: [a]}, also: {values: [c]}}\n",
        ),
    ],
)
def test_an_unused_set_is_deleted_with_its_comment(sets: str, rules: str, after: str) -> None:
    written = text(rules, extra=sets)
    fix = fix_of(written, "SOS206")
    assert fix is not None
    assert PolicySource(written).edited(fix.edits) == text(rules, extra=after)


NARROW = rule('sip.Method == "PUBLISH" and not emergency', name="narrow")
WIDE = rule('sip.Method in {"PUBLISH", "REFER"} and not emergency', name="wide")


def test_a_redundant_rule_is_deleted_with_its_comment() -> None:
    written = text("  # old\n" + NARROW + "\n" + WIDE)
    assert change(written, "SOS202") == [
        "-  # old",
        "-  - name: narrow",
        '-    when: sip.Method == "PUBLISH" and not emergency',
        "-    action: drop",
        "-",
    ]


def test_an_unreachable_rule_is_deleted_with_certainty_only_where_it_wants_what_happens_anyway() -> None:
    same, other = fix_of(text(WIDE + NARROW), "SOS201"), fix_of(text(WIDE + NARROW.replace("drop", "allow")), "SOS201")
    assert same is not None
    assert other is not None
    assert (same.is_certain, other.is_certain) == (True, False)


def test_what_a_person_must_decide_is_only_offered() -> None:
    ban = rule('sip.User-Agent contains "scan" and not emergency', more="ban: 10m")
    offered = fix_of(text(ban), "SOS109")
    assert offered is not None
    assert not offered.is_certain
    assert 'and not zone.src == "carrier" and not zone.src == "psap"' in PolicySource(text(ban)).edited(offered.edits)
    never = fix_of(text(rule('sip.Method == "PUBLISH" and sip.Method == "REFER"')), "SOS203")
    assert never is not None
    assert not never.is_certain


def test_a_rule_about_emergencies_alone_is_offered_to_be_deleted() -> None:
    offered = fix_of(text(rule('emergency.class == "test"')), "SOS110")
    assert offered is not None
    assert (offered.description, offered.is_certain) == ('Delete rule "guilty"', False)


@pytest.mark.parametrize(
    ("ban", "left"),
    [
        (rule('zone.src == "carrier" and sip.Subject', more="ban: 10m"), "    action: drop\n  - name: from"),
        (
            '  - {name: guilty, when: zone.src == "carrier" and sip.Subject, action: drop, ban: 1m}\n',
            '  - {name: guilty, when: zone.src == "carrier" and sip.Subject, action: drop}\n',
        ),
    ],
)
def test_a_rule_about_zones_of_emergency_calls_is_offered_to_drop_without_a_ban(ban: str, left: str) -> None:
    offered = fix_of(text(ban), "SOS109")
    assert offered is not None
    assert (offered.description, offered.is_certain) == ('Drop without a ban in rule "guilty"', False)
    assert left in PolicySource(text(ban)).edited(offered.edits)


def test_the_dash_of_a_rule_is_not_deleted_with_its_ban() -> None:
    first = '  - ban: 10m\n    name: guilty\n    when: zone.src == "carrier" and sip.Subject\n    action: drop\n'
    assert fix_of(text(first), "SOS109") is None


@pytest.mark.parametrize(
    "ban",
    [
        '  - {name: guilty, when: sip.User-Agent == "x" and not emergency, action: drop, ban: 1m}\n',
        '  - {name: guilty, when: "sip.User-Agent == \\"x\\" or sip.Server", action: drop, ban: 1m}\n',
        "  - {name: guilty, action: drop, ban: 1m}\n",
        rule('"sip.User-Agent == \\"x\\""', more="ban: 1m"),
        rule("'sip.User-Agent == \"x\"'", more="ban: 1m"),
    ],
)
def test_a_ban_that_spares_the_zones_can_be_loaded_whatever_the_quoting(ban: str) -> None:
    offered = fix_of(text(ban), "SOS109")
    assert offered is not None
    mended = examined(PolicySource(text(ban)).edited(offered.edits))
    assert "SOS109" not in {finding.code for finding in mended.findings}


def test_the_exception_that_blocks_calls_is_set_to_allow() -> None:
    written = text(extra="exceptions: {internal_error: 'drop', table_full: allow}\n")
    assert change(written, "SOS105") == [
        "-exceptions: {internal_error: 'drop', table_full: allow}",
        "+exceptions: {internal_error: allow, table_full: allow}",
    ]


def test_a_rule_that_exempts_emergency_calls_already_has_no_fix() -> None:
    written = text(rule('sip.Method == "OPTIONS" and not emergency'))
    assert fix_of(written, "SOS107") is None


def yaml_of(expression: str, style: str) -> str:
    """An expression as a value in one of YAML's ways to write it."""
    match style:
        case "single":
            return "'" + expression.replace("'", "''") + "'"
        case "double":
            return '"' + expression.replace("\\", "\\\\").replace('"', '\\"') + '"'
        case _:
            return f"{style}\n      {expression}\n\n"


@settings(max_examples=300, deadline=None, derandomize=True)
@given(conditions(), st.sampled_from(["single", "double", ">", "|", ">-", "|+"]))
def test_whatever_the_expression_and_its_quoting_the_fix_is_that_expression_and_not_emergency(
    condition: Condition, style: str
) -> None:
    expression = expression_text(condition)
    assume(expression.isprintable())
    sets = "sets: {agents: {values: [sipcli]}, blocked: {networks: [203.0.113.0/24]}}\n"
    written = text(rule(yaml_of(expression, style)), extra=sets)
    try:
        policy = loaded(written)
    except PolicyError:  # a zone that is not defined
        reject()
    finding = Finding("SOS101", "message", policy.rules[0].place, "help", "guilty")
    fix = proposed(finding, policy, PolicySource(written))
    before = policy.rules[0].when
    assume(not is_about_emergencies(before))
    if fix is None:
        assert before == NOT_EMERGENCY or (isinstance(before, And) and NOT_EMERGENCY in before.conditions)
        return
    after = loaded(PolicySource(written).edited(fix.edits)).rules[0].when
    parts = before.conditions if isinstance(before, And) else (before,)
    assert after == And((*parts, NOT_EMERGENCY))


def test_a_rule_about_media_is_fixed_like_any_other() -> None:
    assert change(text(rule("rtp.p_type == 13")), "SOS116") == [
        "-    when: rtp.p_type == 13",
        "+    when: rtp.p_type == 13 and not emergency",
    ]
