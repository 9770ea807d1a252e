"""The documentation speaks of what is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "rules").rglob("*.md")]
)
# What begins like a path of this repository, in code quotes or a code block; build/ is made by running things.
REPOSITORY_PATH = re.compile(r"(?<![\w/.-])((?:firewall|rules|tests|pcaps|docs|\.ci)/[\w./-]*[\w/])")
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_file_a_page_names_exists(page: Path) -> None:
    named = set(REPOSITORY_PATH.findall(page.read_text()))
    assert not [path for path in sorted(named) if not (ROOT / path).exists()]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_somewhere(page: Path) -> None:
    links = [target for target in LINK.findall(page.read_text()) if "://" not in target]
    assert not [target for target in links if not (page.parent / target).exists()]


def test_the_index_names_every_page() -> None:
    index = (ROOT / "docs" / "README.md").read_text()
    pages = [path.relative_to(ROOT / "docs") for path in (ROOT / "docs").rglob("*") if path.is_file()]
    assert not [str(path) for path in pages if path.name != "README.md" and f"]({path})" not in index]
