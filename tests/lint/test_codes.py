import re
from pathlib import Path

from firewall.lint.codes import CODES, codes_page
from tests.lint.policies import policy, rule

ROOT = Path(__file__).parents[2]


def test_every_code_has_a_number_and_a_name_of_its_own() -> None:
    assert all(re.fullmatch(r"SOS[0-9]{3}", code) and code == row.code for code, row in CODES.items())
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", row.name) for row in CODES.values())
    assert len({row.name for row in CODES.values()}) == len(CODES)


def test_what_can_hurt_a_call_today_is_an_error_and_hygiene_never_is() -> None:
    errors = {code for code, row in CODES.items() if row.severity == "error"}
    assert all(code < "SOS200" for code in errors)
    assert {code for code in CODES if code < "SOS200"} - errors == {"SOS110", "SOS112"}


def test_the_page_names_every_code() -> None:
    assert re.findall(r"^## (SOS[0-9]{3}) ", codes_page(), re.MULTILINE) == list(CODES)


def test_every_code_has_a_policy_that_produces_it() -> None:
    examples = {path.name[:6].upper() for path in (ROOT / "rules" / "bad").glob("sos*.yaml")}
    assert examples == set(CODES) - {"SOS001"}
    assert list((ROOT / "rules" / "bad" / "unusable").glob("*.yaml"))


def test_what_is_not_decided_of_a_rule_about_emergencies_is_written_in_a_simpler_way() -> None:
    (about,) = policy(rule("emergency"), after="").rules
    assert CODES["SOS115"].mend_of(about).startswith("Write the condition in a simpler way")
    assert CODES["SOS101"].mend_of(about).startswith('Delete rule "guilty"')
