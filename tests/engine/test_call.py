"""One call: its stages, its transactions, its dialogs (RFC 3261 §12, §17)."""

import re

import pytest

from firewall.engine.call import DIALOG_NS, RINGING_NS, SECOND_NS, TRANSACTION_NS, UNANSWERED_NS
from firewall.engine.call_table import CallTable
from firewall.engine.events import DeadlineReached
from firewall.sip.message import parse_message
from tests.messages import request, response
from tests.scene import Scene, policy


def test_each_stage_of_a_call_is_remembered_for_its_own_time() -> None:
    table = CallTable()
    call = table.add("call-1@192.0.2.10", 0, must=False)
    assert call is not None
    invite = request()
    stages = [
        (invite, TRANSACTION_NS),
        (response(invite, 180), RINGING_NS),
        (response(invite, 200), DIALOG_NS),
        (request("BYE", to_tag="psap", cseq=2), TRANSACTION_NS),
    ]
    for second, (raw, lasts_ns) in enumerate(stages):
        now = second * 1_000_000_000
        table.forwarded(call, parse_message(raw), now)
        assert call.deadline_ns == now + lasts_ns


def test_the_transactions_of_one_call_are_bounded() -> None:
    table = CallTable()
    call = table.add("call-1@192.0.2.10", 0, must=False)
    assert call is not None
    for number in range(500):
        table.forwarded(call, parse_message(request("INFO", to_tag="psap", cseq=number)), 0)
    assert len(call.transactions) == 64


def test_a_session_timer_bounds_how_long_a_silent_call_is_remembered() -> None:
    """RFC 4028 §9, with a margin of the same length for a late refresh."""
    table = CallTable()
    call = table.add("call-1@192.0.2.10", 0, must=False)
    assert call is not None
    invite = request()
    table.forwarded(call, parse_message(invite), 0)
    answer = response(invite).replace(b"Content-Length", b"Session-Expires: 1800;refresher=uac\r\nContent-Length")
    table.forwarded(call, parse_message(answer), 0)
    assert call.deadline_ns == 2 * 1800 * 1_000_000_000
    update = request("UPDATE", to_tag="psap", cseq=2)
    table.forwarded(call, parse_message(update), 10)
    assert call.deadline_ns == 2 * 1800 * 1_000_000_000 + 10, "every message of the dialog is a sign of life"


def test_every_fork_is_a_dialog_and_their_number_is_bounded() -> None:
    table = CallTable()
    call = table.add("call-1@192.0.2.10", 0, must=False)
    assert call is not None
    invite = request()
    table.forwarded(call, parse_message(invite), 0)
    for fork in range(200):
        table.forwarded(call, parse_message(response(invite, 180, to_tag=f"fork-{fork}")), 0)
    assert len(call.dialogs) == 64
    table.forwarded(call, parse_message(response(invite, 200, to_tag="fork-1")), 0)
    assert call.dialogs["caller", "fork-1"] == "confirmed"


def test_a_retransmission_is_told_from_a_first_message() -> None:
    scene = Scene(policy("  - {name: all, action: allow}"))
    invite = request(branch="z9hG4bK-x")
    cancel = request("CANCEL", branch="z9hG4bK-x")
    ack = request("ACK", branch="z9hG4bK-x", to_tag="psap")
    messages = [
        (scene.carrier, invite), (scene.carrier, invite), (scene.psap, response(invite, 180)),
        (scene.psap, response(invite, 180)), (scene.carrier, cancel), (scene.carrier, cancel),
        (scene.psap, response(invite, 487)), (scene.psap, response(invite, 487)),
        (scene.carrier, ack), (scene.carrier, ack),
    ]  # fmt: skip
    flags = [send(raw, at_s=n).decision.dialog for n, (send, raw) in enumerate(messages)]
    assert [flag.retransmission for flag in flags if flag] == [
        False, True, False, False, False, True, False, True, False, True,
    ]  # fmt: skip


def test_an_answer_that_comes_again_is_told_from_a_first_one() -> None:
    scene = Scene(policy("  - {name: all, action: allow}"))
    text = request("MESSAGE", "urn:service:sos")
    told = [scene.carrier(text), scene.psap(response(text)), scene.psap(response(text))]
    assert [each.decision.dialog and each.decision.dialog.retransmission for each in told] == [False, False, True]


def test_a_notify_may_come_before_the_answer_to_its_subscribe() -> None:
    """RFC 6665 §4.4.1: the NOTIFY may establish the dialog."""
    scene = Scene(policy("  - {name: subscribe, when: 'sip.Method == \"SUBSCRIBE\"', action: allow}"))
    scene.carrier(request("SUBSCRIBE", "sip:h"))
    notify = request("NOTIFY", "sip:h", from_tag="notifier", to_tag="caller")
    assert scene.psap(notify, at_s=0.1).reason == "in_dialog"
    stranger = request("NOTIFY", "sip:h", from_tag="notifier", to_tag="stranger")
    assert scene.psap(stranger, at_s=0.2).reason == "default"


