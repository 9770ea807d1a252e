"""Calls that belong to an emergency call: callbacks (RFC 7090) and transfers (RFC 3515, 3891)."""

import gc

import pytest

from firewall.engine import related
from firewall.engine.caller import Caller
from firewall.ruleset.emergency import CALLBACK_WINDOW_NS
from tests.messages import request, response
from tests.scene import ALL, SECOND, Scene, policy

CALLER = "sip:+1-617-555-0123@192.0.2.10"


def after_an_emergency_call(**call: object) -> Scene:
    scene = Scene(policy(ALL))
    scene.carrier(request("INVITE", "urn:service:sos", from_uri=CALLER, **call))  # type: ignore[arg-type]
    return scene


def callback(uri: str, call_id: str = "back") -> bytes:
    return request("INVITE", uri, from_uri="sip:psap@198.51.100.10", call_id=call_id, from_tag="p")


@pytest.mark.parametrize("uri", ["sip:6175550123@192.0.2.10", "tel:+16175550123", "sip:+16175550123@other.example"])
def test_a_call_back_to_the_callers_number_is_part_of_the_emergency(uri: str) -> None:
    scene = after_an_emergency_call()
    told = scene.psap(callback(uri), at_s=29 * 60)
    assert told.decision.emergency is not None
    assert told.decision.emergency.emergency_class == "callback"
    ringing = scene.carrier(response(callback(uri), 180), at_s=29 * 60 + 1)
    assert ringing.decision.emergency is not None, "and so is the rest of it"


def test_the_contact_of_an_anonymous_caller_is_remembered_too() -> None:
    scene = Scene(policy(ALL))
    anonymous = "sip:anonymous@anonymous.invalid"
    scene.carrier(request("INVITE", "urn:service:sos", from_uri=anonymous, headers=("Contact: <sip:u7@192.0.2.10>",)))
    assert scene.psap(callback("sip:u7@192.0.2.10"), at_s=60).decision.emergency is not None
    assert scene.psap(callback(anonymous, "x"), at_s=61).decision.emergency is None


def test_after_thirty_minutes_it_is_an_ordinary_call() -> None:
    assert after_an_emergency_call().psap(callback(CALLER), at_s=30 * 60 + 1).decision.emergency is None


def test_a_call_to_somebody_else_is_an_ordinary_call() -> None:
    assert after_an_emergency_call().psap(callback("sip:6175550124@192.0.2.10"), at_s=60).decision.emergency is None


def test_the_caller_calling_its_own_number_is_no_callback() -> None:
    scene = after_an_emergency_call()
    own = request("INVITE", CALLER, call_id="own", from_tag="o")
    assert scene.carrier(own, at_s=60).decision.emergency is None


def test_a_blocked_emergency_call_is_called_back_all_the_same() -> None:
    scene = Scene(policy("  - {name: wrong, when: 'zone.src == \"carrier\"', action: drop}\n" + ALL))
    scene.carrier(request("INVITE", "urn:service:sos", from_uri=CALLER))
    assert scene.psap(callback(CALLER), at_s=60).decision.emergency is not None


def test_a_call_with_the_same_call_id_takes_not_its_callers_place() -> None:
    scene = after_an_emergency_call()
    scene.psap(response(request("INVITE", "urn:service:sos", from_uri=CALLER)), at_s=1)
    forged = request("INVITE", "urn:service:sos", from_uri="sip:5085550177@203.0.113.9", from_tag="forged")
    scene.carrier(forged, at_s=2, src=("203.0.113.9", 5060))
    scene.carrier(request("INFO", "sip:psap", to_tag="psap", cseq=2), at_s=40 * 60)
    assert scene.psap(callback("tel:5085550177", "x"), at_s=41 * 60).decision.emergency is None
    assert scene.psap(callback(CALLER), at_s=69 * 60).decision.emergency is not None


def test_a_re_invite_in_the_dialog_of_a_caller_without_a_tag_takes_not_its_place() -> None:
    scene = Scene(policy(ALL))
    first = request("INVITE", "urn:service:sos", from_uri=CALLER, from_tag=None)
    scene.carrier(first)
    scene.psap(response(first), at_s=1)
    again = request("INVITE", "sip:u@192.0.2.10", to=f"<{CALLER}>", from_uri="sip:psap@198.51.100.10", from_tag="psap")
    scene.psap(again, at_s=1700)
    scene.carrier(response(again, to_tag=None), at_s=1701)
    assert scene.psap(callback(CALLER), at_s=3400).decision.emergency is not None


