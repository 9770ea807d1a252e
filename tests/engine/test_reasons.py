"""Every reason a decision, a parse failure or an anomaly can carry has its page."""

import re
from pathlib import Path

import pytest

from firewall.engine.reasons import REASONS

FIREWALL = Path(__file__).parents[2] / "firewall"


def sources(*folders: str) -> str:
    return "\n".join(path.read_text() for folder in folders for path in sorted((FIREWALL / folder).glob("*.py")))


@pytest.mark.parametrize(
    ("folders", "pattern"),
    [
        (("engine",), r'Decision\((?:"\w+"|exceptions\.\w+|self\.policy\.default|verdict), "(\w+)"'),
        (("sip",), r'SipSyntaxError\("(\w+)"'),
        (("sip",), r'"(content_length_\w+|cseq_\w+_mismatch)"'),
        (("sip",), r'(?:yield|found = \[|found \+= \[|append\()\s*"(\w+)"'),
    ],
)
def test_every_code_in_the_source_is_in_the_table(folders: tuple[str, ...], pattern: str) -> None:
    codes = set(re.findall(pattern, sources(*folders)))
    assert codes
    assert codes <= set(REASONS)


def test_every_code_in_the_table_is_used() -> None:
    text = sources("engine", "sip")
    for table in ("engine/reasons.py", "sip/fault_words.py"):
        text = text.replace((FIREWALL / table).read_text(), "")
    unused = [code for code in REASONS if f'"{code}"' not in text]
    assert unused == []


def test_every_page_says_something() -> None:
    for code, reason in REASONS.items():
        assert reason.code == code
        assert len(reason.text) > 40, code
