"""A capture of live traffic, replayed, gives the decisions that were made live: limits and timestamps included."""

import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.live.conftest import Namespaces
from tests.live.firewall_process import FirewallProcess, policy_text, records
from tests.live.sipp import PSAP, answering, calling
from tests.live.wire import Wire

pytestmark = [pytest.mark.netns, pytest.mark.timed]

LIMIT = """\
  - name: surge-limit
    when: sip.Method == "INVITE" and not emergency
    limit: {rate: RATE, per: net.src, burst: 20}
    action: reject
    status: 503
  - name: no-more-bye
    when: sip.Method == "BYE" and sip.r-uri.user == "911"
    action: drop
"""


@pytest.mark.parametrize("transport", [(), ("-t", "t1")], ids=["UDP", "TCP"])
def test_a_capture_of_live_traffic_gives_the_same_decisions(
    testbed: Namespaces, tmp_path: Path, transport: tuple[str, ...]
) -> None:
    policy, live = tmp_path / "p.yaml", tmp_path / "live.jsonl"
    # Of a stream, live takes several segments that wait as one, received when the last of them was: a limit that fills
    # up again meanwhile may tell.
    rate = "20/1000s" if transport else "20/1s"
    policy.write_text(policy_text(rules=LIMIT.replace("RATE", rate), guard="enforce"))
    one_side, arriving, both = (tmp_path / f"{name}.pcap" for name in ("one_side", "arriving", "both"))
    with (
        Wire(testbed.fw, "f0", one_side),
        Wire(testbed.fw, "any", arriving, "-Q", "in"),
        Wire(testbed.fw, "any", both),
        FirewallProcess(testbed.fw, policy, "--log", str(live)) as firewall,
        answering(testbed.psap, tmp_path, PSAP, *transport),
    ):
        with calling(testbed.carrier, tmp_path, "-m", "10", "-r", "50", "-s", "911", *transport) as uac:
            assert uac.wait() == 0
        with calling(testbed.carrier, tmp_path, "-m", "60", "-r", "60", *transport) as uac:
            uac.wait()
        assert firewall.stop() == 0
    lived = records(live, "sip_decision")
    assert {record["decision"]["verdict"] for record in lived} == {"allow", "drop", "reject"}
    assert {record["proto"] for record in lived} == {"TCP" if transport else "UDP"}
    for capture in (one_side, arriving, both):
        replayed = _replayed(capture, policy)
        assert Counter(map(_decided, lived)) == Counter(map(_decided, replayed)), capture
        if capture == arriving and not transport:
            # Every packet's arrival is in this capture: then even the instants are the same.
            assert [record["timestamp"] for record in lived] == [record["timestamp"] for record in replayed]


def _replayed(capture: Path, policy: Path) -> list[dict[str, Any]]:
    log = capture.with_suffix(".jsonl")
    command = [sys.executable, "-m", "firewall", "replay", str(capture), "--policy", str(policy), "--log", str(log)]
    subprocess.run(command, check=False, capture_output=True, timeout=60, cwd=Path(__file__).parents[2])
    return records(log, "sip_decision")


def _decided(record: dict[str, Any]) -> str:
    return repr([record[key] for key in ("src_ip", "dest_ip", "sip", "decision", "emergency")])
