import pytest

from firewall.errors import PolicyError
from firewall.lint.codes import CODES
from firewall.lint.finding import Report
from firewall.lint.mend import mend
from tests.lint.policies import CALLS, examined, rule, text

CANCEL = rule('sip.Method == "CANCEL"', name="first")


def test_a_blocked_call_is_mended_and_the_rest_stays_byte_for_byte() -> None:
    written = text("# why\n" + CANCEL, emergency=CALLS)
    mended = mend(written, examined)
    assert mended.text == written.replace('== "CANCEL"', '== "CANCEL" and not emergency')
    assert [finding.code for finding in mended.fixed] == ["SOS102"]
    assert (mended.report.findings, mended.left) == ((), ())


def test_a_rule_behind_it_that_blocks_the_same_call_is_mended_too() -> None:
    written = text(CANCEL + CANCEL.replace("first", "second").replace("drop", "reject").replace("==", "contains"))
    mended = mend(written, examined)
    assert mended.text == written.replace('"CANCEL"', '"CANCEL" and not emergency')
    assert mended.report.findings == ()


def test_a_fix_that_does_not_help_is_not_made() -> None:
    """Without an allow rule the default blocks what the rule let go: nothing is won."""
    written = text(rule('sip.Method == "CANCEL" or sip.Method == "INVITE"'), after="", default="drop")
    mended = mend(written, examined)
    assert mended.text == written
    assert mended.fixed == ()
    assert mended.report.result == "refuted"
    assert "another finding" in mended.left[0].why


def test_what_can_be_mended_is_mended_though_something_else_cannot() -> None:
    sets = "sets: {lost: {values: [b]}}\n"
    mended = mend(
        text(CANCEL, extra=sets, emergency="emergency: {from: [carrier], to: [psap], flows: [voice], guard: alert}\n"),
        examined,
    )
    assert sorted(finding.code for finding in mended.fixed) == ["SOS102", "SOS206"]
    assert [(left.finding.code, left.why) for left in mended.left] == [
        ("SOS208", "a person has to decide whether that is what was meant")
    ]


def test_a_shadow_rule_is_mended_though_lint_then_says_that_it_is_one() -> None:
    mended = mend(text(rule('sip.Method == "CANCEL"', more="mode: shadow")), examined)
    assert [finding.code for finding in mended.report.findings] == ["SOS205"]
    assert [finding.code for finding in mended.fixed] == ["SOS112"]


def test_many_needless_rules_in_a_row_go_in_a_few_steps() -> None:
    wide = rule("net.src == 203.0.113.0/24 and not emergency", name="wide")
    row = "".join(rule(f"net.src == 203.0.113.{number} and not emergency", name=f"r{number}") for number in range(12))
    texts: list[str] = []

    def counted(written: str) -> Report:
        texts.append(written)
        return examined(written)

    assert mend(text(wide + row), counted).text == text(wide)
    assert len(texts) < 8


def test_an_unused_ignore_goes() -> None:
    clean = text()
    assert mend(f"# sosgate: ignore[SOS204] no more\n{clean}", examined).text == clean


def test_mending_twice_changes_nothing_more() -> None:
    once = mend(text(CANCEL, extra="sets: {lost: {values: [b]}}\n"), examined).text
    assert mend(once, examined).text == once


def test_a_fix_after_which_the_policy_cannot_be_loaded_is_not_made() -> None:
    written = text(CANCEL)

    def only_as_it_is(changed: str) -> Report:
        if changed != written:
            raise PolicyError("unusable")
        return examined(changed)

    assert mend(written, only_as_it_is).text == written


def test_an_unusable_policy_is_not_mended() -> None:
    with pytest.raises(PolicyError):
        mend("policy: x", examined)


def test_a_shadow_rule_that_would_drop_keep_alives_too_is_not_mended_by_exempting_emergency_calls() -> None:
    written = text(rule("sip.to.tag", more="mode: shadow"))
    mended = mend(written, examined)
    assert (mended.text, mended.fixed, mended.left) == (written, (), ())
    (finding,) = mended.report.findings
    assert "and the 200 OK (OPTIONS) that keeps the trunk in service" in finding.message
    assert finding.help.endswith("exempt those zones from limits on it.")
    exempt = examined(text(rule("sip.to.tag and not emergency", more="mode: shadow")))
    assert [each.help for each in exempt.findings] == [CODES["SOS107"].mend]
