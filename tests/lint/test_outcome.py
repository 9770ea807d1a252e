from firewall.errors import Place, PolicyError
from firewall.lint.outcome import Unusable, all_findings, exit_code, result
from tests.lint.policies import lint, rule

PROVED = lint()
REFUTED = lint(rule("emergency"))
UNUSABLE = Unusable("x.yaml", PolicyError("it is empty", place=Place("x.yaml", 1, 1), next_step="write rules"))


def test_the_result_of_several_policies_is_the_worst() -> None:
    assert result([PROVED]) == "proved"
    assert result([PROVED, UNUSABLE]) == "undecided"
    assert result([PROVED, UNUSABLE, REFUTED]) == "refuted"


def test_the_exit_code_is_2_when_any_policy_is_unusable() -> None:
    assert [exit_code([PROVED]), exit_code([PROVED, REFUTED]), exit_code([REFUTED, UNUSABLE])] == [0, 1, 2]


def test_an_unusable_policy_is_a_finding_at_its_place() -> None:
    (finding,) = all_findings([UNUSABLE])
    assert (finding.code, str(finding.place), finding.message, finding.help) == (
        "SOS001",
        "x.yaml:1:1",
        "it is empty",
        "write rules",
    )
