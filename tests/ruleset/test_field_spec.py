"""Rows of the field table keep their promises."""

from firewall.ruleset.fields import FIELDS
from tests.ruleset.captured import facts


def test_every_row_has_a_description_of_one_line() -> None:
    assert all(
        spec.description and "\n" not in spec.description and "|" not in spec.description for spec in FIELDS.values()
    )


def test_a_flag_of_our_own_always_has_exactly_one_value() -> None:
    flags = [spec for spec in FIELDS.values() if spec.own and spec.type == "flag"]
    assert {flag.name for flag in flags} == {"emergency", "malformed", "media.negotiated"}
    assert all(len(flag.read(about)) == 1 for flag in flags for about in facts())


def test_only_address_fields_have_a_family_and_only_texts_have_choices() -> None:
    for spec in FIELDS.values():
        assert spec.family is None or spec.type == "address"
        assert spec.choices is None or spec.type == "text"
        assert not spec.searchable or spec.type == "protocol"
