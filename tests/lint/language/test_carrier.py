from firewall.lint.language.carrier import header_carrier, places
from firewall.lint.language.narrow import enclosing
from firewall.lint.language.regex import read_regex
from firewall.ruleset.expression import Field
from firewall.ruleset.fields import FIELDS

_TEXT_FIELDS = [
    name
    for name, spec in FIELDS.items()
    if name.startswith(("sip.", "sdp."))
    and spec.type in ("text", "number")
    and name not in ("sip.anomaly", "sip.header", "sip.msg_hdr")
]


def test_every_text_of_a_message_has_its_carrier_and_its_groups_stand_in_the_shape() -> None:
    for name in _TEXT_FIELDS:
        found = places(Field(name))
        assert found, name
        for place in found:
            groups = enclosing(read_regex(place.carrier.regex, fold=False))
            assert {group.name for group in place.groups} <= groups.keys(), name


def test_a_header_has_one_carrier_whatever_it_is_called() -> None:
    names = (Field("sip.header", "v"), Field("sip.header", "VIA"), Field("sip.Via"), Field("sip.Via.branch"))
    assert {place.carrier.name for name in names for place in places(name)} == {"via"}
    assert header_carrier("X-Mark") is header_carrier("x-mark") or header_carrier("X-Mark").name == "x-mark"


def test_a_field_of_several_headers_has_a_place_in_each() -> None:
    assert [place.carrier.name for place in places(Field("sip.tag"))] == ["from", "to"]
    assert len(places(Field("sip.auth.realm"))) == 4


def test_what_reads_the_whole_message_has_no_place() -> None:
    assert places(Field("sip")) == ()
    assert places(Field("sip.msg_hdr")) == ()
    assert places(Field("zone.src")) == ()
