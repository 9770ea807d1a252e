import pytest

from firewall.lint.language.settle import Conflict, Settled, TooHard, settle
from firewall.sip.body import body_parts
from firewall.sip.message import parse_message
from tests.lint.language.conditions import literals
from tests.lint.language.messages import ANSWER, TEMPLATE

_LOCATED = TEMPLATE.partition(b"Content-Type")[0] + (
    b"Content-Type: multipart/mixed;boundary=b1\r\nContent-Length: 226\r\n\r\n"
    b"--b1\r\nContent-Type: application/sdp\r\n\r\n"
    + TEMPLATE.partition(b"\r\n\r\n")[2]
    + b"--b1\r\nContent-Type: application/pidf+xml\r\n\r\n<presence/>\r\n--b1--\r\n"
)


def _settled(template: bytes, *texts: str) -> bytes:
    answer = settle(template, literals(*texts))
    assert isinstance(answer, Settled), answer
    return answer.payload


def _types(payload: bytes) -> list[str]:
    return [part.content_type for part in body_parts(parse_message(payload))]


def test_a_session_description_is_changed_in_its_place_and_the_location_stays() -> None:
    payload = _settled(_LOCATED, 'sdp.connection_info.address == "203.0.113.9"')
    assert _types(payload) == ["application/sdp", "application/pidf+xml"]
    assert b"<presence/>" in payload


def test_a_message_without_a_description_gets_one_and_its_type() -> None:
    payload = _settled(ANSWER, 'sdp.media.media == "audio"')
    assert _types(payload) == ["application/sdp"]


def test_a_description_and_another_type_are_a_multipart() -> None:
    payload = _settled(TEMPLATE, "sdp", 'sip.Content-Type matches "^multipart"')
    assert _types(payload)[0] == "application/sdp"


def test_a_description_may_have_no_type() -> None:
    payload = _settled(TEMPLATE, "sdp.media.port == 9", "not sip.Content-Type")
    assert b"Content-Type" not in payload
    assert _types(payload) == ["application/sdp"]


def test_a_description_of_another_type_is_none() -> None:
    answer = settle(TEMPLATE, literals("sdp", 'sip.Content-Type == "text/plain"', "sip.Subject"))
    assert isinstance(answer, Conflict)
    assert set(answer.core) == set(literals("sdp", 'sip.Content-Type == "text/plain"'))


@pytest.mark.parametrize("size", [0, 1, 40, 122, 124, 127, 700, 9000])
def test_a_body_has_the_length_that_is_asked_for(size: int) -> None:
    payload = _settled(TEMPLATE, f"sip.Content-Length == {size}")
    assert len(payload.partition(b"\r\n\r\n")[2]) == size


@pytest.mark.parametrize("size", [90, 101, 122, 123, 124, 1000])
def test_a_description_can_be_of_an_exact_length(size: int) -> None:
    payload = _settled(TEMPLATE, f"sip.Content-Length == {size}", "sdp", "sdp.media.port == 9")
    assert len(payload.partition(b"\r\n\r\n")[2]) == size


def test_growing_does_not_add_what_must_not_be() -> None:
    payload = _settled(TEMPLATE, "sip.Content-Length > 200", "sdp", 'not sdp.media_attr contains "x"')
    assert b"a=x" not in payload


def test_a_held_body_is_not_touched() -> None:
    assert isinstance(settle(TEMPLATE, literals("sdp.media.port == 9"), frozenset({"body"})), Conflict)
    answer = settle(TEMPLATE, literals("sip.Content-Length == 3"), frozenset({"sdp"}))
    assert isinstance(answer, Conflict | TooHard)


def test_a_body_no_datagram_can_carry_is_a_conflict() -> None:
    assert isinstance(settle(TEMPLATE, literals("sip.Content-Length > 65536")), Conflict)