def test_an_answer_that_overtakes_a_cancel_makes_the_call() -> None:
    """RFC 3261 §9.1: the 200 and the CANCEL may cross."""
    scene = Scene(policy("  - {name: calls, when: 'sip.Method == \"INVITE\"', action: allow}"))
    invite = request(branch="z9hG4bK-x")
    scene.carrier(invite)
    scene.carrier(request("CANCEL", branch="z9hG4bK-x"), at_s=1)
    assert scene.psap(response(invite, 200), at_s=1.01).reason == "response"
    assert scene.carrier(request("ACK", to_tag="psap", branch="z9hG4bK-ack"), at_s=1.1).reason == "in_dialog"
    assert scene.carrier(request("BYE", to_tag="psap", cseq=2), at_s=1.2).reason == "in_dialog"


def test_a_refused_reinvite_leaves_the_call_up() -> None:
    """RFC 3261 §14.1."""
    scene = Scene(policy("  - {name: calls, when: 'sip.Method == \"INVITE\"', action: allow}"))
    invite = request()
    scene.carrier(invite)
    scene.psap(response(invite, 200), at_s=1)
    again = request(to_tag="psap", cseq=2)
    scene.carrier(again, at_s=2)
    scene.psap(response(again, 488), at_s=2.1)
    told = scene.carrier(request("BYE", to_tag="psap", cseq=3), at_s=3)
    assert (told.reason, told.decision.dialog.state if told.decision.dialog else None) == ("in_dialog", "confirmed")


def test_a_refused_branch_leaves_the_other_branches_ringing() -> None:
    """RFC 3261 §16.7: a forking proxy before us sends the same call on two branches; one says no, the other answers."""
    scene = Scene(policy("  - {name: calls, when: 'sip.Method == \"INVITE\"', action: allow}"))
    first, second = request(branch="z9hG4bK-a"), request(branch="z9hG4bK-b")
    scene.carrier(first)
    scene.carrier(second, at_s=0.1)
    scene.psap(response(first, 180, to_tag="a"), at_s=1)
    scene.psap(response(second, 180, to_tag="b"), at_s=1.1)
    refused = scene.psap(response(second, 486, to_tag="b"), at_s=2)
    assert (refused.calls, refused.alarms) == ([], []), "the call is not over"
    answered = scene.psap(response(first, 200, to_tag="a"), at_s=60)
    assert (answered.reason, answered.decision.dialog.state if answered.decision.dialog else None) == (
        "response",
        "early",
    )
    (ended,) = scene.carrier(request("BYE", to_tag="a", cseq=2), at_s=70).calls
    assert ended.outcome == "completed"


def test_when_the_last_branch_is_refused_the_call_has_failed() -> None:
    scene = Scene(policy("  - {name: calls, when: 'sip.Method == \"INVITE\"', action: allow}"))
    first, second = request(branch="z9hG4bK-a"), request(branch="z9hG4bK-b")
    scene.carrier(first)
    scene.carrier(second, at_s=0.1)
    scene.psap(response(second, 486, to_tag="b"), at_s=2)
    (call,) = scene.psap(response(first, 486, to_tag="a"), at_s=3).calls
    assert (call.outcome, call.attribution) == ("failed_downstream", "downstream")


def test_an_invite_that_passes_after_it_was_rejected_is_a_call_like_any_other() -> None:
    """Its 503 was lost, the limit has room again, and the phone repeats the INVITE: whoever answers must be heard."""
    scene = Scene(
        policy(
            '  - {name: few, when: sip.Method == "INVITE", limit: {rate: 1/1s, per: net.src}, action: reject}\n'
            '  - {name: calls, when: sip.Method == "INVITE", action: allow}'
        )
    )
    scene.carrier(request(call_id="other"))
    invite = request(uri="sip:6175550199@h")
    told = [
        scene.carrier(invite, at_s=0.1),
        scene.carrier(invite, at_s=1.6),
        scene.psap(response(invite), at_s=2),
        scene.carrier(request("ACK", uri="sip:6175550199@h", to_tag="psap"), at_s=3),
    ]
    assert [(each.verdict, each.reason) for each in told] == [
        ("reject", "rule"), ("allow", "rule"), ("allow", "response"), ("allow", "in_dialog"),
    ]  # fmt: skip


