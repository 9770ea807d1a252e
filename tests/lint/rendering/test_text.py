from firewall.errors import Place, PolicyError
from firewall.lint.outcome import Outcome, Unusable
from firewall.lint.rendering.text import report_lines
from tests.lint.policies import lint, only, rule

SOURCE = ["policy: test", "", "", "", "", "rules:", "  - name: guilty   # since March", "    when: …"]


def shown(outcome: Outcome, *, messages: bool = False) -> list[str]:
    captures = {only(outcome): "w/a.pcap"} if messages and not isinstance(outcome, Unusable) else {}
    lines = report_lines([outcome], lambda _: SOURCE, captures, show_messages=messages)
    return ["".join(text for text, _ in line) for line in lines]


def test_a_finding_quotes_its_line_and_points_at_it() -> None:
    lines = shown(lint(rule('sip.Method == "CANCEL"')))
    expected = 'test.yaml:7:5: error[SOS102] emergency-call-cut: rule "guilty" drops the CANCEL of an emergency call'
    assert lines[:3] == [
        expected,
        "    7 |   - name: guilty   # since March",
        "      |     ^^^^^^^^^^^^",
    ]
    labels = [line.split(":")[0].strip() for line in lines[3:-2]]
    assert labels == ["because", "because", "because", "witness", "help"]
    assert lines[-1].startswith("refuted: test.yaml: ")


def test_a_clean_policy_says_what_was_examined_and_that_it_is_no_proof() -> None:
    (line,) = shown(lint())
    assert line.startswith("clean: test.yaml: 0 of ")
    assert line.endswith("; this is not yet a proof")


def test_with_captures_the_message_is_shown_too() -> None:
    lines = shown(lint(rule('sip.Method == "CANCEL"')), messages=True)
    assert "  capture : w/a.pcap (messages: 4)" in lines
    assert "      | CANCEL urn:service:sos SIP/2.0" in lines


def test_an_unusable_policy_is_not_said_to_be_clean() -> None:
    (line,) = shown(Unusable("x.yaml", PolicyError("it is empty", place=Place("x.yaml"))))
    assert line == "unusable: x.yaml: no emergency call was tried"
