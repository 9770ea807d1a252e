"""One engine told a capture's time: deadlines pass before what comes after them, its own rejects are known again."""

from pathlib import Path

import pytest

from firewall.engine.outputs import WriteDecision
from firewall.engine.record import EmergencyCall, PolicyChange, Record, SipDecision, Stats
from firewall.net.datagram import Datagram
from firewall.replay import lane as lane_module
from firewall.replay.lane import Lane
from firewall.sip.message import Response, parse_message
from tests.net.packets import CALLER, PSAP, SECOND_NS, START_NS
from tests.replay.calls import ORDINARY, RULES_CALLS, invite, make_policy

REJECTING = """
  - name: closed
    when: sip.Method == "INVITE"
    action: reject
    status: 503
"""


def lane_of(folder: Path, rules: str) -> tuple[Lane, list[Record]]:
    records: list[Record] = []
    return Lane(make_policy(folder, rules), lambda write: records.append(write.record)), records


def datagram(payload: bytes, frame_number: int = 1) -> Datagram:
    return Datagram(CALLER, 5060, PSAP, 5060, payload, frame_number=frame_number)


def test_a_run_begins_with_the_policy_and_ends_with_counts(tmp_path: Path) -> None:
    lane, records = lane_of(tmp_path, RULES_CALLS)
    lane.start(START_NS)
    decision = lane.receive(datagram(invite()), START_NS)
    lane.stop(START_NS + 1)
    assert isinstance(decision, WriteDecision)
    assert decision.record is records[1]
    assert isinstance(records[0], PolicyChange)
    assert isinstance(records[-1], Stats)


def test_a_deadline_passes_before_the_message_that_comes_after_it(tmp_path: Path) -> None:
    """An INVITE without any answer is given up by its deadline, not when the next message happens to come."""
    lane, records = lane_of(tmp_path, RULES_CALLS)
    lane.start(START_NS)
    lane.receive(datagram(invite("unanswered")), START_NS)
    lane.receive(datagram(invite("later", target=ORDINARY)), START_NS + 3600 * SECOND_NS)
    (given_up,) = (number for number, record in enumerate(records) if isinstance(record, EmergencyCall))
    (later,) = (n for n, r in enumerate(records) if isinstance(r, SipDecision) and r.emergency is None)
    assert given_up < later
    told = records[given_up]
    assert isinstance(told, EmergencyCall)
    assert told.timestamp < "2026-01-01T00:59"


def test_the_end_lets_the_deadlines_before_it_pass_and_no_others(tmp_path: Path) -> None:
    for rest_s, outcome in ((3600, "failed_downstream"), (1, "in_progress")):
        lane, records = lane_of(tmp_path, RULES_CALLS)
        lane.start(START_NS)
        lane.receive(datagram(invite()), START_NS)
        lane.stop(START_NS + rest_s * SECOND_NS)
        assert [record.outcome for record in records if isinstance(record, EmergencyCall)] == [outcome]


def test_a_reject_that_the_capture_shows_is_the_firewalls_own_and_is_not_decided(tmp_path: Path) -> None:
    lane, records = lane_of(tmp_path, REJECTING)
    lane.start(START_NS)
    lane.receive(datagram(invite(target=ORDINARY, user="alice")), START_NS)
    reply = next(iter(lane.expected_replies))
    seen = Datagram(*reply, frame_number=2)
    message = parse_message(seen.payload)
    assert isinstance(message, Response)
    assert message.status_code == 503
    before = len(records)
    assert lane.receive(seen, START_NS + 1) == "own reply"
    assert len(records) == before
    assert isinstance(lane.receive(seen, START_NS + 2), WriteDecision), "sent once, known once"


def test_of_too_many_rejects_that_the_capture_does_not_show_the_first_is_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane_module, "_MAX_REPLIES", 2)
    lane, _ = lane_of(tmp_path, REJECTING)
    lane.start(START_NS)
    for number in range(3):
        lane.receive(datagram(invite(f"call-{number}", target=ORDINARY, user="alice")), START_NS)
    waiting = [b"call-1" in reply[-1] or b"call-2" in reply[-1] for reply in lane.expected_replies]
    assert waiting == [True, True]


def test_what_is_no_signalling_of_this_policy_is_not_taken(tmp_path: Path) -> None:
    lane, _ = lane_of(tmp_path, RULES_CALLS)
    lane.start(START_NS)
    assert lane.receive(datagram(b"\r\n"), START_NS) is not None
    assert lane.receive(Datagram(CALLER, 4000, PSAP, 6000, b"\x80"), START_NS) is None