@pytest.mark.parametrize("guard", ["off", "enforce"])
def test_who_is_rejected_with_the_ids_of_an_emergency_call_takes_nothing_from_it(guard: str) -> None:
    """Call-IDs that can be guessed and no branch in Via: both are seen of real emergency calls."""
    rules = (
        '  - {name: bad, when: sip.from.user == "bad", action: reject}\n'
        '  - {name: calls, when: sip.Method == "INVITE", action: allow}'
    )

    def without_branch(raw: bytes) -> bytes:
        return re.sub(rb";branch=[^;\r]*", b"", raw)

    scene = Scene(policy(rules, guard=guard))
    scene.carrier(without_branch(request(uri="sip:x@h", from_uri="sip:bad@h", from_tag="evil")))
    invite = without_branch(request(uri="urn:service:sos"))
    ack = without_branch(request("ACK", uri="sip:h", to="<urn:service:sos>", to_tag="psap"))
    told = [scene.carrier(invite, at_s=1), scene.psap(response(invite), at_s=2), scene.carrier(ack, at_s=3)]
    assert [(each.verdict, each.reason) for each in told] == [
        ("allow", "rule"), ("allow", "response"), ("allow", "in_dialog"),
    ]  # fmt: skip


@pytest.mark.parametrize("from_tag", [None, "caller"])
def test_a_caller_without_a_tag_has_a_dialog_all_the_same(from_tag: str | None) -> None:
    """RFC 3261 §12.1.1: the tag of one who sends none is null, as all did before (RFC 2543)."""
    scene = Scene(policy('  - {name: calls, when: sip.Method == "INVITE", action: allow}'))
    names = {"to": "<sip:psap@h>", "from_tag": from_tag}
    invite = request(uri="urn:service:sos", **names)
    back = "<sip:6175550123@192.0.2.10>" + (f";tag={from_tag}" if from_tag else "")
    bye = request("BYE", "sip:h", from_uri="sip:psap@h", from_tag="psap", to=back)
    told = [
        scene.carrier(invite),
        scene.psap(response(invite, 100, to_tag=None)),
        scene.psap(response(invite, 180)),
        scene.psap(response(invite)),
        scene.carrier(request("ACK", "sip:h", to_tag="psap", **names)),
        scene.carrier(request("INFO", "sip:h", to_tag="psap", cseq=2, **names)),
        scene.psap(bye),
        scene.carrier(request("BYE", "sip:h", to_tag="psap", cseq=3, **names)),
    ]
    assert [each.verdict for each in told] == ["allow"] * len(told)
    assert [each.decision.emergency is not None for each in told] == [True] * len(told)
    states = [each.decision.dialog.state for each in told if each.decision.dialog is not None]
    assert states == ["none", "none", "none", "early", "confirmed", "confirmed", "confirmed", "terminated"]


def test_a_new_tag_for_the_credentials_changes_nothing() -> None:
    scene = Scene(policy("  - {name: all, action: allow}"))
    to = "<sip:psap@h>"
    first = request(uri="urn:service:sos", to=to, from_tag="a")
    again = request(uri="urn:service:sos", to=to, from_tag="b", cseq=2)
    scene.carrier(first)
    scene.psap(response(first, 407))
    scene.carrier(again, at_s=1)
    assert scene.psap(response(again, 180, to_tag="q"), at_s=2).decision.emergency is not None


def test_an_answer_to_nothing_that_was_asked_changes_no_call() -> None:
    scene = Scene(policy("  - {name: all, action: allow}"))
    invite = request(uri="urn:service:sos")
    scene.carrier(invite)
    scene.psap(response(invite))
    scene.carrier(request("ACK", uri="urn:service:sos", to_tag="psap"))
    forged = response(request(uri="sip:h", from_tag="evil", cseq=99), to_tag="worse")
    scene.psap(forged.replace(b"Content-Length", b"Session-Expires: 1\r\nContent-Length"), at_s=1)
    (call,) = scene.engine.calls()
    assert call.dialogs == ("confirmed",)
    scene.tell(DeadlineReached(), at_s=3600)
    assert scene.carrier(request("BYE", uri="sip:h", to_tag="psap", cseq=2), at_s=3601).decision.emergency is not None


def test_the_one_that_answers_finds_a_place_however_many_phones_ring() -> None:
    """A queue that rings all its call takers: each is a fork, and each ringing may be acknowledged (RFC 3262)."""
    scene = Scene(policy("  - {name: calls, when: 'sip.Method == \"INVITE\"', action: allow}"))
    invite = request(uri="sip:6175550199@h")
    scene.carrier(invite)
    for fork in range(100):
        scene.psap(response(invite, 180, to_tag=f"fork-{fork}"), at_s=1)
        scene.carrier(request("PRACK", "sip:h", to_tag=f"fork-{fork}", cseq=2 + fork), at_s=1)
    assert scene.psap(response(invite, to_tag="fork-99"), at_s=2).reason == "response"
    assert scene.carrier(request("ACK", "sip:h", to_tag="fork-99"), at_s=3).reason == "in_dialog"
    assert scene.psap(request("BYE", "sip:h", from_tag="fork-99", to_tag="caller"), at_s=4).reason == "in_dialog"


