"""The topmost Via hop: RFC 3261 §20.42."""

from hypothesis import given
from hypothesis import strategies as st

from firewall.sip.via import branch_of, parse_via, without_comment


def test_the_first_hop_is_read() -> None:
    via = parse_via("SIP / 2.0 / udp 192.0.2.10:5070 ;branch=z9hG4bK1;rport, SIP/2.0/TCP other")
    assert via is not None
    assert (via.transport, via.host, via.port, via.params.get("branch")) == ("udp", "192.0.2.10", 5070, "z9hG4bK1")
    assert via.params["rport"] is None


def test_a_hop_without_branch_is_still_a_hop() -> None:
    via = parse_via("SIP/2.0/UDP [2001:db8::1]")
    assert via is not None
    assert (via.host, via.port, via.params.get("branch")) == ("[2001:db8::1]", None, None)


def test_a_comment_behind_a_hop_is_no_part_of_its_branch_or_port() -> None:
    """RFC 2543 §6.40: a comment may end a hop; Wireshark, too, reads the branch without it."""
    via = parse_via("SIP/2.0/UDP a.example:5070;branch=z9hG4bK1 (Acme, 2.1), SIP/2.0/UDP b.example")
    assert via is not None
    assert via.params == {"branch": "z9hG4bK1"}
    assert branch_of("SIP/2.0/UDP a.example;branch=z9hG4bK1 (Acme)") == "z9hG4bK1"
    bare = parse_via("SIP/2.0/UDP a.example:5070 (Acme)")
    assert bare is not None
    assert (bare.host, bare.port) == ("a.example", 5070)


def test_a_bracket_in_a_quoted_parameter_begins_no_comment() -> None:
    for rest in ("", ", SIP/2.0/UDP b.example", " (Acme)", "  (Acme, 2.1)"):
        text = f'SIP/2.0/UDP a.example:5070;x="b (c";branch=z9hG4bK1{rest}'
        assert branch_of(text) == "z9hG4bK1"
    assert without_comment('SIP/2.0/UDP a.example;x="b (c)"') == 'SIP/2.0/UDP a.example;x="b (c)"'


def test_a_hop_without_its_comment_has_no_blank_at_its_end() -> None:
    assert without_comment("SIP/2.0/UDP a.example \t (Acme)") == "SIP/2.0/UDP a.example"


def test_what_is_no_via_is_none() -> None:
    assert parse_via("nonsense") is None


@given(st.text(max_size=80))
def test_any_text_is_read_or_none(text: str) -> None:
    parse_via(text)


@given(
    st.sampled_from(["SIP/2.0/UDP", "SIP/2.0/UDP h", "SIP / 2.0 / tcp h:5060", "sip/2.0/TLS [::1]:5061", ""]),
    st.lists(
        st.sampled_from(
            [
                ";branch=",
                "branch",
                ";rport",
                ";",
                "=",
                ",",
                '"',
                "\\",
                "<",
                ">",
                " ",
                "\n",
                "z9hG4bK-1",
                ";Branch=b",
                "\x85",
            ]
        ),
        max_size=8,
    ),
)
def test_the_branch_is_that_of_the_hop_however_it_is_written(hop: str, rest: list[str]) -> None:
    text = hop + "".join(rest)
    via = parse_via(text)
    assert branch_of(text) == (via.params.get("branch") if via is not None else None)


@given(
    st.sampled_from(["UDP", "tcp", "TLS-SCTP"]),
    st.sampled_from(["h", "192.0.2.1", "[2001:db8::1]"]),
    st.none() | st.integers(0, 65535),
    st.text("abz019-.", min_size=1, max_size=9),
    st.sampled_from(["", " ", "\t"]),
)
def test_the_parts_of_a_hop_come_back(transport: str, host: str, port: int | None, branch: str, blank: str) -> None:
    sent_by = host + (f"{blank}:{blank}{port}" if port is not None and not host.startswith("[") else "")
    hop = parse_via(
        f"SIP{blank}/{blank}2.0{blank}/{blank}{transport} {sent_by}{blank};{blank}branch{blank}={blank}{branch}"
    )
    assert hop is not None
    assert (hop.transport, hop.host, hop.params.get("branch")) == (transport, host, branch)
    assert hop.port == (None if host.startswith("[") else port)
