import os
from typing import Any

import pytest

from firewall.errors import Place, PolicyError
from firewall.lint.codes import CODES
from firewall.lint.outcome import Unusable
from firewall.lint.rendering.sarif import sarif_document
from tests.lint.policies import CALLS, examined, lint, rule, text

# What sarif-schema-2.1.0.json asks of the objects used here: required properties, then each property that may stand,
# with its type (a name is an object of this table, a list its items).
SCHEMA: dict[str, tuple[set[str], dict[str, Any]]] = {
    "sarifLog": ({"version", "runs"}, {"$schema": str, "version": str, "runs": ["run"]}),
    "run": ({"tool"}, {"tool": "tool", "results": ["result"], "columnKind": str}),
    "tool": ({"driver"}, {"driver": "toolComponent"}),
    "toolComponent": ({"name"}, {"name": str, "version": str, "rules": ["reportingDescriptor"]}),
    "reportingDescriptor": (
        {"id"},
        {
            "id": str,
            "name": str,
            "shortDescription": "multiformatMessageString",
            "fullDescription": "multiformatMessageString",
            "help": "multiformatMessageString",
            "defaultConfiguration": "reportingConfiguration",
        },
    ),
    "multiformatMessageString": ({"text"}, {"text": str, "markdown": str}),
    "reportingConfiguration": (set(), {"level": str}),
    "result": (
        {"message"},
        {
            "ruleId": str,
            "ruleIndex": int,
            "level": str,
            "message": "message",
            "locations": ["location"],
            "relatedLocations": ["location"],
            "partialFingerprints": dict,
            "fixes": ["fix"],
            "suppressions": ["suppression"],
        },
    ),
    "message": (set(), {"text": str}),
    "location": (set(), {"physicalLocation": "physicalLocation", "message": "message"}),
    "physicalLocation": ({"artifactLocation"}, {"artifactLocation": "artifactLocation", "region": "region"}),
    "artifactLocation": (set(), {"uri": str}),
    "region": (set(), {"startLine": int, "startColumn": int, "endLine": int, "endColumn": int}),
    "fix": ({"artifactChanges"}, {"description": "message", "artifactChanges": ["artifactChange"]}),
    "artifactChange": (
        {"artifactLocation", "replacements"},
        {"artifactLocation": "artifactLocation", "replacements": ["replacement"]},
    ),
    "replacement": ({"deletedRegion"}, {"deletedRegion": "region", "insertedContent": "artifactContent"}),
    "artifactContent": (set(), {"text": str}),
    "suppression": ({"kind"}, {"kind": str, "justification": str}),
}
CHOICES = {
    "level": {"none", "note", "warning", "error"},
    "kind": {"inSource", "external"},
    "columnKind": {"utf16CodeUnits", "unicodeCodePoints"},
    "version": None,
}


def check(value: Any, kind: Any, path: str = "$") -> None:
    """Fail where a value is not what the schema asks for."""
    if isinstance(kind, list):
        assert isinstance(value, list), path
        for index, item in enumerate(value):
            check(item, kind[0], f"{path}[{index}]")
    elif isinstance(kind, str):
        required, properties = SCHEMA[kind]
        assert isinstance(value, dict), path
        assert required <= set(value) <= set(properties), path
        for name, part in value.items():
            check(part, properties[name], f"{path}.{name}")
            if (allowed := CHOICES.get(name)) is not None:
                assert part in allowed, f"{path}.{name}"
            if isinstance(part, int):
                assert part >= (0 if name == "ruleIndex" else 1), f"{path}.{name}"
    else:
        assert isinstance(value, kind), path


IGNORED = "allow   # sosgate: ignore[SOS204] the lab"
EVERYTHING = text(
    rule('sip.Method == "CANCEL" or sip.Method == "X"'), default=IGNORED, extra="sets: {lost: {values: [b]}}\n"
)


def test_the_document_is_what_the_schema_asks_for() -> None:
    document = sarif_document([examined(EVERYTHING)])
    check(document, "sarifLog")
    assert document["version"] == "2.1.0"
    (run,) = document["runs"]
    assert {key for result in run["results"] for key in result} >= {"fixes", "suppressions", "relatedLocations"}


@pytest.mark.parametrize("broken", ["fixes", "level", "region"])
def test_the_check_would_notice(broken: str) -> None:
    document = sarif_document([examined(EVERYTHING)])
    result = document["runs"][0]["results"][0]
    match broken:
        case "fixes":
            del result["fixes"][0]["artifactChanges"][0]["replacements"]
        case "level":
            result["level"] = "info"
        case _:
            result["locations"][0]["physicalLocation"]["region"]["startLine"] = 0
    with pytest.raises(AssertionError):
        check(document, "sarifLog")


def test_each_result_points_to_its_rule_and_place() -> None:
    (run,) = sarif_document([lint(rule('sip.Method == "CANCEL"'), emergency=CALLS, default="allow")])["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert [each["id"] for each in rules] == list(CODES)
    assert [result["ruleId"] for result in run["results"]] == ["SOS102", "SOS204"]
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
    first = run["results"][0]
    assert first["level"] == "error"
    location = first["locations"][0]["physicalLocation"]
    assert location == {"artifactLocation": {"uri": "test.yaml"}, "region": {"startLine": 7, "startColumn": 5}}


def test_a_file_named_by_its_absolute_path_has_a_scheme() -> None:
    file = "/srv/sos gate/p.yaml"
    unusable = Unusable(file, PolicyError("no", place=Place(file)))
    (run,) = sarif_document([unusable])["runs"]
    location = run["results"][0]["locations"][0]["physicalLocation"]
    assert location["artifactLocation"] == {"uri": "file:///srv/sos%20gate/p.yaml"}


def test_a_file_whose_name_is_no_utf_8_has_its_bytes_in_the_uri() -> None:
    file = os.fsdecode(b"b\xff d.yaml")
    (run,) = sarif_document([Unusable(file, PolicyError("no", place=Place(file)))])["runs"]
    location = run["results"][0]["locations"][0]["physicalLocation"]
    assert location["artifactLocation"] == {"uri": "b%FF%20d.yaml"}


def test_a_fix_replaces_regions() -> None:
    (run,) = sarif_document([examined(EVERYTHING)])["runs"]
    (fix,) = run["results"][0]["fixes"]
    (change,) = fix["artifactChanges"]
    assert [each["insertedContent"]["text"] for each in change["replacements"]] == ["(", ") and not emergency"]
    region = change["replacements"][1]["deletedRegion"]
    assert (region["startLine"], region["startColumn"]) == (region["endLine"], region["endColumn"])


def test_what_a_comment_ignores_is_a_suppressed_result_with_its_reason() -> None:
    (run,) = sarif_document([examined(EVERYTHING)])["runs"]
    suppressed = {result["ruleId"]: result["suppressions"] for result in run["results"] if "suppressions" in result}
    assert suppressed == {"SOS204": [{"kind": "inSource", "justification": "the lab"}]}


def test_a_finding_about_the_whole_file_has_no_region() -> None:
    emergency = "emergency: {from: [carrier], to: [psap], guard: off}\n"
    (run,) = sarif_document([lint(emergency=emergency)])["runs"]
    assert "region" not in run["results"][0]["locations"][0]["physicalLocation"]


def test_two_findings_of_one_file_have_two_fingerprints() -> None:
    report = examined(text(extra="sets:\n  one: {values: [a]}\n  two: {values: [b]}\n"))
    prints = [each["partialFingerprints"]["codeAndRule/v1"] for each in sarif_document([report])["runs"][0]["results"]]
    assert len(prints) == len(set(prints)) > 1
