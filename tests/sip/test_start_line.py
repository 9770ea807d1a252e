"""Start lines and the end of the head: RFC 3261 §7."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firewall.errors import SipSyntaxError
from firewall.sip.start_line import find_empty_line, is_start_line, read_request_line, read_status_line


def test_a_request_line_has_three_parts() -> None:
    assert read_request_line("INVITE urn:service:sos SIP/2.0") == ("INVITE", "urn:service:sos", "SIP/2.0")


def test_a_status_line_may_lack_its_phrase() -> None:
    assert read_status_line("SIP/2.0 180") == ("SIP/2.0", "180", "")
    assert read_status_line("SIP/2.0 404 Not  Found") == ("SIP/2.0", "404", "Not  Found")
    assert read_status_line("SIP/2.0 40 X") is None


@pytest.mark.parametrize("line", ["", "GET / HTTP/1.1", "INVITE sip:a@b", "INVITE  SIP/2.0", "a=b SIP/2.0"])
def test_other_lines_begin_no_message(line: str) -> None:
    assert not is_start_line(line)
    with pytest.raises(SipSyntaxError) as error:
        read_request_line(line)
    assert error.value.reason == "not_sip"


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"A\r\n\r\nbody", (2, 5)),
        (b"A\n\nbody", (1, 3)),
        (b"A\n\r\nbody", (1, 4)),
        (b"A\r\n\nbody\r\n\r\n", (2, 4)),
        (b"A\r\nB: c\r\n", None),
    ],
)
def test_the_first_empty_line_ends_the_head_whatever_the_line_ends(data: bytes, found: tuple[int, int] | None) -> None:
    assert find_empty_line(data) == found


@given(st.text(max_size=40))
def test_any_line_begins_a_message_or_does_not(line: str) -> None:
    is_start_line(line)
