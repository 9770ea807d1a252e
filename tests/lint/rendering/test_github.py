from firewall.errors import Place, PolicyError
from firewall.lint.outcome import Unusable
from firewall.lint.rendering.github import annotations
from tests.lint.policies import CALLS, lint, rule


def test_a_finding_is_one_annotation_at_its_line() -> None:
    (line,) = annotations([lint(rule('sip.Method == "CANCEL"'), emergency=CALLS)])
    assert line.startswith("::error file=test.yaml,line=7,col=5,title=SOS102 emergency-call-cut::rule")
    assert "\n" not in line
    assert "%0Awitness: CANCEL urn:service:sos" in line


def test_warnings_and_hints_keep_their_level() -> None:
    assert annotations([lint(default="allow")])[0].startswith("::warning ")
    assert annotations([lint(rule('not emergency and sip.Method == "PUBLISH"', more="mode: shadow"))])[0].startswith(
        "::notice "
    )


def test_what_would_end_a_property_is_escaped() -> None:
    error = PolicyError("100% wrong\nreally", place=Place("a,b:c.yaml", 1, 1), next_step="x")
    assert annotations([Unusable("a,b:c.yaml", error)]) == [
        "::error file=a%2Cb%3Ac.yaml,line=1,col=1,title=SOS001 unusable-policy::100%25 wrong%0Areally%0Ahelp: x"
    ]
