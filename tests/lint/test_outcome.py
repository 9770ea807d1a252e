from functools import cache

from firewall.errors import Place, PolicyError
from firewall.lint.finding import Report
from firewall.lint.outcome import Unusable, all_findings, exit_code, result
from tests.lint.policies import lint, rule

UNUSABLE = Unusable("x.yaml", PolicyError("it is empty", place=Place("x.yaml", 1, 1), next_step="write rules"))


@cache
def proved() -> Report:
    return lint()


@cache
def refuted() -> Report:
    return lint(rule("emergency"))


def test_the_result_of_several_policies_is_the_worst() -> None:
    assert result([proved()]) == "proved"
    assert result([proved(), UNUSABLE]) == "undecided"
    assert result([proved(), UNUSABLE, refuted()]) == "refuted"


def test_the_exit_code_is_2_when_any_policy_is_unusable() -> None:
    assert [exit_code([proved()]), exit_code([proved(), refuted()]), exit_code([refuted(), UNUSABLE])] == [0, 1, 2]


def test_an_unusable_policy_is_a_finding_at_its_place() -> None:
    (finding,) = all_findings([UNUSABLE])
    assert (finding.code, str(finding.place), finding.message, finding.help) == (
        "SOS001",
        "x.yaml:1:1",
        "it is empty",
        "write rules",
    )
