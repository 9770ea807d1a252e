"""The generated pages are what the tables say."""

from pathlib import Path

import pytest

from firewall.cli.reference import fields_page, main, outdated, schema_page, write
from firewall.ruleset.fields import FIELDS

ROOT = Path(__file__).parents[2]


def test_the_committed_pages_are_up_to_date() -> None:
    assert outdated(ROOT) == []


def test_every_field_has_its_row() -> None:
    page = fields_page()
    assert all(f"| `{name}` |" in page for name in FIELDS)


def test_a_changed_page_is_found_and_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["--check"]) == 1
    assert "docs/fields.md" in capsys.readouterr().err
    write(tmp_path)
    assert main(["--check"]) == 0
    (tmp_path / "docs" / "policy.schema.json").write_text("{}")
    assert outdated(tmp_path) == ["docs/policy.schema.json"]
    assert main([]) == 0
    assert (tmp_path / "docs" / "policy.schema.json").read_text() == schema_page()
