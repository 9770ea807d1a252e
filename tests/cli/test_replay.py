"""``sosgate replay`` as it is run: exit codes, both formats, the log, and one sentence for whatever is wrong."""

import io
import json
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

import pytest

from firewall.cli.main import run_command
from tests.net.packets import pcap
from tests.replay.calls import ORDINARY, RULES_BLOCKING, RULES_CALLS, call, forth, invite, write_policy

TWO_CALLS = call("e1") + call("o1", target=ORDINARY, user="alice", begins_s=20)


def sosgate(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command as a person does, but in this process: tests/cli/test_main.py starts some."""
    streams = [io.TextIOWrapper(io.BytesIO(), "utf-8", newline="", write_through=True) for _ in range(2)]
    with redirect_stdout(streams[0]), redirect_stderr(streams[1]), patch.dict(os.environ, COLUMNS="80"):
        code = run_command(list(map(str, arguments)))
    return subprocess.CompletedProcess(arguments, code, *(each.buffer.getvalue().decode() for each in streams))


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    path = tmp_path / "calls.pcap"
    path.write_bytes(pcap(TWO_CALLS, link_type=101))
    return path


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return write_policy(tmp_path, RULES_CALLS, name="good")


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    return write_policy(tmp_path, RULES_BLOCKING + RULES_CALLS, name="bad")


def test_rules_that_hurt_nobody_exit_with_0(capture: Path, good: Path) -> None:
    done = sosgate("replay", capture, "--policy", good)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Emergency calls: 1 (1 completed). None was hurt by good." in done.stdout


def test_rules_that_hurt_an_emergency_call_exit_with_1_also_where_the_guard_saves_it(capture: Path, bad: Path) -> None:
    done = sosgate("replay", capture, "--policy", bad)
    assert (done.returncode, done.stderr) == (1, "")
    assert f'rule "no-anonymous", {bad}:7' in done.stdout
    assert "\x1b" not in done.stdout


def test_json_is_one_document_on_stdout(capture: Path, good: Path, bad: Path) -> None:
    done = sosgate("replay", capture, capture, "--policy", good, "--against", bad, "--format", "json")
    document = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (0, "")
    assert [found["path"] for found in document["captures"]] == [str(capture)] * 2
    assert len(document["changed"]) == 12
    assert document["emergency"]["calls"] == 2


def test_the_log_holds_one_decision_per_message_with_its_frame(capture: Path, bad: Path, tmp_path: Path) -> None:
    assert sosgate("replay", capture, "--policy", bad, "--log", tmp_path / "log").returncode == 1
    records = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    frames = [record["pcap_cnt"] for record in records if record["event_type"] == "sip_decision"]
    assert frames == [1, 2, 3, 4, 13, 14, 15, 16, 17, 18, 27, 28]
    assert {record["event_type"] for record in records} >= {"alarm", "emergency_call", "policy", "stats"}


def test_standard_input_is_a_capture_too(capture: Path, good: Path) -> None:
    command = [sys.executable, "-m", "firewall", "replay", "-", "--policy", str(good), "--format", "json"]
    done = subprocess.run(command, input=capture.read_bytes(), capture_output=True, timeout=60, check=False)
    assert json.loads(done.stdout)["captures"][0]["sip_messages"] == 12


def test_parts_of_one_recording_are_joined_on_demand(good: Path, tmp_path: Path) -> None:
    for name, part in (("1", TWO_CALLS[:2]), ("2", TWO_CALLS[2:14])):
        (tmp_path / name).write_bytes(pcap(part, link_type=101))
    done = sosgate("replay", tmp_path / "1", tmp_path / "2", "--policy", good, "--continuous", "--format", "json")
    assert json.loads(done.stdout)["emergency"]["by_outcome"] == {"completed": 1}


def test_a_capture_that_is_none_is_one_sentence_and_nothing_is_half_done(
    capture: Path, good: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "text").write_text("not a capture\n")
    for name, words in (
        ("empty", "is empty"),
        ("text", "is a text file"),
        ("none", "no such file"),
        (".", "directory"),
    ):
        log = tmp_path / "log"
        done = sosgate("replay", capture, tmp_path / name, "--policy", good, "--log", log)
        assert (done.returncode, done.stdout) == (2, ""), name
        assert words in done.stderr
        assert done.stderr.count("\n") == 1
        assert "Traceback" not in done.stderr
        assert not log.exists()


def test_a_policy_or_a_log_that_cannot_be_used_is_one_sentence(capture: Path, good: Path, tmp_path: Path) -> None:
    for arguments in (
        ["--policy", tmp_path / "none.yaml"],
        ["--policy", capture],
        ["--policy", good, "--against", tmp_path / "none.yaml"],
        ["--policy", good, "--log", tmp_path / "no" / "log"],
        ["--policy", good, "--log", capture],
        ["--policy", good, "--log", "-"],
        ["--policy", good, "--format", "xml"],
        [],
    ):
        done = sosgate("replay", capture, *arguments)
        assert (done.returncode, done.stdout) == (2, ""), arguments
        assert done.stderr.count("\n") == 1, done.stderr
    assert capture.read_bytes() == pcap(TWO_CALLS, link_type=101)


def test_a_capture_cut_in_the_middle_is_replayed_up_to_the_cut(capture: Path, good: Path) -> None:
    capture.write_bytes(capture.read_bytes()[:-10])
    done = sosgate("replay", capture, "--policy", good, "--format", "json")
    (found,) = json.loads(done.stdout)["captures"]
    assert (done.returncode, found["packets"], [lost["packet"] for lost in found["unreadable"]]) == (0, 27, [28])


def test_sip_on_other_ports_is_found_by_its_content_and_what_is_not_by_its_port(tmp_path: Path, good: Path) -> None:
    path = tmp_path / "ports.pcap"
    packets = [forth(invite(), 7060), forth(b"no SIP", 7070)]
    packets += [forth(invite("c2").replace(b"INVITE urn", b"HELLO urn"), 7080)]
    path.write_bytes(pcap(packets, link_type=101))
    for options, messages, decided in (([], 1, 1), (["--sip-port", "7070"], 1, 2), (["--sip-port", "7080"], 2, 2)):
        done = sosgate("replay", path, "--policy", good, "--format", "json", *options)
        document = json.loads(done.stdout)
        assert document["captures"][0]["sip_messages"] == messages
        assert sum(document["verdicts"].values()) == decided, options


def test_a_capture_that_begins_inside_a_call_is_followed_for_an_hour_on_demand(tmp_path: Path, good: Path) -> None:
    path, log = tmp_path / "late.pcap", tmp_path / "log"
    good.write_text(good.read_text().replace('"ACK", "BYE", ', ""))
    path.write_bytes(pcap(call("e1")[-2:-1] + call("e2", begins_s=3700)[-2:-1], link_type=101))
    for options, decided in (
        ([], [("drop", "default")] * 2),
        (["--takeover"], [("allow", "takeover"), ("drop", "default")]),
    ):
        sosgate("replay", path, "--policy", good, "--log", log, *options)
        records = [json.loads(line) for line in log.read_text().splitlines()]
        decisions = [record["decision"] for record in records if record["event_type"] == "sip_decision"]
        assert [(decision["verdict"], decision["reason"]) for decision in decisions] == decided, options


def test_a_capture_whose_name_is_no_utf_8_is_named_by_its_bytes(capture: Path, good: Path) -> None:
    named = capture.rename(capture.with_name("n\udcff.pcap"))
    document = json.loads(sosgate("replay", named, "--policy", good, "--format", "json").stdout)
    assert document["captures"][0]["path"].endswith("/n\\xff.pcap")


def test_help_names_what_an_option_takes_and_offers_no_opposite_of_a_flag() -> None:
    shown = sosgate("replay", "--help").stdout
    assert shown.count("FILE") == 3
    assert "--no-" not in shown
    assert "<bool>" not in shown + sosgate("--help").stdout
