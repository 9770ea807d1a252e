import pytest

from firewall.lint.hygiene.regexes import check
from tests.lint.policies import policy, rule


def codes(regex: str) -> list[str]:
    return [each.code for each in check(policy(rule(f'sip.User-Agent matches r"{regex}"')))]


@pytest.mark.parametrize("regex", ["$a", "a^b", "[^\\x00-\\xff]", "x\\b\\Bx"])
def test_a_regex_that_no_text_fits_is_found(regex: str) -> None:
    assert codes(regex) == ["SOS223"]


@pytest.mark.parametrize("regex", ["a*", ".*", "(scan)?", "", "^", "a|"])
def test_a_regex_that_every_text_fits_is_found(regex: str) -> None:
    assert codes(regex) == ["SOS224"]


@pytest.mark.parametrize("regex", ["^$", "^a*$", "a+", "scan", "^[0-9]*$", "\\b"])
def test_a_regex_that_some_texts_fit_is_not(regex: str) -> None:
    """``^$`` fits the empty text, and only that."""
    assert codes(regex) == []


def test_the_regex_of_a_promise_is_looked_at_too() -> None:
    promise = 'must:\n  - {name: quiet, when: sip.Subject matches "x*", verdict: drop}\n'
    (found,) = check(policy(extra=promise))
    assert (found.code, found.rule) == ("SOS224", None)
    assert found.message.startswith('must "quiet" has a regex that fits every text')
