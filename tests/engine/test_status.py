"""The calls in progress as ``sosgate ctl calls`` shows them."""

from firewall.engine.events import DeadlineReached, FlowsCounted
from tests.media import MediaScene, answer, invite
from tests.messages import request


def test_a_call_that_is_not_heard_is_hurt_as_the_count_of_those_says() -> None:
    scene = MediaScene()
    scene.call()
    scene.tell(FlowsCounted(()), at_s=2)
    assert [call.hurt for call in scene.engine.calls()] == [False]
    scene.tell(DeadlineReached(), at_s=5)
    assert [call.hurt for call in scene.engine.calls()] == [True]
    assert scene.engine.stats().emergency_calls_hurt == 1


def test_a_call_is_in_progress_as_long_as_one_of_its_forks_is() -> None:
    scene = MediaScene()
    first = invite()
    scene.carrier(first, at_s=0)
    for fork in ("one", "two"):
        scene.psap(answer(first, to_tag=fork), at_s=1)
        scene.carrier(request("ACK", to_tag=fork), at_s=1.1)
    scene.carrier(request("BYE", to_tag="two", cseq=2), at_s=2)
    assert [call.dialogs for call in scene.engine.calls()] == [("confirmed", "terminated")]
    scene.carrier(request("BYE", to_tag="one", cseq=2), at_s=3)
    assert scene.engine.calls() == []
