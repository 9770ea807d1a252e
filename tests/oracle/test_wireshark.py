"""tshark agrees with ``sosgate match``, frame by frame, on expressions that nobody chose.

ORACLE_EXPRESSIONS sets how many are made (300), ORACLE_SEED which ones (1).
"""

import os
from functools import cache
from pathlib import Path

import pytest

from firewall.errors import Place
from firewall.replay.match import match_expressions
from firewall.ruleset.evaluate import compile_condition
from firewall.ruleset.facts import Facts
from firewall.ruleset.parse import parse_expression
from tests.net.packets import tshark
from tests.oracle import captures
from tests.oracle.differences import DIFFERENCES
from tests.oracle.expressions import Generator, Pool, fields_of, length_expressions, plain_expressions, value_pool
from tests.oracle.wireshark import RefusedError, wireshark_frames

EXPRESSIONS = int(os.environ.get("ORACLE_EXPRESSIONS", "300"))
SEED = int(os.environ.get("ORACLE_SEED", "1"))
VALUES_EACH = 250
NAMES = [name for name, _, _ in captures.frames()]

Disagreement = tuple[str, str, bool]
"""Expression, name of the frame, whether it is Wireshark that matches it."""


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("oracle") / "all.pcapng"
    path.write_bytes(captures.capture())
    return path


@pytest.fixture(scope="module")
def facts(capture: Path) -> list[Facts]:
    found: list[Facts] = []

    def keep(each: Facts) -> bool:
        found.append(each)
        return False

    match_expressions(str(capture), [keep])
    return found


@pytest.fixture(scope="module")
def pool(facts: list[Facts]) -> Pool:
    return value_pool(facts)


def disagreements(capture: Path, expressions: list[str]) -> list[Disagreement]:
    predicates = [compile_condition(parse_expression(text, sets={}, place=Place("EXPR"))) for text in expressions]
    ours = match_expressions(str(capture), predicates)
    theirs = wireshark_frames(captures.capture(), expressions)
    return [
        (expression, NAMES[number - 1], number in they)
        for expression, report, they in zip(expressions, ours, theirs, strict=True)
        for number in sorted(set(report.frames) ^ set(they))
    ]


@cache
def is_explained(frame: str, fields: frozenset[str]) -> bool:
    return any(difference.explains(frame, field) for difference in DIFFERENCES for field in fields)


def test_every_field_reads_as_in_wireshark_but_for_the_listed_differences(
    capture: Path, facts: list[Facts], pool: Pool
) -> None:
    plain = plain_expressions(pool, VALUES_EACH) + length_expressions(facts, VALUES_EACH)
    field_of = {expression: field for field, expression in plain}
    found = {(frame, field_of[expression]) for expression, frame, _ in disagreements(capture, list(field_of))}
    unlisted = sorted(each for each in found if not is_explained(each[0], frozenset({each[1]})))
    assert not unlisted, "give each a reason in tests/oracle/differences.py, or mend it"
    outdated = [(*unused, difference.reason) for difference in DIFFERENCES for unused in difference.unused(found)]
    assert not outdated, "these are no differences any more: take them off the table"


def test_generated_expressions_match_the_same_frames_as_in_wireshark(capture: Path, pool: Pool) -> None:
    generator = Generator(pool, SEED)
    expressions = list(dict.fromkeys(generator.expression() for _ in range(max(EXPRESSIONS, 200))))
    assert len(expressions) >= 200
    found = disagreements(capture, expressions)
    assert [each for each in found if not is_explained(each[1], frozenset(fields_of(each[0])))] == []
    # Most expressions must say something, or agreement means little.
    matched = wireshark_frames(captures.capture(), expressions)
    assert sum(0 < len(frames) < len(NAMES) for frames in matched) > len(expressions) // 3


def test_the_oracle_is_tsharks_display_filter(capture: Path) -> None:
    expressions = ['sip.Method == "INVITE"', "udp.port == 5060 and not sip", 'sip.from.user contains "al"', "frame"]
    theirs = wireshark_frames(captures.capture(), expressions)
    for expression, frames in zip(expressions, theirs, strict=True):
        assert frames == [int(number) for (number,) in tshark(capture, "frame.number", only=expression)]


def test_the_capture_holds_all_of_pcaps_and_is_numbered_as_named() -> None:
    scenarios = {path.parent.name for path in captures.PCAPS.glob("*/capture.pcap")}
    assert {name.split("/")[0] for name in NAMES} >= scenarios | {"tcp", "tunnel", "fragments", "strange", "link"}
    assert len(set(NAMES)) == len(NAMES)


def test_what_wireshark_refuses_is_told() -> None:
    with pytest.raises(RefusedError, match=r"no\.such\.field"):
        wireshark_frames(captures.capture(), ["frame", "no.such.field == 1"])
