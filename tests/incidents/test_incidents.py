"""Every folder of rules/incidents/: lint and replay say of an outage what its story says they do."""

import re
import runpy
import shutil
from collections import Counter
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from firewall.cli.policy_file import read_policy
from firewall.engine.record import encode
from firewall.lint.check import lint_policy
from firewall.lint.finding import Report
from firewall.replay.driver import replay
from firewall.replay.report import Change
from firewall.replay.story import Story, call_records, tell
from firewall.ruleset.policy import Policy
from tests.oracle.sharkd import shown
from tests.replay.replayed import ReplayResult, replay_capture

ROOT = Path(__file__).parents[2]
FOLDERS = sorted(path.parent for path in (ROOT / "rules" / "incidents").glob("*/broken.yaml"))
VARIANTS = [
    (folder, variant)
    for folder in FOLDERS
    for variant in ("before", "broken", "mended")
    if (folder / f"{variant}.yaml").exists()
]
# Broken in a way that the guard cannot undo: what is lost carries no mark, is no message, or is lost elsewhere.
BEYOND_THE_GUARD = {"options-filtered", "lumen-2024-fibre-cut"}
NEGATIVE_CONTROL = "lumen-2024-fibre-cut"
incidents = pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
variants = pytest.mark.parametrize(
    ("folder", "variant"), VARIANTS, ids=[f"{folder.name}-{variant}" for folder, variant in VARIANTS]
)


@cache
def policy(folder: Path, variant: str) -> Policy:
    return read_policy(str(folder / f"{variant}.yaml"))


@cache
def expected(folder: Path) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((folder / "expected.yaml").read_text())
    return document


@cache
def linted(folder: Path, variant: str) -> Report:
    return lint_policy(policy(folder, variant))


def guilty(folder: Path, variant: str) -> dict[str, set[str]]:
    """The error codes lint gives each rule; ``default`` is what no rule decides."""
    found: dict[str, set[str]] = {}
    for finding in linted(folder, variant).findings:
        if finding.kind.severity == "error":
            found.setdefault(finding.rule or "default", set()).add(finding.code)
    return found


@cache
def replayed(folder: Path, variant: str) -> ReplayResult:
    return replay_capture([str(folder / "calls.pcap")], policy(folder, variant))


def hurt_by_rule(result: ReplayResult) -> dict[str, int]:
    return dict(Counter(call.rule or "default" for call in result.report.policy.hurt.values()))


def story(result: ReplayResult, call_id: str) -> Story:
    """What ``sosgate explain`` tells of a call."""
    log = call_records((encode(record) for record in result.records), call_id)
    told = tell(call_id, log)
    assert told is not None
    return told


def test_the_library_holds_at_least_fifteen_outages_and_a_negative_control() -> None:
    assert len(FOLDERS) - 1 >= 15
    assert NEGATIVE_CONTROL in {folder.name for folder in FOLDERS}


@incidents
def test_a_folder_is_complete_and_the_index_names_it(folder: Path) -> None:
    needed = {"README.md", "broken.yaml", "calls.pcap", "expected.yaml", "make.py"}
    needed |= set() if folder.name == NEGATIVE_CONTROL else {"mended.yaml"}
    assert {path.name for path in folder.iterdir() if path.is_file()} - {"before.yaml"} == needed
    index = (ROOT / "docs" / "incidents.md").read_text()
    [row] = [line for line in index.splitlines() if f"(../rules/incidents/{folder.name}/README.md)" in line]
    shown = {code for codes in (expected(folder)["lint"]["broken"] or {}).values() for code in codes}
    assert set(re.findall(r"SOS\d+", row)) <= shown
    assert bool(re.search(r"SOS\d+", row)) == bool(shown)


@incidents
def test_a_story_marks_what_is_known_and_assumed_and_names_the_guilty_rule_and_its_codes(folder: Path) -> None:
    story = (folder / "README.md").read_text()
    assert "- Known: " in story
    assert "- Assumed: " in story
    for rule, codes in (expected(folder)["lint"]["broken"] or {}).items():
        assert rule == "default" or f"`{rule}`" in story
        assert all(code in story for code in codes)


@variants
def test_lint_accuses_the_guilty_rules_and_no_other(folder: Path, variant: str) -> None:
    """A guilty rule may block calls in more ways than the story tells of; a rule that is not guilty has no error."""
    wanted: dict[str, list[str]] = expected(folder)["lint"][variant] or {}
    found = guilty(folder, variant)
    assert found.keys() == wanted.keys()
    assert not {rule: codes for rule, codes in wanted.items() if not set(codes) <= found[rule]}
    assert (linted(folder, variant).result == "refuted") == bool(wanted)


