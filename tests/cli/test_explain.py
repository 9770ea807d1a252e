"""``sosgate explain`` as an operator types it."""

import gzip
from pathlib import Path
from typing import get_args

import pytest

from firewall.cli.main import run_command
from firewall.engine.reasons import REASONS
from firewall.engine.record import AlarmCode
from firewall.lint.codes import CODES
from tests.messages import request, response
from tests.replay.told import CALL_ID, log_of
from tests.scene import ALL, Scene, policy


@pytest.fixture
def log(tmp_path: Path) -> Path:
    told = Scene(policy("  - {name: wrong, action: drop}")).carrier(request())
    path = tmp_path / "decisions.jsonl"
    path.write_bytes(b"".join(log_of(told)))
    return path


def test_every_code_has_a_page(capsys: pytest.CaptureFixture[str]) -> None:
    for code in (*REASONS, *CODES, *get_args(AlarmCode)):
        assert run_command(["explain", code]) == 0, code
        assert capsys.readouterr().out.startswith(code)


def test_a_code_of_a_reason_and_an_alarm_has_both_pages(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["explain", "table_full"]) == 0
    reason, alarm = capsys.readouterr().out.split("\n\ntable_full (alarm)\n\n")
    assert "(decision)" in reason
    assert "calls" in alarm


def test_an_unknown_code_is_not_found(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["explain", "nonsense"]) == 1
    assert "--log" in capsys.readouterr().err


def test_a_blocked_call_is_told_with_its_cause(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["explain", "call-1@192.0.2.10", "--log", str(log)]) == 0
    out = capsys.readouterr().out
    assert "emergency call call-1@192.0.2.10" in out
    assert "outcome: blocked / InitialTrafficBlocked" in out
    assert 'drop by rule "wrong" (policy.yaml:9)' in out


def test_what_a_call_carries_of_the_callers_place_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    located = request(
        headers=(
            "Geolocation: <cid:place@phone>",
            "Call-Info: <https://adr.example/1>;purpose=EmergencyCallData.SubscriberInfo",
            "Content-Type: multipart/mixed; boundary=b",
        ),
        body="--b\r\nContent-Type: application/pidf+xml\r\nContent-ID: <place@phone>\r\n\r\n<presence/>\r\n--b--\r\n",
    )
    told = Scene(policy("  - {name: all, action: allow}")).carrier(located)
    path = tmp_path / "decisions.jsonl"
    path.write_bytes(b"".join(log_of(told)))
    assert run_command(["explain", "call-1@192.0.2.10", "--log", str(path)]) == 0
    out = capsys.readouterr().out
    assert "  carries: location (in the body, application/pidf+xml, by Geolocation)\n" in out
    assert "  carries: additional data (elsewhere, by Call-Info)\n" in out


def test_a_third_party_stands_on_its_own_side_of_the_arrow(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scene = Scene(policy("  - {name: all, action: allow}"))
    told = [
        scene.carrier(request()),
        scene.psap(response(request())),
        scene.carrier(request("BYE", from_tag="x", to_tag="y"), src=("203.0.113.66", 5060)),
    ]
    path = tmp_path / "decisions.jsonl"
    path.write_bytes(b"".join(log_of(*told)))
    assert run_command(["explain", "call-1@192.0.2.10", "--log", str(path)]) == 0
    out = capsys.readouterr().out
    assert "192.0.2.10:5060 ◀── 198.51.100.10:5060" in out
    assert "203.0.113.66:5060 ──▶ 198.51.100.10:5060  BYE" in out


def test_what_a_sender_writes_moves_nothing_on_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scene = Scene(policy("  - {name: all, action: allow}"))
    told = [scene.carrier(request()), scene.psap(response(request(), 503, phrase="\x1b[2J\u202eOK"), at_s=1)]
    path = tmp_path / "decisions.jsonl"
    path.write_bytes(b"".join(log_of(*told)))
    assert run_command(["explain", "call-1@192.0.2.10", "--log", str(path)]) == 0
    out = capsys.readouterr().out
    assert out.count("503 \\x1b[2J\\xe2\\x80\\xaeOK") == 2, "in the ladder and in the cause"
    assert "\x1b" not in out


@pytest.mark.parametrize("typed", ["\udcffx@h", "\\xffx@h"], ids=["as on the wire", "as shown"])
def test_a_call_id_that_is_no_text_is_found(typed: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = Scene(policy("  - {name: all, action: allow}")).carrier(request(call_id="WIRE").replace(b"WIRE", b"\xffx@h"))
    path = tmp_path / "decisions.jsonl"
    path.write_bytes(b"".join(log_of(told)))
    assert run_command(["explain", "--log", str(path), "--", typed]) == 0
    assert "\\xffx@h" in capsys.readouterr().out


def test_a_call_is_told_from_several_parts_of_a_log(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old = log.with_suffix(".1.gz")
    old.write_bytes(gzip.compress(log.read_bytes()))
    log.write_bytes(b"")
    assert run_command(["explain", "call-1@192.0.2.10", "--log", str(old), "--log", str(log)]) == 0
    assert "outcome: blocked" in capsys.readouterr().out


def test_a_call_without_a_message_in_the_log_is_told_from_the_ledger(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [line for line in log.read_bytes().splitlines() if b"sip_decision" not in line]
    log.write_bytes(b"\n".join(lines))
    assert run_command(["explain", "call-1@192.0.2.10", "--log", str(log)]) == 0
    out = capsys.readouterr().out
    assert "no message of it is in this log" in out
    assert "outcome: blocked" in out


def test_an_unknown_call_is_not_found(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["explain", "unknown", "--log", str(log)]) == 1
    assert "no message with Call-ID" in capsys.readouterr().err


def test_a_missing_log_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["explain", "x", "--log", str(tmp_path / "none")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "cannot read the decision log" in error


def test_a_call_whose_call_id_was_forged_is_told_beside_the_forged_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scene = Scene(policy("  - {name: no, when: 'ip.src == 203.0.113.66', action: drop}\n" + ALL))
    invite, bye = request(), request("BYE", to_tag="psap", cseq=2)
    told = [scene.carrier(invite), scene.psap(response(invite), at_s=1)]
    forged = request(from_tag="forged", branch="z9hG4bK-forged")
    told += [scene.carrier(forged, at_s=2, src=("203.0.113.66", 5060)), scene.carrier(bye, at_s=9)]
    path = tmp_path / "log"
    path.write_bytes(b"".join(log_of(*told)))
    assert run_command(["explain", CALL_ID, "--log", str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "outcome: blocked / InitialTrafficBlocked" in lines
    assert lines[-1] == "also: other attempts have this Call-ID: 1 completed"


@pytest.mark.parametrize("content", [b"policy: county\n", b'{"name": "of another program"}\n', bytes(range(256))])
def test_a_file_that_is_no_decision_log_is_said_to_be_none(
    content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other"
    other.write_bytes(content)
    assert run_command(["explain", "call-1@192.0.2.10", "--log", str(other)]) == 2
    assert capsys.readouterr().err == f"error: {other} is no decision log; name the file that --log of run wrote\n"


def test_what_is_no_utf_8_is_shown_by_its_bytes(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    named = log.rename(log.with_name("decisions\udcff.jsonl"))
    assert run_command(["explain", "other\udcfe", "--log", str(named)]) == 1
    assert capsys.readouterr().err.endswith('decisions\\xff.jsonl has no message with Call-ID "other\\xfe"\n')
