"""The JSON Schema says what the loader takes."""

from pathlib import Path

import pytest
import yaml

from firewall.ruleset.schema import POLICY_KEYS, Schema, json_schema

ROOT = Path(__file__).parents[2]
POLICIES = sorted([ROOT / "rules" / "start.yaml", *(ROOT / "rules" / "examples").glob("*.yaml")])


def violations(value: object, schema: Schema, where: str = "") -> list[str]:
    """Check the few keywords of JSON Schema that ours uses."""
    found: list[str] = []
    if "anyOf" in schema and all(violations(value, option) for option in schema["anyOf"]):
        found.append(f"{where}: none of anyOf")
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{where}: {value!r} not in {schema['enum']}")
    if isinstance(value, dict) and "properties" in schema:
        found += [f"{where}: lacks {key}" for key in schema.get("required", ()) if key not in value]
        found += [f"{where}: unknown {key}" for key in value if key not in schema["properties"]]
        for key, inner in value.items():
            found += violations(inner, schema["properties"].get(key, {}), f"{where}/{key}")
    elif isinstance(value, dict) and isinstance(schema.get("additionalProperties"), dict):
        for key, inner in value.items():
            found += violations(inner, schema["additionalProperties"], f"{where}/{key}")
    if isinstance(value, list):
        for index, item in enumerate(value):
            found += violations(item, schema.get("items", {}), f"{where}/{index}")
    kinds = {
        "string": str,
        "integer": int,
        "array": list,
        "object": dict,
        "number": float,
        "boolean": bool,
        "null": type(None),
    }
    if "type" in schema:
        names = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
        if not isinstance(value, tuple(kinds[name] for name in names)):
            found.append(f"{where}: {value!r} is no {names}")
    return found


@pytest.mark.parametrize("path", POLICIES, ids=lambda path: path.name)
def test_the_policies_that_come_with_sosgate_fit_the_schema(path: Path) -> None:
    assert violations(yaml.safe_load(path.read_text()), json_schema()) == []


def test_the_schema_refuses_what_the_loader_refuses() -> None:
    assert violations({"policy": "p", "rules": [], "default": "drop", "zoness": {}}, json_schema())
    assert violations({"policy": "p", "rules": [{"name": "a"}], "default": "drop"}, json_schema())
    assert violations({"policy": "p", "rules": [{"name": "a", "action": "block"}], "default": "drop"}, json_schema())
    assert violations({"policy": "p", "rules": [], "default": "reject"}, json_schema())


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
