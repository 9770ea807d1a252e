"""``sosgate match`` as it is run."""

import json
from pathlib import Path

import pytest

from tests.cli.test_replay import TWO_CALLS, sosgate
from tests.net.packets import ipv4, pcap, udp


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    path = tmp_path / "calls.pcap"
    path.write_bytes(pcap(TWO_CALLS, link_type=101))
    return path


def test_the_frames_of_one_capture_are_numbers_one_per_line(capture: Path) -> None:
    done = sosgate("match", 'sip.Method == "INVITE"', capture)
    assert (done.returncode, done.stdout, done.stderr) == (0, "1\n15\n", "")


def test_the_frames_of_several_captures_are_named(capture: Path) -> None:
    done = sosgate("match", "sip.Status-Code == 180", capture, capture)
    assert done.stdout == f"{capture}:2\n{capture}:16\n" * 2


def test_json_has_the_frames_of_each_capture(capture: Path) -> None:
    done = sosgate("match", 'emergency and sip.CSeq.method == "BYE"', capture, "--format", "json")
    assert json.loads(done.stdout)["captures"] == [{"path": str(capture), "frames": [13, 14], "unreadable": []}]


def test_nothing_that_matches_is_no_error(capture: Path) -> None:
    done = sosgate("match", 'sip.Method == "PUBLISH"', capture)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("expression", "column"),
    [
        ("sip.Metod == 1", 1),
        ('sip.Method == "INVITE" and', 27),
        ("ip.src == 300.1.2.3", 11),
        ('sip.r-uri matches "("', 20),
    ],
)
def test_a_bad_expression_is_one_sentence_with_its_column(capture: Path, expression: str, column: int) -> None:
    done = sosgate("match", expression, capture)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"EXPR:1:{column}: error: "), done.stderr
    assert done.stderr.count("\n") == 1


def test_a_capture_that_is_none_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello\n")
    done = sosgate("match", "sip", tmp_path / "text")
    assert (done.returncode, done.stdout) == (2, "")
    assert "is a text file, not a capture" in done.stderr


def test_a_cut_is_told_on_stderr(capture: Path) -> None:
    capture.write_bytes(capture.read_bytes()[:-10])
    done = sosgate("match", "sip", capture)
    assert done.stdout.split() == ["1", "2", "3", "4", "13", "14", "15", "16", "17", "18", "27"]
    assert "packet 28: cut" in done.stderr


def test_ports_named_on_the_command_line_are_signalling(tmp_path: Path) -> None:
    path = tmp_path / "ports.pcap"
    path.write_bytes(pcap([ipv4(udp(b"not SIP", 9999, 9999)), ipv4(udp(b"\r\n", 7777, 7777))], link_type=101))
    assert sosgate("match", "malformed", path).stdout == ""
    assert sosgate("match", "malformed", path, "--sip-port", "9999", "--sip-port", "7777").stdout == "1\n"
    done = sosgate("match", "malformed", path, "--sip-port", "70000")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)


def test_a_capture_whose_name_is_no_utf_8_is_named_by_its_bytes(capture: Path) -> None:
    named = capture.rename(capture.with_name("n\udcff.pcap"))
    done = sosgate("match", "sip", named, "--format", "json")
    assert json.loads(done.stdout)["captures"][0]["path"].endswith("/n\\xff.pcap")
    assert sosgate("match", "sip", f"{named}.gone").stderr.endswith(
        "/n\\xff.pcap.gone: error: there is no such file; check the path of the capture\n"
    )
