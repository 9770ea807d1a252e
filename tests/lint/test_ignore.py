import pytest

from firewall.lint.source import PolicySource
from tests.lint.policies import CALLS, examined, rule, text

SHADOW = rule('sip.Method == "REGISTER" and not emergency', more="mode: shadow")
IGNORE = "# sosgate: ignore[SOS205] counted until March"


def found(written: str) -> set[str]:
    return {finding.code for finding in examined(written).findings}


@pytest.mark.parametrize(
    "written",
    [
        text(f"  {IGNORE}\n{SHADOW}"),
        text(f"  {IGNORE}\n  # and another comment\n{SHADOW}"),
        text(SHADOW.replace("name: guilty", f"name: guilty   {IGNORE}")),
        text(SHADOW.replace("mode: shadow", f"mode: shadow   {IGNORE}")),
    ],
)
def test_a_comment_on_a_line_the_finding_points_at_or_directly_above_silences_it(written: str) -> None:
    report = examined(written)
    assert report.findings == ()
    (suppressed,) = report.suppressed
    assert (suppressed.finding.code, suppressed.finding.rule) == ("SOS205", "guilty")
    assert suppressed.reason == "counted until March"
    assert IGNORE.partition("[")[0] in written.split("\n")[suppressed.line - 1]


def test_one_comment_names_several_codes_and_what_it_does_not_silence_is_said() -> None:
    written = text(f"  {IGNORE.replace('SOS205', 'SOS204, SOS205')}\n{SHADOW}", default="allow")
    report = examined(written)
    assert [finding.code for finding in report.findings] == ["SOS204", "SOS211"]
    unused = report.findings[1]
    assert unused.message == "nothing here is silenced by ignore[SOS204]"
    assert unused.fix is not None
    assert "ignore[SOS205] counted" in PolicySource(written).edited(unused.fix.edits)


@pytest.mark.parametrize(
    "rules",
    [
        f"  {IGNORE}\n\n{SHADOW}",
        f"{SHADOW}  {IGNORE}\n",
        f"  {IGNORE.replace('SOS205', 'SOS204')}\n{SHADOW}",
    ],
)
def test_a_comment_elsewhere_or_about_another_code_silences_nothing_and_is_unused(rules: str) -> None:
    assert found(text(rules)) == {"SOS205", "SOS211"}


def test_a_comment_inside_an_expression_is_none() -> None:
    quoted = rule(f'sip.Subject == "{IGNORE}" and not emergency', more="mode: shadow").replace(
        "when: ", "when: >\n      "
    )
    assert found(text(quoted)) == {"SOS205"}


def test_a_comment_before_the_lines_of_an_expression_is_one() -> None:
    written = text(rule(f'>  {IGNORE}\n      sip.Method == "REGISTER" and not emergency', more="mode: shadow"))
    assert found(written) == {"SOS205", "SOS211"}


def test_without_a_reason_nothing_is_silenced() -> None:
    report = examined(text(f"  # sosgate: ignore[SOS205]\n{SHADOW}"))
    assert [finding.code for finding in report.findings] == ["SOS210", "SOS205"]
    comment, shadow = (finding.place.line or 0 for finding in report.findings)
    assert comment == shadow - 1


@pytest.mark.parametrize(
    ("comment", "said"),
    [
        ("# sosgate: ignore[SOS240] mistyped", 'there is no code "SOS240", did you mean "SOS230"?'),
        ("# sosgate: ignore[default-allow] by its name", 'there is no code "default-allow", did you mean "SOS204"?'),
        ("# sosgate: ignore[E501] of another tool", 'there is no code "E501"'),
        ("# sosgate: ignore SOS204 no brackets", "this comment is no ignore that lint understands"),
        ("# sosgate: ignore[] nothing", "this comment is no ignore that lint understands"),
        ("# sosgate: off", "this comment is no ignore that lint understands"),
        ("# sosgate: ignore[SOS211] let me", "SOS211 is about ignore comments and cannot be ignored"),
    ],
)
def test_a_comment_that_is_no_ignore_is_named(comment: str, said: str) -> None:
    report = examined(f"{comment}\n{text()}")
    assert [(finding.code, finding.message) for finding in report.findings] == [("SOS212", said)]


def test_a_blocked_emergency_call_cannot_be_silenced() -> None:
    written = text("  # sosgate: ignore[SOS102] nobody cancels\n" + rule('sip.Method == "CANCEL"'), emergency=CALLS)
    report = examined(written)
    (finding,) = report.findings
    assert (finding.code, report.result, report.suppressed) == ("SOS102", "refuted", ())
    line = written.split("\n").index("  # sosgate: ignore[SOS102] nobody cancels") + 1
    assert finding.because[-1] == (f'line {line} asks to ignore it ("nobody cancels"), but an error cannot be ignored')


def test_a_finding_about_the_whole_policy_is_ignored_where_it_points() -> None:
    emergency = "emergency:\n  from: [carrier]\n  to: [psap]\n  guard: alert  # sosgate: ignore[SOS208] lab\n"
    assert examined(text(emergency=emergency)).findings == ()


@pytest.mark.parametrize("before", ["", "   "])
def test_an_unused_comment_is_removed_and_nothing_else(before: str) -> None:
    clean = text()
    written = clean.replace("default: drop", f"default: drop{before} {IGNORE}") if before else f"{IGNORE}\n{clean}"
    (finding,) = examined(written).findings
    assert finding.fix is not None
    assert PolicySource(written).edited(finding.fix.edits) == clean


def test_a_comment_is_removed_with_its_own_line_break_in_a_file_that_has_both() -> None:
    clean = text(SHADOW).replace("policy: test\n", "policy: test\r\n")
    written = clean.replace("  - name: guilty", f"  {IGNORE.replace('SOS205', 'SOS204')}\n  - name: guilty")
    unused = next(finding for finding in examined(written).findings if finding.code == "SOS211")
    assert unused.fix is not None
    assert PolicySource(written).edited(unused.fix.edits) == clean
