import json

from firewall.lint.rendering.document import lint_document
from tests.lint.policies import CALLS, examined, lint, only, rule, text

KEYS = ["code", "name", "severity", "message", "file", "line", "column", "rule", "witness", "help", "fix"]


def test_a_finding_has_the_keys_of_the_design() -> None:
    report = lint(rule('sip.Method == "CANCEL"'), emergency=CALLS)
    document = lint_document([report], {only(report): "w/a.pcap"})
    assert list(document) == ["result", "findings", "suppressed"]
    (finding,) = document["findings"]
    assert list(finding) == KEYS
    assert (finding["code"], finding["severity"], finding["file"], finding["line"], finding["rule"]) == (
        "SOS102",
        "error",
        "test.yaml",
        7,
        "guilty",
    )
    assert finding["witness"]["message"].startswith("CANCEL urn:service:sos SIP/2.0\r\n")
    assert finding["witness"]["emergency"]["class"] == "call"
    assert finding["witness"]["pcap"] == "w/a.pcap"
    assert json.loads(json.dumps(document)) == document


def test_a_policy_that_blocks_no_call_is_proved() -> None:
    assert lint_document([lint()], {}) == {"result": "proved", "findings": [], "suppressed": []}


def test_what_does_not_apply_is_null() -> None:
    (finding,) = lint_document([lint(default="allow")], {})["findings"]
    assert (finding["rule"], finding["witness"], finding["fix"]) == (None, None, None)


def test_a_fix_is_its_edits_by_line_and_column() -> None:
    (finding,) = lint_document([examined(text(rule('sip.Method == "CANCEL"'), emergency=CALLS))], {})["findings"]
    assert finding["fix"] == {
        "description": 'Exempt emergency calls from rule "guilty"',
        "certain": True,
        "edits": [{"line": 8, "column": 33, "end_line": 8, "end_column": 33, "text": " and not emergency"}],
    }


def test_what_a_comment_ignores_is_no_finding_but_is_named() -> None:
    written = text(default="allow   # sosgate: ignore[SOS204] the lab")
    document = lint_document([examined(written)], {})
    assert document["findings"] == []
    (suppressed,) = document["suppressed"]
    line = written.count("\n")
    assert (suppressed["code"], suppressed["reason"], suppressed["ignored_at"]) == ("SOS204", "the lab", line)
