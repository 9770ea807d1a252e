"""Who made an emergency call, and by what it can be called back."""

import pytest

from firewall.engine.caller import MAX_IDENTITIES, caller_identities, identity_of
from firewall.sip.message import Request, parse_message
from firewall.sip.uri import parse_uri
from tests.messages import request


def identities(from_uri: str, *headers: str) -> tuple[str, ...]:
    message = parse_message(request(uri="urn:service:sos", from_uri=from_uri, headers=headers))
    assert isinstance(message, Request)
    return caller_identities(message)


@pytest.mark.parametrize(
    "uri",
    [
        "tel:+1-617-555-0123",
        "tel:617-555-0123;phone-context=+1",
        "sip:+16175550123@h;user=phone",
        "sip:%2B16175550123@h",
        "sip:6175550123;npdi@h",
        "sip:0016175550123@h",
    ],
)
def test_a_telephone_number_is_its_last_ten_digits(uri: str) -> None:
    assert identity_of(parse_uri(uri)) == "6175550123"


@pytest.mark.parametrize(
    ("uri", "identity"),
    [
        ("sip:Alice@H:5070;transport=tcp", "alice@h"),
        ("sip:4711@h", "4711@h"),
        ("sip:psap.example;lr", "psap.example:5060"),
        ("sip:192.0.2.10:5070", "192.0.2.10:5070"),
        ("sip:anonymous@anonymous.invalid", None),
        ("urn:service:sos", None),
        ("tel:", None),
        ("", None),
    ],
)
def test_others_are_a_user_or_an_address(uri: str, identity: str | None) -> None:
    assert identity_of(parse_uri(uri)) == identity


def test_every_header_that_names_the_caller_counts_each_identity_once() -> None:
    assert identities(
        "sip:anonymous@anonymous.invalid",
        "P-Asserted-Identity: <sip:+16175550123@h>, <tel:+16175550123>",
        "P-Preferred-Identity: <tel:+16175550124>",
        'Remote-Party-ID: "x" <sip:6175550125@h>;party=calling',
        "m: <sip:u7@192.0.2.10>",
    ) == ("6175550123", "6175550124", "6175550125", "u7@192.0.2.10")


def test_a_request_cannot_name_any_number_of_callers() -> None:
    many = ", ".join(f"<sip:u{number}@h>" for number in range(900))
    assert len(identities("sip:x@h", f"Contact: {many}")) == MAX_IDENTITIES
