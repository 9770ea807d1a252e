import json
from pathlib import Path

import pytest

from firewall.cli.main import run_command

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "rules" / "demo"
BROKEN, MENDED = str(DEMO / "broken.yaml"), str(DEMO / "mended.yaml")
Capture = pytest.CaptureFixture[str]


def test_a_policy_and_itself_are_proved_to_be_the_same(capsys: Capture) -> None:
    assert run_command(["diff", MENDED, MENDED]) == 0
    assert capsys.readouterr().out.startswith(f"same: {MENDED} -> {MENDED}: no change in meaning")


def test_the_demos_mistake_is_told_first_with_both_rules_and_the_call(capsys: Capture) -> None:
    assert run_command(["diff", MENDED, BROKEN]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "1. emergency (call): INVITE"
    assert f'   before   : allow, rule "calls" ({MENDED}:36)' in lines
    assert f'   after    : reject with 403, rule "toll-fraud" ({BROKEN}:31)' in lines
    assert "   setting  : emergency.guard: enforce -> alert" in lines
    assert lines[-1].startswith(f"differs: {MENDED} -> {BROKEN}: 3 changes, 3 of emergency calls; 1 setting")


def test_json_is_one_document(capsys: Capture) -> None:
    assert run_command(["diff", MENDED, BROKEN, "--format", "json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["result"] == "differs"
    first = document["changes"][0]
    assert first["emergency"] is True
    assert (first["before"]["verdict"], first["before"]["rule"]) == ("allow", "calls")
    assert (first["after"]["verdict"], first["after"]["status"], first["after"]["rule"]) == (
        "reject",
        403,
        "toll-fraud",
    )
    assert first["witness"]["message"].startswith("INVITE sip:911@")
    assert first["pcap"] is None


def test_a_witness_is_a_capture_that_replays_to_both_verdicts(tmp_path: Path, capsys: Capture) -> None:
    assert run_command(["diff", MENDED, BROKEN, "--witness", str(tmp_path / "w"), "--format", "json"]) == 1
    capture = json.loads(capsys.readouterr().out)["changes"][0]["pcap"]
    assert run_command(["replay", capture, "--policy", MENDED]) == 0
    assert run_command(["replay", capture, "--policy", BROKEN]) == 1


def test_a_policy_that_cannot_be_used_is_one_sentence_and_exit_code_2(capsys: Capture) -> None:
    bad = str(ROOT / "rules" / "bad" / "unusable" / "unknown-key.yaml")
    assert run_command(["diff", MENDED, bad]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"{bad}:")
    assert err.count("\n") == 1
