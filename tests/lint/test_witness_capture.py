import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from firewall.cli.policy_file import read_policy
from firewall.errors import MachineError
from firewall.lint.check import lint_policy
from firewall.lint.endpoint import Endpoint, Pair
from firewall.lint.flow import VOICE
from firewall.lint.form import SOS
from firewall.lint.instant import BASE_NS
from firewall.lint.probe import Probe
from firewall.lint.witness_capture import capture_bytes, write_captures, write_witnesses
from firewall.ruleset.policy import EmergencyPolicy
from tests.lint.forms import every_form
from tests.lint.policies import linted
from tests.replay.replayed import replay_capture

ROOT = Path(__file__).parents[2]
ERRORS = sorted((ROOT / "rules" / "bad").glob("sos1*.yaml"))


@pytest.mark.parametrize("path", ERRORS, ids=lambda path: path.stem)
def test_a_witness_on_disk_replays_to_the_same_verdict(path: Path, tmp_path: Path) -> None:
    policy, report = linted(path)
    findings = list(report.findings)
    for finding, capture in write_witnesses(findings, tmp_path).items():
        witness = finding.witness
        assert witness is not None
        decisions = replay_capture([capture], policy).decisions
        assert len(decisions) == len(witness.sent)
        assert all(each.decision.verdict == "allow" for each in decisions[:-1]) or finding.code in ("SOS103", "SOS109")
        last = decisions[-1].decision
        assert (last.verdict, last.reason, last.rule) == (witness.verdict, witness.reason, witness.rule)
    assert bool(list(tmp_path.glob("*.pcap"))) == any(finding.witness for finding in findings)


def test_a_capture_is_named_by_code_rule_and_policy(tmp_path: Path) -> None:
    findings = list(lint_policy(read_policy(str(ROOT / "rules" / "demo" / "broken.yaml"))).findings)
    (written,) = write_witnesses(findings, tmp_path / "new").values()
    assert Path(written).name == "sos101-toll-fraud-broken.pcap"


def test_a_folder_that_cannot_be_made_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MachineError, match="cannot write the witnesses to"):
        write_witnesses([], tmp_path / "file")


@pytest.mark.parametrize("ips", [("192.0.2.10", "198.51.100.10"), ("2001:db8:1::10", "2001:db8:2::10")])
def test_tshark_sees_the_call_the_times_and_good_checksums(ips: tuple[str, str], tmp_path: Path) -> None:
    tshark = shutil.which("tshark")
    assert tshark is not None
    sent = Probe(VOICE, SOS, Pair(Endpoint(ips[0]), Endpoint(ips[1])), BASE_NS).sent()
    capture = tmp_path / "call.pcap"
    capture.write_bytes(capture_bytes(sent))
    columns = ("frame.time_epoch", "sip.Method", "sip.Status-Code", "udp.checksum.status")
    fields = [word for column in columns for word in ("-e", column)]
    command = [tshark, "-r", str(capture), "-o", "udp.check_checksum:TRUE", "-T", "fields", *fields]
    rows = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    assert [row.split("\t")[1] or row.split("\t")[2] for row in rows] == [each.label.split()[0] for each in sent]
    assert [row.split("\t")[0] for row in rows] == [f"{at // 10**9}.{at % 10**9:09}" for at in (s.at_ns for s in sent)]
    assert {row.split("\t")[3] for row in rows} == {"1"}


def test_a_long_message_goes_in_fragments_where_asked(tmp_path: Path) -> None:
    long = next(form for form in every_form(EmergencyPolicy()) if "10 KB" in form.name)
    sent = Probe(VOICE, long, Pair(Endpoint("192.0.2.10"), Endpoint("198.51.100.10")), BASE_NS).sent()[:1]
    capture = tmp_path / "long.pcap"
    capture.write_bytes(capture_bytes(sent, fragment_bytes=1480))
    report = replay_capture([str(capture)], read_policy(str(ROOT / "rules" / "start.yaml"))).report.captures[0]
    assert (report.packets, report.sip_messages) == (8, 1)


def test_a_call_over_tcp_replays_as_one(tmp_path: Path) -> None:
    sent = tuple(
        replace(each, datagram=msgspec.structs.replace(each.datagram, transport="TCP"))
        for each in Probe(VOICE, SOS, Pair(Endpoint("192.0.2.10"), Endpoint("198.51.100.10")), BASE_NS).sent()
    )
    (path,) = write_captures([sent], "call", tmp_path)
    report = replay_capture([path], read_policy(str(ROOT / "rules" / "start.yaml"))).report
    assert report.captures[0].sip_messages == len(sent)
    assert report.policy.by_outcome == {"completed": 1}