@variants
def test_replay_tells_what_became_of_the_calls_and_which_rule_hurt_them(folder: Path, variant: str) -> None:
    wanted = expected(folder)["replay"][variant]
    result = replayed(folder, variant)
    assert result.report.policy.by_outcome == wanted["by_outcome"]
    assert hurt_by_rule(result) == wanted["hurt"]
    assert result.report.captures[0].rtp_packets == wanted.get("rtp_packets", 0)
    assert not result.report.captures[0].unreadable
    for call_id, told in wanted.get("explain", {}).items():
        assert story(result, call_id).attribution == told["attribution"]
        assert told["cause"] in (story(result, call_id).cause or "")


@incidents
def test_before_and_broken_differ_for_emergency_calls_where_the_story_says_so(folder: Path) -> None:
    """The capture is the witness: the first message of each emergency call that the other policy decides differently.

    A limit looks at other messages, too: that it decides one differently is no change in what the rules say of it.
    """
    if not (folder / "before.yaml").exists():
        assert "diff" not in expected(folder)
        return
    if any("SOS116" in codes for codes in expected(folder)["lint"]["broken"].values()):
        broken, before = (replayed(folder, name).report.policy.by_outcome for name in ("broken", "before"))
        assert (broken != before) == expected(folder)["diff"]["emergency"]  # media, of which --against tells nothing
        return
    before, broken = policy(folder, "before"), policy(folder, "broken")
    limits = {rule.name for rule in (*before.rules, *broken.rules) if rule.limit is not None}
    first: dict[str | None, Change] = {}
    for change in replay([str(folder / "calls.pcap")], before, against=broken).changed:
        if change.emergency is not None and change.sip is not None:
            first.setdefault(change.sip.call_id, change)
    witnesses = [change for change in first.values() if change.after is not None and change.after.rule not in limits]
    assert bool(witnesses) == expected(folder)["diff"]["emergency"]


@incidents
def test_nothing_is_left_to_say_of_a_mended_policy_but_what_its_story_means(folder: Path) -> None:
    """Shadow rules are there on purpose, and the networks of these stories have IPv4 only; whoever copies the mended
    policy must not be warned of anything."""
    if (folder / "mended.yaml").exists():
        codes = {each.code for each in linted(folder, "mended").findings}
        assert codes <= {"SOS205", "SOS230"}


@incidents
def test_the_guard_would_have_let_the_calls_pass(folder: Path) -> None:
    if folder.name in BEYOND_THE_GUARD:
        return
    broken = policy(folder, "broken")
    guarded = replace(broken, emergency=replace(broken.emergency, guard="enforce"))
    tally = replay_capture([str(folder / "calls.pcap")], guarded).report.policy
    assert tally.guarded == len(tally.hurt)
    assert not {"blocked", "impaired"} & tally.by_outcome.keys()


@incidents
def test_a_capture_has_ordinary_traffic_that_passes(folder: Path) -> None:
    """That ordinary calls went on working, at least to ring, is how such faults stayed unseen."""
    decisions = [each for each in replayed(folder, "broken").decisions if each.emergency is None and each.sip]
    assert any(each.decision.verdict == "allow" for each in decisions if each.sip and each.sip.method == "INVITE")


@incidents
def test_the_generator_makes_the_same_bytes_of_documentation_addresses(folder: Path, tmp_path: Path) -> None:
    shutil.copy(folder / "make.py", tmp_path / "make.py")
    runpy.run_path(str(tmp_path / "make.py"), run_name="__main__")
    assert (tmp_path / "calls.pcap").read_bytes() == (folder / "calls.pcap").read_bytes()
    documented = re.compile(r"192\.0\.2\.|198\.51\.100\.|203\.0\.113\.|2001:db8:")
    for decision in replayed(folder, "broken").decisions:
        assert documented.match(decision.src_ip)
        assert documented.match(decision.dest_ip)


@incidents
def test_tshark_sees_the_same_messages_in_the_same_frames(folder: Path) -> None:
    ours = [
        [str(each.pcap_cnt), each.sip.method or "", each.sip.code or ""]
        for each in replayed(folder, "broken").decisions
        if each.sip is not None
    ]
    assert shown(folder / "calls.pcap", "sip", "sip.Method", "sip.Status-Code") == ours
