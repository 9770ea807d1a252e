"""The documentation speaks of what is there."""

import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from firewall.engine import record

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "rules").rglob("*.md")]
)
# What begins like a path of this repository, in code quotes or a code block; build/ is made by running things.
REPOSITORY_PATH = re.compile(r"(?<![\w/.-])((?:firewall|rules|tests|pcaps|docs|\.ci)/[\w./-]*[\w/])")
COMMAND = re.compile(r"^\$ (.*)\n", re.MULTILINE)
RUNNABLE = re.compile(
    r"^```console\n((?:(?:\$ (?:sosgate (?:replay|match|explain|lint|diff)\b|echo \$\?)|(?!\$ |```)).*\n)+)^```",
    re.MULTILINE,
)
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


def test_the_page_of_the_log_names_every_field_and_no_other() -> None:
    structs = [each for each in vars(record).values() if isinstance(each, type) and issubclass(each, msgspec.Struct)]
    fields = {field.encode_name for each in structs for field in msgspec.structs.fields(each)} | {"event_type"}
    tags = {str(each.__struct_config__.tag) for each in structs}
    page = (ROOT / "docs" / "log.md").read_text()
    listed = re.findall(r"^\| (`.*?`) \| ", page, re.MULTILINE)
    assert fields - set(re.findall(r"`([a-z0-9_]+)`", page)) == set()
    assert set(re.findall(r"`([a-z0-9_]+)`", " ".join(listed))) - fields - tags == set()


@pytest.mark.timeout(300)  # a page starts sosgate many times, and the machine may be busy
@pytest.mark.parametrize("page", [page for page in PAGES if RUNNABLE.findall(page.read_text())], ids=name_of)
def test_a_page_shows_what_its_commands_print(page: Path, tmp_path: Path) -> None:
    """Where they only read what is in the repository. A line "…" stands for any lines."""
    for folder in ("pcaps", "rules"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    sosgate = tmp_path / "sosgate"
    sosgate.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -P -m firewall "$@"\n')
    sosgate.chmod(0o755)
    for block in RUNNABLE.findall(page.read_text()):
        script = "\n".join(COMMAND.findall(block))
        run = subprocess.run(["sh", "-c", f"PATH=.:$PATH; {script}"], cwd=tmp_path, check=False, stdout=subprocess.PIPE)
        printed = "".join(f"{line.rstrip()}\n" for line in run.stdout.decode().splitlines())
        shown = re.escape(COMMAND.sub("", block)).replace("…\\\n", "(?:.*\\n)*?")
        assert re.fullmatch(shown, printed), f"{script}\n{printed}"
