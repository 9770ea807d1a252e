import pytest

from firewall.lint.language.settle import Literal
from firewall.lint.proof import kinds
from firewall.lint.proof.kinds import METHODS, OWN_WAYS, UntoldError, methods_told_apart, told_apart
from firewall.net.datagram import Datagram
from firewall.ruleset.expression import atoms
from firewall.ruleset.facts import Facts
from firewall.sip.start_line import TOKEN
from tests.lint.policies import condition


def dialog(state: str) -> Facts:
    return Facts(Datagram("192.0.2.10", 5060, "198.51.100.20", 5060, b""), dialog_state=state)  # type: ignore[arg-type]


def states(when: str, *known: str, made: str | None = None) -> list[str]:
    asked: list[Literal] = []
    found = told_apart(
        "states", list(atoms(condition(when))), known, dialog, lambda each: (asked.extend(each), made)[1]
    )
    assert not asked or made is not None or len(found) <= len(known)
    return found


def test_a_known_text_shows_each_kind() -> None:
    assert states('dialog.state == "early"', "none", "early", "confirmed") == ["none", "early"]


def test_where_no_known_text_shows_a_kind_one_is_made() -> None:
    assert states('dialog.state == "early"', "none", made="early") == ["none", "early"]


def test_a_kind_that_no_text_shows_is_left_out() -> None:
    assert states('dialog.state == "early"', "none") == ["none"]


def test_too_many_kinds_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kinds, "MAX_KINDS", 1)
    with pytest.raises(UntoldError, match="more than 1 states apart"):
        states('dialog.state == "early"', "none", "early")


def methods(when: str) -> list[str]:
    """Those beside the ones that the engine treats in their own way."""
    found, untold = methods_told_apart(atoms(condition(when)))
    assert untold == ()
    assert found[: len(OWN_WAYS)] == OWN_WAYS
    return list(found[len(OWN_WAYS) :])


def test_methods_that_no_rule_tells_apart_are_one() -> None:
    assert methods("sip.Method or count(sip.Method) == 1") == ["BYE"]


@pytest.mark.parametrize(
    "when",
    [
        'sip.Method matches "^fo"',
        "len(sip.Method) == 1",
        'sip.CSeq.method contains "ZZ"',
        'sip.Method != "FOO"',
        'sip.Method[0:2] == "QQ"',
        'lower(sip.Method) == "quux"',
        'sip.Method >= "Z"',
    ],
)
def test_a_method_that_no_standard_has_meets_what_no_other_does(when: str) -> None:
    (found,) = (each for each in methods(when) if each not in METHODS)
    assert TOKEN.fullmatch(found)


def test_a_registered_method_shows_a_kind_where_one_does() -> None:
    assert methods('sip.Method in {"PUBLISH", "X-OTHER"}') == ["BYE", "PUBLISH"]
    assert methods('sip.Method == "X-OTHER"') == ["BYE", "X-OTHER"]


def test_what_is_no_method_is_none() -> None:
    assert methods('sip.Method == "A B" or sip.Method matches "^$"') == ["BYE"]


def test_more_methods_than_can_be_asked_about_are_told() -> None:
    when = " or ".join(f'sip.Method contains "{letter}"' for letter in "ABCDEFGH")
    assert methods_told_apart(atoms(condition(when))) == (
        (*OWN_WAYS, *METHODS),
        ("the rules tell more than 128 methods apart",),
    )
