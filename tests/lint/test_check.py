from pathlib import Path

import pytest

from firewall.cli.policy_file import read_policy
from firewall.lint.check import lint_policy
from firewall.lint.codes import CODES
from firewall.lint.finding import UNDECIDED
from firewall.lint.probe import Questioner
from firewall.lint.proof import kinds
from tests.lint.policies import codes, lint, linted, rule

ROOT = Path(__file__).parents[2]
BAD = sorted((ROOT / "rules" / "bad").glob("*.yaml"))
GOOD = [ROOT / "rules" / "start.yaml", *sorted((ROOT / "rules" / "examples").glob("*.yaml"))]


def promised(path: Path) -> tuple[str, str | None]:
    code, _, name = path.read_text().splitlines()[0].removeprefix("# Must produce: ").partition(" at rule ")
    return code, name.strip('"') or None


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_a_broken_policy_produces_the_finding_its_first_line_promises_and_no_other(path: Path) -> None:
    _, report = linted(path)
    assert codes(report) == {promised(path)}
    code, _ = promised(path)
    expected = "undecided" if code == UNDECIDED else "refuted" if CODES[code].severity == "error" else "proved"
    assert report.result == expected


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_every_witness_is_blocked_again_by_the_engine(path: Path) -> None:
    policy, report = linted(path)
    for finding in report.findings:
        if finding.witness is not None:
            assert Questioner(policy).confirms(finding.witness)


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_the_policies_to_start_from_are_proved(path: Path) -> None:
    _, report = linted(path)
    assert not [finding for finding in report.findings if finding.kind.severity == "error"]
    assert report.result == "proved"


def test_the_demos_broken_policy_names_its_rule_and_the_mended_one_is_proved() -> None:
    broken = lint_policy(read_policy(str(ROOT / "rules" / "demo" / "broken.yaml")))
    assert codes(broken) == {("SOS101", "toll-fraud"), ("SOS208", None)}
    mended = lint_policy(read_policy(str(ROOT / "rules" / "demo" / "mended.yaml")))
    assert mended.findings == ()


def test_lint_says_the_same_every_time() -> None:
    policy = read_policy(str(ROOT / "rules" / "demo" / "broken.yaml"))
    assert lint_policy(policy) == lint_policy(policy)


def test_more_services_than_can_be_told_apart_are_undecided(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kinds, "MAX_KINDS", 1)
    report = lint(rule('emergency.service == "urn:service:sos.fire" and not emergency'))
    assert report.result == "undecided"
    undecided = [finding for finding in report.findings if finding.code == UNDECIDED]
    assert undecided[0].message == (
        "it is not decided whether the rules block a message of an emergency call: "
        "the rules tell more than 1 emergency services apart"
    )