def test_the_ack_of_a_reinvite_that_was_rejected_here_goes_no_further() -> None:
    """The called side never saw the re-INVITE (RFC 3261 §17.1.1.3: the ACK of a refusal goes where that came from)."""
    scene = Scene(
        policy(
            '  - {name: no-hold, when: sip.Method == "INVITE" and sip.to.tag, action: reject}\n'
            '  - {name: calls, when: sip.Method == "INVITE", action: allow}'
        )
    )
    invite = request(uri="sip:6175550199@h")
    scene.carrier(invite)
    scene.psap(response(invite))
    scene.carrier(request("ACK", uri="sip:h", to_tag="psap"))
    scene.carrier(request(uri="sip:h", to_tag="psap", cseq=2), at_s=1)
    ack = request("ACK", uri="sip:h", to_tag="psap", cseq=2).replace(b"-ACK-2", b"-INVITE-2")
    assert scene.carrier(ack, at_s=2).reason == "reject_ack"


def test_an_answer_that_lost_the_tag_of_its_caller_makes_no_dialog_beside_the_true_one() -> None:
    """Nobody's BYE would end it, and the call would stay for a day."""
    scene = Scene(policy("  - {name: all, action: allow}"))
    invite = request(uri="urn:service:sos")
    scene.carrier(invite)
    scene.psap(response(invite, 180))
    scene.psap(response(invite).replace(b";tag=caller", b""), at_s=1)
    (told,) = scene.carrier(request("BYE", uri="sip:h", to_tag="psap", cseq=2), at_s=9).calls
    assert (told.outcome, scene.engine.calls()) == ("completed", [])


def test_an_empty_tag_is_not_that_of_a_caller_who_has_none() -> None:
    scene = Scene(policy("  - {name: all, action: allow}"))
    invite = request(uri="urn:service:sos", from_tag=None)
    scene.carrier(invite)
    scene.psap(response(invite))
    forged = request("INFO", uri="sip:h", from_tag="empty", to_tag="guessed", cseq=7)
    forged = forged.replace(b"tag=empty", b"tag=")
    assert scene.psap(forged, at_s=1).decision.emergency is None


def test_a_call_is_over_where_the_fork_that_answered_is() -> None:
    """One that only rang beside it answers no more (RFC 3261 §13.2.2.4), though no message says so."""
    scene = Scene(policy("  - {name: all, action: allow}"))
    invite = request(uri="urn:service:sos")
    scene.carrier(invite)
    for status, fork in ((180, "a"), (180, "b"), (200, "b")):
        scene.psap(response(invite, status, to_tag=fork))
    assert len(scene.engine.calls()) == 1
    scene.carrier(request("BYE", uri="sip:h", to_tag="b", cseq=2), at_s=9)
    assert scene.engine.calls() == []
    scene.tell(DeadlineReached(), at_s=9 + UNANSWERED_NS // SECOND_NS + 1)
    assert scene.engine.stats().calls_tracked == 0


def test_the_tags_of_one_call_are_bounded_and_those_of_its_dialogs_are_kept() -> None:
    table = CallTable()
    call = table.add("call-1@192.0.2.10", 0, must=False)
    assert call is not None
    invite = request()
    for raw in (invite, response(invite, 200)):
        table.forwarded(call, parse_message(raw), 0)
    for number in range(2_000):
        table.forwarded(call, parse_message(request("INFO", from_tag=f"new-{number}", to_tag="psap", cseq=number)), 0)
    assert len(call.tags) < 300
    assert next(iter(call.tags)) == "caller"
    assert call.belongs(parse_message(request("BYE", to_tag="psap", cseq=3_000)))
    assert call.belongs(parse_message(request("BYE", from_tag="psap", to_tag="caller", cseq=3_000)))


def test_a_call_that_is_hung_up_is_over_also_where_a_reinvite_was_never_answered() -> None:
    scene = Scene(policy("  - {name: all, action: allow}"))
    invite = request()
    scene.carrier(invite)
    scene.psap(response(invite), at_s=1)
    scene.carrier(request(to_tag="psap", cseq=2), at_s=5)
    scene.carrier(request("BYE", to_tag="psap", cseq=3), at_s=9)
    assert scene.engine.calls() == []
