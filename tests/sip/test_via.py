"""The topmost Via hop: RFC 3261 §20.42."""

from hypothesis import given
from hypothesis import strategies as st

from firewall.sip.via import parse_via


def test_the_first_hop_is_read() -> None:
    via = parse_via("SIP / 2.0 / udp 192.0.2.10:5070 ;branch=z9hG4bK1;rport, SIP/2.0/TCP other")
    assert via is not None
    assert (via.transport, via.host, via.port, via.branch) == ("UDP", "192.0.2.10", 5070, "z9hG4bK1")
    assert via.params["rport"] is None


def test_a_hop_without_branch_is_still_a_hop() -> None:
    via = parse_via("SIP/2.0/UDP [2001:db8::1]")
    assert via is not None
    assert (via.host, via.port, via.branch) == ("[2001:db8::1]", None, None)


def test_what_is_no_via_is_none() -> None:
    assert parse_via("nonsense") is None


@given(st.text(max_size=80))
def test_any_text_is_read_or_none(text: str) -> None:
    parse_via(text)
