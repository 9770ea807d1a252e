import pytest

from firewall.lint.language.bounds import UnmodelledError
from firewall.lint.language.options import banned_everywhere, options_of
from tests.lint.language.conditions import literals


def test_a_value_of_a_field_of_several_headers_may_stand_in_any_of_them() -> None:
    (wanted,) = literals('sip.tag == "a"')
    assert [[part.carrier.name for part in option.parts] for option in options_of(wanted)] == [["from"], ["to"]]


def test_a_value_that_must_not_be_must_be_in_none_of_them() -> None:
    (unwanted,) = literals('not sip.tag == "a"')
    assert [[part.carrier.name for part in option.parts] for option in options_of(unwanted)] == [["from", "to"]]


def test_not_different_is_equal_or_absent() -> None:
    (literal,) = literals('not sip.Subject != "a"')
    assert [[part.is_some for part in option.parts] for option in options_of(literal)] == [[True], [False]]


def test_what_may_stand_anywhere_is_not_exact() -> None:
    (anywhere,) = literals('sip contains "x"')
    assert [option.is_exact for option in options_of(anywhere)] == [False]
    assert banned_everywhere(literals('not sip contains "x"', 'not sip.To contains "y"')) == tuple(
        literals('not sip contains "x"')
    )


def test_no_headers_are_longer_than_a_message() -> None:
    assert options_of(literals("len(sip.msg_hdr) > 65507")[0]) == ()
    with pytest.raises(UnmodelledError):
        options_of(literals("len(sip.msg_hdr) > 8000")[0])


@pytest.mark.parametrize("text", ["frame.len > 9", "count(sip.tag) > 1", "malformed"])
def test_what_is_not_modelled_is_said(text: str) -> None:
    with pytest.raises(UnmodelledError):
        options_of(literals(text)[0])
