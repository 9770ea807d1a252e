from firewall.lint.flow import VOICE
from firewall.lint.form import SOS
from firewall.lint.language.jury import Literal
from firewall.lint.proof.prove import calling_pairs
from firewall.lint.proof.shorten import least_bytes, shortened
from firewall.ruleset.expression import Comparison, Exists, Field
from firewall.sip.message import parse_message
from tests.lint.policies import policy

INVITE, *_, BYE, _ = (step.payload for step in VOICE.steps(calling_pairs(policy())[0], SOS, "key"))
AGENT = Literal(Exists(Field("sip.User-Agent")), True)


def test_a_short_message_says_only_what_it_must() -> None:
    short = shortened(
        INVITE, (AGENT, Literal(Comparison(Field("sip.r-uri"), "==", "urn:service:sos"), True)), frozenset()
    )
    assert short == (
        b"INVITE urn:service:sos SIP/2.0\r\nv:SIP/2.0/UDP a;branch=1\r\nf:a:a;tag=1\r\nt:a:a\r\ni:1\r\n"
        b"CSeq:1 INVITE\r\nUser-Agent:sosgate-probe\r\n\r\n"
    )


def test_what_is_held_stays() -> None:
    short = parse_message(shortened(INVITE, (), frozenset({"Contact", "body", "r-uri"})))
    before = parse_message(INVITE)
    assert (short.start_line, short.header("contact")) == (before.start_line, before.header("contact"))
    assert (short.body, short.header("content-type")) == (before.body, "application/sdp")
    assert short.header("user-agent") is None


def test_no_message_is_shorter_than_the_least() -> None:
    for payload in (INVITE, BYE):
        least = least_bytes(parse_message(payload))
        assert least <= len(shortened(payload, (), frozenset())) < least + 30
