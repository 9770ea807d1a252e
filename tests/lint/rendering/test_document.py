import json

from firewall.lint.rendering.document import lint_document
from tests.lint.policies import lint, only, rule

KEYS = ["code", "name", "severity", "message", "file", "line", "column", "rule", "witness", "help"]


def test_a_finding_has_the_keys_of_the_design() -> None:
    report = lint(rule('sip.Method == "CANCEL"'))
    document = lint_document([report], {only(report): "w/a.pcap"})
    assert list(document) == ["result", "findings"]
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


def test_a_policy_without_a_blocked_probe_is_clean_and_never_proved() -> None:
    assert lint_document([lint()], {}) == {"result": "clean", "findings": []}


def test_what_does_not_apply_is_null() -> None:
    (finding,) = lint_document([lint(default="allow")], {})["findings"]
    assert (finding["rule"], finding["witness"]) == (None, None)
