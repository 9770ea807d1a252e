"""Every folder of pcaps/: capture, generator, rules and expected decisions belong together."""

import json
import re
import runpy
import shutil
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from firewall.cli.policy_file import read_policy
from firewall.engine.record import SipDecision
from tests.oracle.sharkd import shown
from tests.replay.replayed import ReplayResult, replay_capture

PCAPS = Path(__file__).parents[2] / "pcaps"
SCENARIOS = sorted(path.parent for path in PCAPS.glob("*/rules.yaml"))
REQUIRED = {
    "call-911-blocked",
    "call-911-complete",
    "call-sos-urn-pidf-lo",
    "options-keepalive-trunk",
    "psap-callback",
    "register-scan",
}
scenarios = pytest.mark.parametrize("folder", SCENARIOS, ids=lambda folder: folder.name)


@cache
def replayed(folder: Path) -> ReplayResult:
    return replay_capture([str(folder / "capture.pcap")], read_policy(str(folder / "rules.yaml")))


def row(decision: SipDecision) -> dict[str, Any]:
    sip = decision.sip
    return {
        "packet": decision.pcap_cnt,
        "message": (sip.request_line or sip.response_line) if sip else None,
        "verdict": decision.decision.verdict,
        "rule": decision.decision.rule,
        "reason": decision.decision.reason,
        "override": decision.decision.override,
        "emergency": decision.emergency.emergency_class if decision.emergency else None,
    }


def test_the_scenarios_everybody_relies_on_are_there() -> None:
    assert {folder.name for folder in SCENARIOS} >= REQUIRED


@scenarios
def test_a_folder_is_complete_and_the_index_names_it(folder: Path) -> None:
    assert {path.name for path in folder.iterdir() if path.is_file()} == {
        "README.md",
        "capture.pcap",
        "expected.jsonl",
        "make.py",
        "rules.yaml",
    }
    assert f"[{folder.name}]({folder.name}/README.md)" in (PCAPS / "README.md").read_text()
    assert "## Origin" in (folder / "README.md").read_text()


@scenarios
def test_the_decisions_are_the_expected_ones(folder: Path) -> None:
    expected = [json.loads(line) for line in (folder / "expected.jsonl").read_text().splitlines()]
    assert [row(decision) for decision in replayed(folder).decisions] == expected


@scenarios
def test_the_generator_makes_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / folder.name
    shutil.copytree(folder, copy)
    (copy / "capture.pcap").unlink()
    runpy.run_path(str(copy / "make.py"), run_name="__main__")
    assert (copy / "capture.pcap").read_bytes() == (folder / "capture.pcap").read_bytes()


@scenarios
def test_tshark_sees_the_same_messages_in_the_same_frames(folder: Path) -> None:
    ours = [
        [str(each.pcap_cnt), each.sip.method or "", each.sip.code or ""]
        for each in replayed(folder).decisions
        if each.sip is not None
    ]
    assert shown(folder / "capture.pcap", "sip", "sip.Method", "sip.Status-Code") == ours


@scenarios
def test_a_scenario_uses_documentation_addresses_only(folder: Path) -> None:
    documented = re.compile(r"192\.0\.2\.|198\.51\.100\.|203\.0\.113\.|2001:db8:")
    for decision in replayed(folder).decisions:
        assert documented.match(decision.src_ip)
        assert documented.match(decision.dest_ip)


def test_what_became_of_the_media_of_the_call_that_is_not_heard() -> None:
    """As its README says; the packets are counted by tshark, too."""
    folder = PCAPS / "call-911-one-way"
    result = replayed(folder)
    media = result.report.policy.media
    assert (media.packets, media.refused) == (
        {"allow": 390, "drop": 405},
        {"media_wrong_source": 400, "media_closed": 5},
    )
    (hurt,) = result.report.policy.hurt.values()
    assert (hurt.reason, hurt.line) == ("media_wrong_source", 7)
    assert result.report.policy.by_outcome == {"impaired": 1}
    assert len(shown(folder / "capture.pcap", "udp and not sip")) == sum(media.packets.values())