def test_who_passes_an_emergency_call_on_may_call_its_caller_back() -> None:
    scene = after_an_emergency_call()
    scene.psap(request("INVITE", "urn:service:sos", from_uri=CALLER, call_id="passed-on", from_tag="b2b"), at_s=5)
    told = scene.psap(callback(CALLER), at_s=60)
    assert told.decision.emergency is not None
    assert told.decision.emergency.emergency_class == "callback"


def in_an_emergency_call() -> Scene:
    scene = Scene(policy(ALL))
    invite = request("INVITE", "urn:service:sos")
    scene.carrier(invite)
    scene.psap(response(invite), at_s=1)
    return scene


def test_the_call_that_a_refer_asks_for_is_the_transfer() -> None:
    scene = in_an_emergency_call()
    refer = request("REFER", "sip:h", to="<x>", from_tag="psap", to_tag="caller", cseq=9,
                    headers=("Refer-To: <sip:fire@198.51.100.20>",))  # fmt: skip
    scene.psap(refer, at_s=30)
    told = scene.carrier(request("INVITE", "sip:fire@198.51.100.20", call_id="transfer"), at_s=31)
    assert told.decision.emergency is not None
    assert told.decision.emergency.evidence == (
        "request_uri is the refer_to of emergency call call-1@192.0.2.10 (RFC 3515)",
    )
    late = scene.carrier(request("INVITE", "sip:fire@198.51.100.20", call_id="late"), at_s=300)
    assert late.decision.emergency is None


def test_a_refer_of_an_ordinary_call_makes_no_emergency() -> None:
    scene = Scene(policy(ALL))
    scene.carrier(request("REFER", "sip:6175550199@h", headers=("Refer-To: <sip:x@h>",)))
    assert scene.psap(callback("sip:x@h"), at_s=1).decision.emergency is None


@pytest.mark.parametrize(
    "header",
    [
        "Replaces: call-1@192.0.2.10;to-tag=psap;from-tag=caller",
        "Replaces: call-1@192.0.2.10 ; from-tag=caller;to-tag=psap;early-only",
        "Join: call-1@192.0.2.10;from-tag=psap;to-tag=caller",
        "Target-Dialog: call-1@192.0.2.10;local-tag=caller;remote-tag=psap",
    ],
)
def test_a_call_that_takes_the_place_of_an_emergency_call_is_one(header: str) -> None:
    scene = in_an_emergency_call()
    invite = request("INVITE", "sip:6175550199@h", call_id="new", from_tag="n", headers=(header,))
    assert scene.psap(invite, at_s=30).decision.emergency is not None


@pytest.mark.parametrize(
    "header",
    [
        "Replaces: call-1@192.0.2.10;to-tag=guess;from-tag=caller",
        "Replaces: call-1@192.0.2.10",
        "Replaces: other;to-tag=psap;from-tag=caller",
    ],
)
def test_a_guess_at_an_emergency_call_is_not(header: str) -> None:
    scene = in_an_emergency_call()
    invite = request("INVITE", "sip:6175550199@h", call_id="new", from_tag="n", headers=(header,))
    assert scene.carrier(invite, at_s=30).decision.emergency is None


def test_of_too_many_expected_calls_the_one_expected_longest_ago_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(related, "MAX_EXPECTED", 2)
    scene = Scene(policy(ALL))
    for number in (1, 2, 1, 3):
        scene.carrier(request("INVITE", "urn:service:sos", from_uri=f"tel:+1617555010{number}", call_id=f"c{number}"))
    called_back = [scene.psap(callback(f"tel:+1617555010{number}", f"b{number}")).decision for number in (1, 2, 3)]
    assert [decision.emergency is not None for decision in called_back] == [True, False, True]


def test_the_thirty_minutes_run_from_the_last_message_of_the_emergency_call() -> None:
    scene = in_an_emergency_call()
    scene.carrier(request("BYE", "sip:h", to="<urn:service:sos>", to_tag="psap", cseq=2), at_s=40 * 60)
    assert scene.psap(callback("sip:6175550123@h"), at_s=69 * 60).decision.emergency is not None
    assert scene.psap(callback("sip:6175550123@h", "late"), at_s=71 * 60).decision.emergency is None


