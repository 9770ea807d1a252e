"""How long the media of a call stays open: queues, long calls, forks, lost tags, a Call-ID that is used again."""

import re

import pytest

from firewall.engine.events import (
    DeadlineReached,
)
from tests.media import (
    CALLED,
    CALLER,
    FROM_CALLED,
    FROM_CALLER,
    MediaScene,
    answer,
    invite,
    sdp,
)
from tests.messages import request
from tests.scene import policy


def test_a_caller_without_a_tag_is_heard_until_either_side_hangs_up() -> None:
    """RFC 3261 §12.1.1: its tag is null, and it has a dialog like any other."""
    scene = MediaScene()
    first = invite(from_tag=None)
    scene.carrier(first)
    scene.psap(answer(first), at_s=1)
    assert (scene.to(CALLED), scene.to(CALLER)) == (FROM_CALLER, FROM_CALLED)
    scene.psap(
        request("BYE", "sip:h", from_uri="sip:psap@h", from_tag="psap", to="<sip:6175550123@192.0.2.10>"), at_s=9
    )
    scene.stops(at_s=60)
    assert scene.open == {}


def test_a_call_that_ended_takes_no_media_from_the_next_with_the_same_call_id_and_no_branch() -> None:
    scene = MediaScene()

    def without_branch(raw: bytes) -> bytes:
        return re.sub(rb";branch=[^;\r]*", b"", raw)

    earlier, later = (without_branch(invite(from_tag=tag)) for tag in ("earlier", "later"))
    scene.carrier(earlier)
    scene.psap(answer(earlier, to_tag="there"))
    scene.carrier(without_branch(request("BYE", from_tag="earlier", to_tag="there", cseq=2)))
    scene.carrier(later, at_s=9)
    scene.psap(answer(later), at_s=10)
    assert (scene.to(CALLED), scene.to(CALLER)) == (FROM_CALLER, FROM_CALLED)


def test_an_emergency_call_that_waits_in_a_queue_hears_what_is_said_there_and_is_answered() -> None:
    """The called side should repeat its 183 each minute (RFC 3261 §13.3.1.1), and many do not."""
    scene = MediaScene(policy("  - {name: calls, when: 'sip.Method == \"INVITE\"', action: allow}"))
    first = invite(uri="urn:service:sos", to="<sip:psap@h>")
    scene.carrier(first)
    scene.psap(answer(first, status=183), at_s=1)
    (failed,) = scene.tell(DeadlineReached(), at_s=900).calls
    assert failed.outcome == "failed_downstream"
    assert (CALLED[0], "allow") in scene.to(CALLER)
    answered = scene.psap(answer(first), at_s=901)
    acknowledged = scene.carrier(request("ACK", "sip:h", to="<sip:psap@h>", to_tag="psap"), at_s=902)
    assert (answered.reason, acknowledged.reason) == ("response", "in_dialog")
    assert [call.outcome for call in answered.calls] == ["in_progress"]


def test_an_emergency_call_outlives_a_session_timer_that_nobody_refreshes() -> None:
    """RFC 4028 lets either side hang up then; where none does, they go on talking."""
    scene = MediaScene(policy("  - {name: calls, when: 'sip.Method == \"INVITE\"', action: allow}"))
    first = invite(uri="urn:service:sos")
    scene.carrier(first)
    scene.psap(answer(first, headers=("Session-Expires: 90;refresher=uac",)), at_s=1)
    scene.tell(DeadlineReached(), at_s=600)
    assert (scene.to(CALLED), scene.to(CALLER)) == (FROM_CALLER, FROM_CALLED)
    bye = request("BYE", "sip:h", to="<urn:service:sos>", to_tag="psap", cseq=2)
    assert scene.carrier(bye, at_s=601).reason == "in_dialog"


@pytest.mark.parametrize("from_tag", [None, "caller"])
def test_a_called_side_without_a_tag_is_heard_until_either_side_hangs_up(from_tag: str | None) -> None:
    """RFC 3261 §12.1.2: the tag of one who answers without is null."""
    scene = MediaScene(policy("  - {name: calls, when: 'sip.Method == \"INVITE\"', action: allow}"))
    first = invite(uri="urn:service:sos", to="<sip:psap@h>", from_tag=from_tag)
    scene.carrier(first)
    ringing, answered = (answer(first, status=status).replace(b";tag=psap", b"") for status in (183, 200))
    scene.psap(ringing, at_s=1)
    told = [
        scene.psap(answered, at_s=2),
        scene.carrier(request("ACK", "sip:h", to="<sip:psap@h>", from_tag=from_tag), at_s=3),
    ]
    assert (scene.to(CALLED), scene.to(CALLER)) == (FROM_CALLER, FROM_CALLED)
    caller = "<sip:6175550123@192.0.2.10>"
    info = request("INFO", "sip:h", to="<sip:psap@h>", from_tag=from_tag, cseq=5)
    bye = request("BYE", "sip:h", from_uri="sip:psap@h", from_tag=None, to=caller, to_tag=from_tag)
    told += [scene.carrier(info, at_s=100), scene.psap(bye, at_s=101)]
    assert [each.verdict for each in told] == ["allow"] * len(told)
    assert [each.decision.emergency is not None for each in told] == [True] * len(told)
    scene.tell(DeadlineReached(), at_s=110)
    assert scene.open == {}


