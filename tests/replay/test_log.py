"""The log of a replay: the daemon's records; it overwrites its own like and nothing else."""

import gzip
import os
from pathlib import Path

import msgspec
import pytest

from firewall.engine.record import Record, SipDecision, decode
from firewall.errors import MachineError, OperatorError
from firewall.replay.log import log_lines, oldest_first, open_log
from tests.net.packets import pcap
from tests.replay.calls import RULES_CALLS, call, make_policy
from tests.replay.replayed import replay_capture
from tests.replay.standard_input import standard_input


@pytest.fixture
def records(tmp_path: Path) -> list[Record]:
    (tmp_path / "a.pcap").write_bytes(pcap(call(), link_type=101))
    return replay_capture([str(tmp_path / "a.pcap")], make_policy(tmp_path, RULES_CALLS)).records


def write(path: Path, records: list[Record]) -> None:
    with open_log(str(path)) as log:
        for record in records:
            log(record)


def test_each_record_is_one_line(tmp_path: Path, records: list[Record]) -> None:
    write(tmp_path / "log", records)
    types = [decode(line)["event_type"] for line in (tmp_path / "log").read_bytes().splitlines()]
    assert [each for each in types if each != "rtp_decision"] == [
        "policy",
        *["sip_decision"] * 5,
        "emergency_call",
        "sip_decision",
        "stats",
    ]
    assert types.count("rtp_decision") == len(types) - 9 > 0


def test_the_log_of_an_earlier_replay_is_overwritten(tmp_path: Path, records: list[Record]) -> None:
    write(tmp_path / "log", records)
    first = (tmp_path / "log").read_bytes()
    write(tmp_path / "log", records)
    assert (tmp_path / "log").read_bytes() == first


@pytest.mark.parametrize("content", [b"rules: []\n", b"\xd4\xc3\xb2\xa1\0\0", b'{"other": 1}\n', b"[1]\n"])
def test_any_other_file_is_left_alone(tmp_path: Path, records: list[Record], content: bytes) -> None:
    (tmp_path / "log").write_bytes(content)
    with pytest.raises(OperatorError, match="not the log of an earlier replay"):
        write(tmp_path / "log", records)
    assert (tmp_path / "log").read_bytes() == content


def test_a_daemons_log_is_left_alone(tmp_path: Path, records: list[Record]) -> None:
    live = [msgspec.structs.replace(r, pcap_cnt=None) if isinstance(r, SipDecision) else r for r in records]
    write(tmp_path / "log", live)
    content = (tmp_path / "log").read_bytes()
    with pytest.raises(OperatorError, match="give --log a new file"):
        write(tmp_path / "log", records)
    assert (tmp_path / "log").read_bytes() == content


def test_an_empty_file_and_a_device_are_written(tmp_path: Path, records: list[Record]) -> None:
    (tmp_path / "log").touch()
    write(tmp_path / "log", records)
    assert (tmp_path / "log").stat().st_size
    write(Path("/dev/null"), records)


def test_a_log_that_cannot_be_opened_is_the_machines_refusal_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="No such file or directory"), open_log(str(tmp_path / "no" / "log")):
        pytest.fail("work began without a log")


def test_a_full_disk_is_the_machines_refusal(records: list[Record]) -> None:
    with pytest.raises(MachineError, match="cannot write /dev/full: No space left on device"):
        write(Path("/dev/full"), records)


def test_the_parts_of_a_rotated_log_are_read_one_after_the_other_compressed_or_not(tmp_path: Path) -> None:
    (tmp_path / "log.1.gz").write_bytes(gzip.compress(b"1\n2\n"))
    (tmp_path / "log").write_bytes(b"3\n")
    (tmp_path / "empty").write_bytes(b"")
    paths = [str(tmp_path / name) for name in ("log.1.gz", "empty", "log")]
    assert list(log_lines(paths)) == [b"1\n", b"2\n", b"3\n"]


def test_the_parts_of_a_rotated_log_are_put_in_order_by_their_first_records(tmp_path: Path) -> None:
    lines = [b'{"timestamp":"2026-03-01T10:1%d:02.000000+0000"}\n' % minute for minute in range(3)]
    (tmp_path / "log").write_bytes(lines[2])
    (tmp_path / "log.1").write_bytes(b'torn"}\n{}\n' + lines[1])
    (tmp_path / "log.2.gz").write_bytes(gzip.compress(lines[0]))
    (tmp_path / "log.3").write_bytes(b"")
    paths = [str(tmp_path / name) for name in ("log", "log.1", "log.2.gz", "log.3")]
    assert oldest_first(paths) == paths[::-1]
    assert oldest_first([*paths, "-"]) == [*paths, "-"]


def test_a_compressed_log_is_read_up_to_where_it_is_cut(tmp_path: Path) -> None:
    whole = gzip.compress(b"".join(b"%d\n" % number**9 for number in range(20_000)))
    (tmp_path / "cut.gz").write_bytes(whole[:-2000])
    first, *_, last = log_lines([str(tmp_path / "cut.gz")])
    assert (first, last) == (b"0\n", b"compressed data that ends early")


def test_standard_input_is_a_log_too(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"1\n")
    with standard_input(tmp_path / "log"):
        assert list(log_lines(["-"])) == [b"1\n"]
        os.fstat(0)  # is open still


@pytest.mark.parametrize("name", [".", "missing"])
def test_what_cannot_be_read_is_told(tmp_path: Path, name: str) -> None:
    with pytest.raises(OperatorError, match="cannot read the decision log"):
        list(log_lines([str(tmp_path / name)]))
