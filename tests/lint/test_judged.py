import pytest

from tests.lint.judged import BLOCKING, HARMLESS
from tests.lint.policies import ZONES, lint, rule


@pytest.mark.parametrize("when", BLOCKING)
def test_a_rule_that_blocks_an_emergency_call_is_found_and_named(when: str) -> None:
    report = lint(rule(f"'{when}'"), zones=ZONES)
    assert report.result == "refuted"
    assert {finding.rule for finding in report.findings if finding.is_error} == {"guilty"}


@pytest.mark.parametrize("when", HARMLESS)
def test_its_harmless_neighbour_raises_no_alarm(when: str) -> None:
    assert lint(rule(f"'{when}'"), zones=ZONES).result == "proved"
