import json
from pathlib import Path

import pytest

from firewall.cli.main import run_command

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "rules" / "demo"
UNUSABLE = sorted((ROOT / "rules" / "bad" / "unusable").glob("*.yaml"))
Capture = pytest.CaptureFixture[str]


def test_the_demos_broken_policy_ends_with_1_and_names_the_rule(capsys: Capture) -> None:
    assert run_command(["lint", str(DEMO / "broken.yaml")]) == 1
    shown = capsys.readouterr().out
    assert "broken.yaml:31:5: error[SOS101]" in shown
    assert 'rule "toll-fraud" rejects an emergency call' in shown
    assert "- name: toll-fraud\n" in shown


def test_the_mended_policy_ends_with_0(capsys: Capture) -> None:
    assert run_command(["lint", str(DEMO / "mended.yaml")]) == 0
    assert capsys.readouterr().out.startswith("clean: ")


def test_json_is_one_document_for_all_policies(capsys: Capture) -> None:
    assert run_command(["lint", str(DEMO / "mended.yaml"), str(DEMO / "broken.yaml"), "--format", "json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["result"] == "refuted"
    assert {Path(finding["file"]).name for finding in document["findings"]} == {"broken.yaml"}


def test_a_witness_is_written_and_its_message_shown(tmp_path: Path, capsys: Capture) -> None:
    assert run_command(["lint", str(DEMO / "broken.yaml"), "--witness", str(tmp_path / "w")]) == 1
    shown = capsys.readouterr().out
    (capture,) = (tmp_path / "w").iterdir()
    assert str(capture) in shown
    assert "| INVITE sip:911@198.51.100.1 SIP/2.0\n" in shown
    assert run_command(["replay", str(capture), "--policy", str(DEMO / "broken.yaml")]) == 1


@pytest.mark.parametrize("output", ["sarif", "github"])
def test_the_other_formats_name_the_rule_too(output: str, capsys: Capture) -> None:
    assert run_command(["lint", str(DEMO / "broken.yaml"), "--format", output]) == 1
    shown = capsys.readouterr().out
    assert "SOS101" in shown
    assert "toll-fraud" in shown


@pytest.mark.parametrize("path", UNUSABLE, ids=lambda path: path.stem)
def test_an_unusable_policy_is_one_sentence_with_its_place_and_exit_code_2(path: Path, capsys: Capture) -> None:
    assert run_command(["lint", str(path)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert "Traceback" not in err
    first = path.read_bytes().split(b"\n")[0].decode(errors="replace")
    promise = first.removeprefix("# Must say: ") if first.startswith("# Must say: ") else "error: "
    assert err.startswith(f"{path}:{promise}" if promise != "error: " else f"{path}:")
    assert "error: " in err


def test_the_other_policies_are_looked_at_before_it_ends_with_2(capsys: Capture) -> None:
    assert run_command(["lint", str(UNUSABLE[0]), str(DEMO / "broken.yaml"), "--format", "json"]) == 2
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert document["result"] == "refuted"
    assert {finding["code"] for finding in document["findings"]} == {"SOS001", "SOS101", "SOS208"}
    assert err.startswith(str(UNUSABLE[0]))


def test_a_policy_that_is_not_there_is_unusable(capsys: Capture) -> None:
    assert run_command(["lint", "/nowhere/policy.yaml"]) == 2
    assert capsys.readouterr().err.startswith("/nowhere/policy.yaml: error: cannot read the policy")
