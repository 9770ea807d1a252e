"""The JSON Schema says what the loader takes."""

import json
import re
from pathlib import Path

import pytest
import yaml

from firewall.cli.policy_file import FileSources
from firewall.errors import PolicyError
from firewall.ruleset.load import load_policy
from firewall.ruleset.schema import POLICY_KEYS, Schema, json_schema

ROOT = Path(__file__).parents[2]
POLICIES = sorted([ROOT / "rules" / "start.yaml", *(ROOT / "rules" / "examples").glob("*.yaml")])


KINDS = {"string": str, "integer": int, "array": list, "object": dict, "number": float, "boolean": bool}


def is_of_kind(value: object, kind: str) -> bool:
    if kind == "null":
        return value is None
    if isinstance(value, bool):
        return kind == "boolean"
    return isinstance(value, KINDS[kind]) or (kind == "number" and isinstance(value, int))


def violations(value: object, schema: Schema, where: str = "") -> list[str]:
    """Check the few keywords of JSON Schema that ours uses."""
    found: list[str] = []
    if "anyOf" in schema and all(violations(value, option) for option in schema["anyOf"]):
        found.append(f"{where}: none of anyOf")
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{where}: {value!r} not in {schema['enum']}")
    if isinstance(value, dict):
        found += key_violations(value, schema, where)
    if isinstance(value, list):
        if len(value) < schema.get("minItems", 0):
            found.append(f"{where}: too few")
        for index, item in enumerate(value):
            found += violations(item, schema.get("items", {}), f"{where}/{index}")
    if isinstance(value, str) and (
        len(value) < schema.get("minLength", 0) or re.search(schema.get("pattern", ""), value) is None
    ):
        found.append(f"{where}: {value!r} is not as it must be")
    if is_of_kind(value, "integer") and not schema.get("minimum", value) <= value <= schema.get("maximum", value):
        found.append(f"{where}: {value} is out of bounds")
    if "type" in schema:
        names = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
        if not any(is_of_kind(value, name) for name in names):
            found.append(f"{where}: {value!r} is no {names}")
    return found


def key_violations(value: dict[str, object], schema: Schema, where: str) -> list[str]:
    properties = schema.get("properties", {})
    others = schema.get("additionalProperties", {})
    found = [f"{where}: lacks {key}" for key in schema.get("required", ()) if key not in value]
    found += [f"{where}: unknown {key}" for key in value if key not in properties and others is False]
    found += [each for key in value for each in violations(key, schema.get("propertyNames", {}), f"{where}/{key}")]
    for key, inner in value.items():
        found += violations(inner, properties.get(key, others or {}), f"{where}/{key}")
    if not schema.get("minProperties", 0) <= len(value) <= schema.get("maxProperties", len(value)):
        found.append(f"{where}: has {len(value)} keys")
    for beside in schema.get("allOf", ()):
        if (
            set(beside["if"]["required"]) <= set(value)
            and value["action"] != beside["then"]["properties"]["action"]["const"]
        ):
            found.append(f"{where}: {beside['if']['required']} beside {value['action']}")
    return found


@pytest.mark.parametrize("path", POLICIES, ids=lambda path: path.name)
def test_the_policies_that_come_with_sosgate_fit_the_schema(path: Path) -> None:
    assert violations(yaml.safe_load(path.read_text()), json_schema()) == []


def test_the_schema_refuses_what_the_loader_refuses() -> None:
    assert violations({"policy": "p", "rules": [], "default": "drop", "zoness": {}}, json_schema())
    assert violations({"policy": "p", "rules": [{"name": "a"}], "default": "drop"}, json_schema())
    assert violations({"policy": "p", "rules": [{"name": "a", "action": "block"}], "default": "drop"}, json_schema())
    assert violations({"policy": "p", "rules": [], "default": "reject"}, json_schema())


@pytest.mark.parametrize(
    "policy",
    [
        "policy: 2026\nrules:\nzones:\nsets:\nemergency:\nexceptions:\nmedia:\nmust:",
        "zones: {a: , b: {interfaces: [], networks: []}, 7: {interfaces: [7, 8.1]}}",
        "zones: {7: }\nemergency: {numbers: [], test_numbers: , from: [7], to: ['7']}",
        "emergency: {numbers: [911, +112, '*9#'], dial_prefixes: [+1]}",
        "sets: {a: {values: [x, 7, 1.5, true]}, b: {values: }, c: {networks: }}",
        "signalling: {ports: ['5060', 5080]}\nmedia: {ports: 01024-2000, other_ports: }",
        "rules: [{name: 7, action: reject, status: '503', limit: {rate: 1/1s, burst: '5'}}]",
        f"policy: {'p' * 128}",
    ],
)
def test_the_schema_takes_what_the_loader_takes(policy: str) -> None:
    load(policy)
    assert violations(as_an_editor_reads(policy), json_schema()) == []


@pytest.mark.parametrize(
    "policy",
    [
        "policy: a b",
        f"policy: {'p' * 129}",
        "zones: {'a b': {}}",
        "zones: {a: {networks: }}",
        "zones: {a: {interfaces: }}",
        "emergency: {numbers: }",
        "emergency: {numbers: ['9-1-1']}",
        "emergency: {from: []}",
        "signalling: {ports: [65536]}",
        "sets: {a: {file: x, values: [y]}}",
        "rules: [{name: a, action: reject, status: 299}]",
        "rules: [{name: a, action: drop, status: 400}]",
        "rules: [{name: a, action: allow, ban: 10m}]",
        "rules: [{name: a, action: drop, ban: 1234567890s}]",
        "rules: [{name: a, action: drop, limit: {rate: 30}}]",
        "rules: [{name: a, action: drop, limit: }]",
    ],
)
def test_what_the_schema_refuses_the_loader_refuses(policy: str) -> None:
    assert violations(as_an_editor_reads(policy), json_schema())
    with pytest.raises(PolicyError):
        load(policy)


def whole(part: str) -> str:
    """Add what every policy needs and the part does not have."""
    rest = ("policy: p", "rules: []", "default: drop")
    return "\n".join([part, *(line for line in rest if line.partition(":")[0] + ":" not in part)])


def load(part: str) -> None:
    load_policy(whole(part).encode(), file="p.yaml", sources=FileSources("p.yaml"))


def as_an_editor_reads(part: str) -> object:
    """As Python's YAML reader takes it, keys as texts."""
    return json.loads(json.dumps(yaml.safe_load(whole(part))))


def test_every_key_is_described() -> None:
    schema = json_schema()
    assert set(schema["properties"]) == set(POLICY_KEYS)

    def undescribed(part: object, where: str) -> list[str]:
        if not isinstance(part, dict):
            return []
        properties = part.get("properties", {})
        lacking = [
            f"{where}/{key}" for key, value in properties.items() if where != "/then" and not value.get("description")
        ]
        return lacking + [
            name for key, value in part.items() if key != "allOf" for name in undescribed(value, f"{where}/{key}")
        ]

    assert undescribed(schema, "") == []
