"""Records: the EVE shape, and bytes that no JSON can carry."""

import json

from hypothesis import given
from hypothesis import strategies as st

from firewall.engine.outputs import Write
from firewall.engine.record import decode, encode
from firewall.engine.recording import escaped, flow_id, printable
from tests.messages import request
from tests.scene import ALL, Scene, Told, policy


def lines(told: Told) -> list[bytes]:
    return [encode(output.record) for output in told.outputs if isinstance(output, Write)]


def test_a_decision_has_the_fields_of_the_contract() -> None:
    (line,) = lines(Scene(policy(ALL)).carrier(request()))
    record = json.loads(line)
    assert list(record)[:2] == ["event_type", "timestamp"]
    assert {"flow_id", "in_iface", "src_ip", "src_port", "dest_ip", "dest_port", "proto"} <= set(record)
    assert set(record["decision"]) == {
        "verdict", "enforced", "rule", "policy", "policy_sha256", "line", "reason", "shadow", "override",
    }  # fmt: skip
    assert set(record["emergency"]) == {"class", "service", "evidence"}
    assert record["sip"]["method"] == "INVITE"
    assert "code" not in record["sip"]
    assert record["decision"]["line"] == 9


def test_an_ordinary_message_has_a_null_emergency() -> None:
    (line,) = lines(Scene(policy(ALL)).carrier(request(uri="sip:6175550199@h")))
    assert b'"emergency":null' in line


@given(st.binary(min_size=1, max_size=40))
def test_any_bytes_in_any_header_make_a_record_of_one_line(noise: bytes) -> None:
    raw = request().replace(b"sip:911@", b"sip:911" + noise + b"@").replace(b"tag=caller", b"tag=" + noise)
    for line in lines(Scene(policy(ALL)).carrier(raw)):
        assert b"\n" not in line
        decode(line)


def test_a_flow_has_one_number_in_both_directions() -> None:
    assert flow_id("192.0.2.1", 5060, "198.51.100.1", 5061) == flow_id("198.51.100.1", 5061, "192.0.2.1", 5060)
    assert flow_id("192.0.2.1", 5060, "198.51.100.1", 5061) != flow_id("192.0.2.1", 5061, "198.51.100.1", 5060)
    assert 0 <= flow_id("::1", 1, "::2", 2) < 2**51


def test_what_a_terminal_would_obey_is_escaped() -> None:
    assert printable("a\x1b[31m\ud8ff"[:6]) == "a\\x1b[31m"
    assert escaped("a\u202eb" + "x" * 500) == "a\\xe2\\x80\\xaeb" + "x" * 500
    assert printable("x" * 500).endswith("…")
    assert len(printable("x" * 500)) == 120
