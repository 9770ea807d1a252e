"""docs/reasons.md has every code with its own words."""

from pathlib import Path

import pytest

from firewall.engine.reasons import REASONS

PAGE = (Path(__file__).parents[2] / "docs" / "reasons.md").read_text()


@pytest.mark.parametrize("code", sorted(REASONS))
def test_every_reason_code_is_documented(code: str) -> None:
    _, found, rest = PAGE.partition(f"### `{code}`\n")
    assert found
    assert REASONS[code].title in rest.partition("\n### ")[0]
