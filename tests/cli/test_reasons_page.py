"""docs/reasons.md has every code with its own words."""

from pathlib import Path

from firewall.engine.reasons import REASONS

PAGE = (Path(__file__).parents[2] / "docs" / "reasons.md").read_text()


def test_every_reason_code_is_documented() -> None:
    for code, reason in REASONS.items():
        _, found, rest = PAGE.partition(f"### `{code}`\n")
        assert found, code
        assert reason.title in rest.partition("\n### ")[0], code