def test_one_call_cannot_make_others_be_forgotten_by_many_identities(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(related, "MAX_EXPECTED", 20)
    scene = after_an_emergency_call()
    many = ", ".join(f"<tel:+1617555{number:04}>" for number in range(1000, 1500))
    forged = request("INVITE", "urn:service:sos", call_id="x", from_uri="sip:x@y",
                     headers=(f"P-Asserted-Identity: {many}",))  # fmt: skip
    scene.carrier(forged, at_s=1)
    assert scene.psap(callback(CALLER), at_s=2).decision.emergency is not None


def test_a_surge_of_emergency_calls_makes_no_caller_be_forgotten_before_its_time() -> None:
    """40 calls a second, the surge that policies reckon with, of callers with three identities each."""
    assert 40 * 3 * CALLBACK_WINDOW_NS // SECOND <= related.MAX_EXPECTED


def test_an_alarm_says_that_callers_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(related, "MAX_EXPECTED", 3)
    scene = Scene(policy(ALL))
    for number, at_s in enumerate((0, 1, 2, 3, 4, 3600, 3601, 3602)):
        caller = f"sip:617555{number:04}@h"
        told = scene.carrier(request("INVITE", "urn:service:sos", call_id=f"c{number}", from_uri=caller), at_s=at_s)
        full = [alarm.alarm.message for alarm in told.alarms if alarm.alarm.code == "table_full"]
        assert [sentence.partition(",")[0] for sentence in full] == ["emergency callers are forgotten"] * (at_s == 3)


@pytest.mark.parametrize(
    "header",
    [
        "P-Asserted-Identity: <sip:x@h>, <tel:+1-617-555-0123>",
        "P-Preferred-Identity: <tel:+16175550123>",
        'Remote-Party-ID: "Jane" <sip:6175550123@192.0.2.10>;party=calling;screen=yes',
    ],
)
def test_who_hides_its_number_in_from_is_called_back_by_the_one_the_network_knows(header: str) -> None:
    scene = Scene(policy(ALL))
    anonymous = "sip:anonymous@anonymous.invalid"
    scene.carrier(request("INVITE", "urn:service:sos", from_uri=anonymous, headers=(header,)))
    assert scene.psap(callback("sip:+16175550123@h"), at_s=60).decision.emergency is not None


@pytest.mark.parametrize("target", ["<sip:psap2.example>", "sip:psap2.example:5060", "<sip:psap2.example;lr>"])
def test_a_transfer_may_go_to_a_uri_without_user(target: str) -> None:
    scene = in_an_emergency_call()
    scene.psap(request("REFER", "sip:h", to="<x>", from_tag="psap", to_tag="caller", cseq=9,
                       headers=(f"Refer-To: {target}",)), at_s=30)  # fmt: skip
    told = scene.carrier(request("INVITE", "sip:psap2.example", call_id="transfer"), at_s=31)
    assert told.decision.emergency is not None
    assert scene.carrier(request("INVITE", "sip:psap3.example", call_id="y"), at_s=31).decision.emergency is None


def test_a_refer_outside_the_dialog_that_names_it_is_part_of_the_emergency() -> None:
    """RFC 4538: Target-Dialog is for requests that stand outside the dialog they are about."""
    scene = in_an_emergency_call()
    refer = request("REFER", "sip:h", from_tag="n", call_id="refer", headers=(
        "Refer-To: <sip:fire@h>", "Target-Dialog: call-1@192.0.2.10;local-tag=psap;remote-tag=caller"))  # fmt: skip
    assert scene.psap(refer, at_s=30).decision.emergency is not None
    transfer = request("INVITE", "sip:fire@h", call_id="transfer")
    assert scene.carrier(transfer, at_s=31).decision.emergency is not None


def test_the_garbage_collector_is_not_kept_busy_by_who_may_be_called_back() -> None:
    calls = related.RelatedCalls()
    calls.expect_callback(Caller(("6175550142",), "192.0.2.10"), "a", 0)
    (expected,) = calls._expected.values()
    assert not gc.is_tracked(expected)
    assert not gc.is_tracked(expected.mark)


def test_a_transfer_to_an_endless_uri_is_known_and_takes_little_room() -> None:
    scene, uri = in_an_emergency_call(), f"sip:{'x' * 5_000}@198.51.100.20"
    refer = request("REFER", "sip:h", to="<x>", from_tag="psap", to_tag="caller", cseq=9,
                    headers=(f"Refer-To: <{uri}>",))  # fmt: skip
    scene.psap(refer, at_s=30)
    assert scene.carrier(request("INVITE", uri, call_id="transfer"), at_s=31).decision.emergency is not None
    assert scene.carrier(request("INVITE", f"{uri}x", call_id="other"), at_s=31).decision.emergency is None
    assert max(map(len, scene.engine._observer.related._expected)) < 1_000


def asks_where(uri: str, call_id: str = "where") -> bytes:
    return request("SUBSCRIBE", uri, from_uri="sip:psap@198.51.100.10", call_id=call_id, from_tag="p")


@pytest.mark.parametrize("location", ["sip:at-7@192.0.2.10", "sips:at-7@192.0.2.10", "pres:at-7@192.0.2.10"])
def test_a_psap_that_asks_where_the_caller_is_is_part_of_the_emergency(location: str) -> None:
    scene = after_an_emergency_call(headers=(f"Geolocation: <cid:x@h>, <{location}>", "Geolocation-Routing: yes"))
    told = scene.psap(asks_where(location), at_s=29 * 60)
    assert told.decision.emergency is not None
    assert told.decision.emergency.evidence == (
        "request_uri is where the caller of emergency call call-1@192.0.2.10 is (RFC 6442)",
    )
    assert scene.carrier(response(asks_where(location)), at_s=29 * 60 + 1).decision.emergency is not None
    assert scene.psap(callback(location, "call"), at_s=60).decision.emergency is None, "a call to it is none"
    assert scene.psap(asks_where(location, "late"), at_s=31 * 60).decision.emergency is None


def test_where_a_caller_is_may_be_asked_where_the_caller_is_called_back() -> None:
    contact = "sip:u7@192.0.2.10"
    scene = after_an_emergency_call(headers=(f"Contact: <{contact}>", f"Geolocation: <{contact}>"))
    assert scene.psap(asks_where(contact), at_s=60).decision.emergency is not None
    called = scene.psap(callback(contact), at_s=61).decision.emergency
    assert called is not None
    assert called.emergency_class == "callback"


def test_a_place_that_an_ordinary_call_names_is_asked_for_by_ordinary_people() -> None:
    scene = Scene(policy(ALL))
    scene.carrier(request(uri="sip:6175550199@h", headers=("Geolocation: <sip:at-7@192.0.2.10>",)))
    assert scene.psap(asks_where("sip:at-7@192.0.2.10"), at_s=1).decision.emergency is None


def test_a_blocked_question_where_the_caller_is_is_told() -> None:
    scene = Scene(policy("  - {name: no, when: 'sip.Method == \"SUBSCRIBE\"', action: drop}\n" + ALL))
    scene.carrier(request(headers=("Geolocation: <sip:at-7@192.0.2.10>",)))
    (alarm,) = scene.psap(asks_where("sip:at-7@192.0.2.10"), at_s=1).alarms
    assert alarm.alarm.message.startswith("emergency call blocked: SUBSCRIBE sip:at-7@")


def test_the_call_that_a_redirection_asks_for_is_an_emergency_whatever_its_call_id() -> None:
    scene, invite = Scene(policy(ALL)), request("INVITE", "urn:service:sos")
    scene.carrier(invite)
    contacts = b"Contact: <sip:desk@198.51.100.20>;q=0.7, <sip:desk@198.51.100.30>\r\nContent-Length"
    scene.psap(response(invite, 302).replace(b"Content-Length", contacts), at_s=1)
    for number, target in enumerate(("sip:desk@198.51.100.20", "sip:desk@198.51.100.30")):
        told = scene.carrier(request("INVITE", target, call_id=f"leg-{number}"), at_s=2)
        assert told.decision.emergency is not None
        assert told.decision.emergency.evidence == (
            "request_uri is where emergency call call-1@192.0.2.10 was redirected to (RFC 3261 §8.1.3.4)",
        )
    late = scene.carrier(request("INVITE", "sip:desk@198.51.100.20", call_id="late"), at_s=182)
    assert late.decision.emergency is None


def test_a_redirection_of_an_ordinary_call_makes_no_emergency() -> None:
    scene, invite = Scene(policy(ALL)), request("INVITE", "sip:6175550199@h")
    scene.carrier(invite)
    scene.psap(response(invite, 302).replace(b"Content-Length", b"Contact: <sip:x@h>\r\nContent-Length"), at_s=1)
    assert scene.carrier(request("INVITE", "sip:x@h", call_id="leg"), at_s=2).decision.emergency is None


def test_who_only_knows_the_call_id_neither_redirects_nor_transfers_an_emergency_call() -> None:
    scene, forged = in_an_emergency_call(), request(from_tag="x", cseq=9)
    contact = b"Contact: <sip:x@h>\r\nContent-Length"
    scene.psap(response(forged, 302, to_tag="y").replace(b"Content-Length", contact), at_s=3)
    refer = request("REFER", from_tag="x", to_tag="y", cseq=10, headers=("Refer-To: <sip:y@h>",))
    scene.carrier(refer, at_s=3)
    for uri in ("sip:x@h", "sip:y@h"):
        assert scene.carrier(request(uri=uri, call_id=uri), at_s=4).decision.emergency is None
