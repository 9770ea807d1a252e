from dataclasses import replace

import pytest
from rich.cells import cell_len

from firewall.errors import Place, PolicyError
from firewall.lint.outcome import Outcome, Unusable
from firewall.lint.rendering.text import report_lines
from tests.lint.policies import CALLS, examined, lint, only, rule, text

SOURCE = ["policy: test", "", "", "", "", "rules:", "  - name: guilty   # since March", "    when: …"]


def shown(
    outcome: Outcome, source: list[str] | None = None, *, messages: bool = False, width: int | None = None
) -> list[str]:
    captures = {only(outcome): "w/a.pcap"} if messages and not isinstance(outcome, Unusable) else {}
    if not isinstance(outcome, Unusable):
        outcome = replace(outcome, text="\n".join(source or SOURCE))
    lines = report_lines([outcome], captures, show_messages=messages, width=width)
    return ["".join(piece for piece, _ in line) for line in lines]


def rendered(written: str, width: int | None = None) -> list[str]:
    return shown(examined(written), written.split("\n"), width=width)


def test_a_finding_quotes_its_rule_and_points_at_the_condition() -> None:
    lines = rendered(text(rule('sip.Method == "CANCEL"   # since March'), emergency=CALLS))
    assert lines[:5] == [
        'test.yaml:7:5: error[SOS102] emergency-call-cut: rule "guilty" drops the CANCEL of an emergency call',
        "      |",
        "    7 |   - name: guilty",
        '    8 |     when: sip.Method == "CANCEL"   # since March',
        "      |           ^^^^^^^^^^^^^^^^^^^^^^",
    ]
    labels = [line.split(":")[0].strip() for line in lines[5:-4]]
    assert labels[-3:] == ["witness", "help", "fix"]
    assert set(labels[:-3]) == {"because"}
    assert lines[-4:-2] == [
        '    8 -     when: sip.Method == "CANCEL"   # since March',
        '    8 +     when: sip.Method == "CANCEL" and not emergency   # since March',
    ]
    assert lines[-1].startswith("refuted: test.yaml: ")


def test_a_finding_of_a_policy_alone_points_at_its_line() -> None:
    assert shown(lint(rule('sip.Method == "CANCEL"')))[1:4] == [
        "      |",
        "    7 |   - name: guilty   # since March",
        "      |     ^^^^^^^^^^^^",
    ]


def test_carets_are_labelled_and_lines_between_are_left_out() -> None:
    lines = rendered(text(rule('sip.Method == "INVITE"', more="status: 503\nlimit: {rate: 2/1s}", action="reject")))
    assert lines[2:9] == [
        "    7 |   - name: guilty",
        '    8 |     when: sip.Method == "INVITE"',
        "      |           ^^^^^^^^^^^^^^^^^^^^^^ emergency calls are counted, too",
        "    …",
        "   11 |     limit: {rate: 2/1s}",
        "      |            ^^^^^^^^^^^^ and there are more of them than this",
        lines[8],
    ]


@pytest.mark.parametrize("width", [40, 60, 79, 200])
def test_every_folded_line_fits_the_terminal_and_carets_stand_under_what_they_mean(width: int) -> None:
    when = 'sip.Subject != "🚒🚒🚒 voilà" and sip.Method in {"REFER", "CANCEL"} and len(sip.Call-ID) < 2000 and sip.Via'
    when = when.replace('sip.Subject != "', 'not sip.Subject == "')
    lines = rendered(text(rule(when)), width)
    body = [line for line in lines if line.startswith("  ")]
    assert max(cell_len(line) for line in body if " " in line.strip()) <= width
    row = next(index for index, line in enumerate(lines) if "^" in line)
    under = lines[row].index("^")
    quoted, cells = lines[row - 1], 0
    for start, char in enumerate(quoted):
        if cells == under:
            assert quoted[start:].startswith(("not sip.Subject", "…"))
            break
        cells += cell_len(char)
    else:
        pytest.fail("no character stands above the first caret")


def test_an_ignored_finding_is_counted_and_not_shown() -> None:
    (line,) = rendered(text(default="allow   # sosgate: ignore[SOS204] the lab"))
    assert line.endswith("; 1 ignored by comments")


def test_with_captures_the_message_is_shown_too() -> None:
    lines = shown(lint(rule('sip.Method == "CANCEL"'), emergency=CALLS), messages=True)
    assert any(line.startswith("  capture : w/a.pcap (messages: ") for line in lines)
    assert "      | CANCEL urn:service:sos SIP/2.0" in lines


def test_an_unusable_policy_is_not_said_to_be_proved() -> None:
    (line,) = shown(Unusable("x.yaml", PolicyError("it is empty", place=Place("x.yaml"))))
    assert line == "unusable: x.yaml: nothing is proved"