def test_an_untagged_answer_within_a_call_begins_no_dialog_beside_it() -> None:
    scene = MediaScene()
    scene.call()
    again = invite(to_tag="psap", cseq=7)
    scene.carrier(again, at_s=5)
    scene.psap(answer(again).replace(b";tag=psap", b""), at_s=6)
    scene.carrier(request("BYE", to_tag="psap", cseq=8), at_s=9)
    scene.tell(DeadlineReached(), at_s=60)
    assert scene.open == {}


def test_an_emergency_call_that_is_still_heard_is_never_forgotten() -> None:
    """An announcement of an hour, without a message meanwhile; then a call of two days."""
    scene = MediaScene(policy("  - {name: calls, when: 'sip.Method == \"INVITE\"', action: allow}"))
    first = invite(uri="urn:service:sos", to="<sip:psap@h>")
    scene.carrier(first)
    scene.psap(answer(first, status=183), at_s=1)
    for minute in range(60):
        scene.packet(CALLED, CALLER, at_s=60 * minute + 2)
    assert (CALLED[0], "allow") in scene.to(CALLER)
    assert scene.psap(answer(first), at_s=3601).reason == "response"
    for half_hour in range(3, 96):
        scene.packet(CALLED, CALLER, at_s=1800 * half_hour)
    assert scene.to(CALLER) == FROM_CALLED
    bye = request("BYE", "sip:h", to="<sip:psap@h>", to_tag="psap", cseq=2)
    assert scene.carrier(bye, at_s=48 * 3600).reason == "in_dialog"


@pytest.mark.parametrize(("heard_until_s", "is_known"), [(3600, True), (1, False)])
def test_an_emergency_call_that_rings_is_forgotten_when_nothing_of_it_comes_any_more(
    heard_until_s: int, *, is_known: bool
) -> None:
    scene = MediaScene()
    first = invite(uri="urn:service:sos", to="<sip:psap@h>")
    scene.carrier(first)
    scene.psap(answer(first, status=183), at_s=1)
    for at_s in range(1, heard_until_s + 1, 600):
        scene.packet(CALLED, CALLER, at_s=at_s)
    scene.tell(DeadlineReached(), at_s=4000)
    assert bool(scene.open) == is_known == (len(scene.engine.calls()) == 1)
    scene.tell(DeadlineReached(), at_s=7200)
    assert scene.engine.calls() == []


def test_an_answer_that_lost_the_tag_of_its_caller_agrees_on_nothing_that_outlives_the_call() -> None:
    scene = MediaScene()
    first = invite(uri="urn:service:sos", to="<sip:psap@h>")
    scene.carrier(first)
    scene.psap(answer(first, status=183), at_s=1)
    scene.psap(answer(first, sdp(CALLED[0], "audio 41000 RTP/AVP 0")).replace(b";tag=caller", b""), at_s=2)
    assert scene.to((CALLED[0], 41000)) == []
    scene.carrier(request("BYE", "sip:h", to="<sip:psap@h>", to_tag="psap", cseq=2), at_s=9)
    scene.tell(DeadlineReached(), at_s=20)
    assert scene.open == {}


def test_the_media_of_a_fork_that_only_rang_is_closed_with_the_one_that_answered() -> None:
    scene = MediaScene()
    first = invite(uri="urn:service:sos", to="<sip:psap@h>")
    scene.carrier(first)
    scene.psap(answer(first, status=183, to_tag="rings"), at_s=1)
    scene.psap(answer(first, sdp(CALLED[0], "audio 41000 RTP/AVP 0")), at_s=2)
    scene.carrier(request("BYE", "sip:h", to="<sip:psap@h>", to_tag="psap", cseq=2), at_s=9)
    scene.tell(DeadlineReached(), at_s=20)
    assert scene.open == {}
