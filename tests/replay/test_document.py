"""The JSON document: its shape is a contract."""

import json
from pathlib import Path

from firewall.replay.document import replay_document
from firewall.replay.driver import replay
from tests.net.packets import pcap
from tests.replay.calls import RULES_BLOCKING, RULES_CALLS, call, make_policy


def test_the_document_has_the_shape_of_the_contract(tmp_path: Path) -> None:
    data = pcap(call(), link_type=101)
    path = tmp_path / "a.pcap"
    path.write_bytes(data[:-3])
    blocking = make_policy(tmp_path, RULES_BLOCKING + RULES_CALLS, guard="off", name="blocking")
    other = make_policy(tmp_path, RULES_CALLS, name="other")
    document = json.loads(json.dumps(replay_document(replay([str(path)], blocking, against=other))))
    (capture,) = document["captures"]
    assert capture["path"] == str(path)
    assert (capture["packets"], capture["sip_messages"], capture["rtp_packets"]) == (13, 5, 8)
    (lost,) = capture["unreadable"]
    assert lost.keys() == {"packet", "reason"}
    assert lost["packet"] == 14
    assert document["verdicts"] == {"allow": 0, "drop": 5, "reject": 0}
    emergency = document["emergency"]
    assert (emergency["calls"], emergency["hurt"], emergency["guarded"]) == (1, 1, 0)
    assert emergency["by_outcome"] == {"blocked": 1}
    assert emergency["hurt_calls"][0]["rule"] == "no-anonymous"
    assert document["policy"]["sha256"] == blocking.sha256
    assert document["against"]["emergency"]["hurt"] == 0
    change = document["changed"][0]
    assert change.keys() == {"capture", "packet", "timestamp", "sip", "before", "after", "emergency"}
    assert change["sip"] == {"message": "INVITE urn:service:sos", "call_id": "c1"}
    assert (change["before"]["verdict"], change["after"]["verdict"]) == ("drop", "allow")
    assert change["before"].keys() == {"verdict", "enforced", "rule", "line", "reason"}
    assert change["emergency"]["class"] == "call"


def test_without_a_second_policy_nothing_is_compared(tmp_path: Path) -> None:
    (tmp_path / "a.pcap").write_bytes(pcap(call(), link_type=101))
    document = replay_document(replay([str(tmp_path / "a.pcap")], make_policy(tmp_path, RULES_CALLS)))
    assert "changed" not in document
    assert "against" not in document
