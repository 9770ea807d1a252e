from firewall.lint.codes import CODES
from firewall.lint.rendering.sarif import sarif_document
from tests.lint.policies import lint, rule


def test_the_document_is_sarif_2_1_0_and_each_result_points_to_its_rule() -> None:
    document = sarif_document([lint(rule('sip.Method == "CANCEL"'), default="allow")])
    assert document["version"] == "2.1.0"
    (run,) = document["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert [each["id"] for each in rules] == list(CODES)
    assert [result["ruleId"] for result in run["results"]] == ["SOS102", "SOS204"]
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
    first = run["results"][0]
    assert first["level"] == "error"
    location = first["locations"][0]["physicalLocation"]
    assert location == {"artifactLocation": {"uri": "test.yaml"}, "region": {"startLine": 7, "startColumn": 5}}


def test_a_finding_about_the_whole_file_has_no_region() -> None:
    emergency = "emergency: {from: [carrier], to: [psap], guard: off}\n"
    (run,) = sarif_document([lint(emergency=emergency)])["runs"]
    assert "region" not in run["results"][0]["locations"][0]["physicalLocation"]
