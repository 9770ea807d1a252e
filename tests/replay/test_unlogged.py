"""A replay without a log leaves out records that nobody reads: its report is the same as with one."""

from pathlib import Path

import pytest

from firewall.cli.policy_file import read_policy
from firewall.engine.record import Record
from firewall.replay.document import replay_document
from firewall.replay.driver import replay
from tests.bench.sip_traffic import busy_border, write_pcap
from tests.net.packets import ethernet, pcap
from tests.replay.calls import RULES_BLOCKING, RULES_CALLS, call, make_policy

ROOT = Path(__file__).parents[2]
CAPTURES = sorted(path for path in (ROOT / "pcaps").rglob("*") if path.suffix in (".pcap", ".pcapng"))
POLICIES = sorted((ROOT / "rules" / "incidents").glob("*/broken.yaml"))


@pytest.mark.parametrize("capture", CAPTURES, ids=lambda path: path.parent.name)
def test_the_report_is_the_same_for_captures_of_all_kinds(capture: Path) -> None:
    for file in POLICIES:
        policy, logged = read_policy(str(file)), list[Record]()
        without = replay_document(replay([str(capture)], policy))
        assert replay_document(replay([str(capture)], policy, log=logged.append)) == without, file
        assert logged


@pytest.mark.parametrize("over_tcp", [0.0, 0.4])
def test_the_report_is_the_same_for_busy_traffic_under_two_policies(tmp_path: Path, over_tcp: float) -> None:
    capture = tmp_path / "a.pcap"
    write_pcap(capture, busy_border(1500, over_tcp=over_tcp))
    one, other = read_policy(str(ROOT / "rules" / "start.yaml")), make_policy(tmp_path, RULES_BLOCKING + RULES_CALLS)
    for policy, against in ((one, other), (other, one)):
        logged: list[Record] = []
        without = replay_document(replay([str(capture)], policy, against=against))
        assert replay_document(replay([str(capture)], policy, against=against, log=logged.append)) == without
        assert without["captures"][0]["sip_messages"] == 1500
        assert without["changed"]


@pytest.mark.parametrize("guard", ["enforce", "off"])
def test_the_report_tells_the_media_of_calls_alike(tmp_path: Path, guard: str) -> None:
    packets = [(at_ns, ethernet(packet)) for at_ns, packet in call("e", media_packets=50)]
    (tmp_path / "a.pcap").write_bytes(pcap(packets))
    policy = make_policy(tmp_path, RULES_CALLS, guard=guard)
    logged: list[Record] = []
    without = replay_document(replay([str(tmp_path / "a.pcap")], policy))
    assert replay_document(replay([str(tmp_path / "a.pcap")], policy, log=logged.append)) == without
