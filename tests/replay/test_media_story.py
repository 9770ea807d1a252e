"""The media of one call as explain tells it."""

import msgspec

from firewall.engine.events import DeadlineReached
from firewall.engine.outputs import Write
from firewall.engine.record import encode
from firewall.replay.story import LogLines, Story, call_records, tell
from tests.media import CALLED, CALLER, MediaScene
from tests.messages import request
from tests.scene import ALL, Told, policy

CALL_ID = "call-1@192.0.2.10"


class Logged(MediaScene):
    """A scene that keeps its log."""

    def tell(self, event: object, *, at_s: float) -> Told:
        told = super().tell(event, at_s=at_s)  # type: ignore[arg-type]
        self.log = [*getattr(self, "log", []), *(encode(o.record) for o in told.outputs if isinstance(o, Write))]
        return told

    def story(self) -> Story:
        found = tell(CALL_ID, call_records(self.log, CALL_ID))
        assert found is not None
        return found


def test_a_call_that_is_heard_has_a_line_for_each_flow_with_its_figures() -> None:
    scene = Logged()
    scene.call()
    scene.talk(1.2, 2.2)
    scene.talk(2.2, 3.2, CALLED, CALLER)
    scene.carrier(request("BYE", to_tag="psap", cseq=2), at_s=30)
    scene.tell(DeadlineReached(), at_s=31)
    story = scene.story()
    assert sorted(story.media) == [
        "audio rtp 192.0.2.10:49170 -> 198.51.100.10:40000: allow, 50 packets, 0 lost, jitter 0.0 ms",
        "audio rtp 198.51.100.10:40000 -> 192.0.2.10:49170: allow, 50 packets, 0 lost, jitter 0.0 ms",
    ]
    assert (story.outcome, story.cause) == ("completed", None)


def test_one_way_audio_is_the_cause_with_the_setting_to_mend() -> None:
    scene = Logged()
    scene.call()
    scene.talk(1.2, 2.2)
    scene.talk(1.2, 2.2, ("198.51.100.77", 40000), CALLER)
    scene.tell(DeadlineReached(), at_s=6)
    story = scene.story()
    assert (story.outcome, story.problem, story.attribution) == ("impaired", "MediaLoss", "policy")
    assert story.cause is not None
    assert "nothing of psap reached 192.0.2.10:49170: its packets came from 198.51.100.77 instead" in story.cause
    assert story.mend == "change media.source (sosgate explain media_wrong_source); then run sosgate lint policy.yaml"
    assert any("drop (Media from somebody else than the negotiated party)" in line for line in story.media)


def test_a_rule_that_drops_audio_is_named() -> None:
    rules = "  - {name: mute, when: 'media.kind == \"audio\"', action: drop}\n" + ALL
    scene = Logged(policy(rules))
    scene.call()
    story = scene.story()
    assert story.cause is not None
    assert 'drop by rule "mute" (policy.yaml:9); the call connects, and nobody is heard' in story.cause
    assert story.mend is not None
    assert '"mute"' in story.mend


def test_records_of_older_logs_have_no_media() -> None:
    scene = Logged()
    scene.call()
    records = [msgspec.json.decode(line) for line in scene.log]
    older = [{k: v for k, v in r.items() if k != "media_loss"} for r in records if r["event_type"] != "rtp_decision"]
    own = tuple(r for r in older if r["event_type"] in ("sip_decision", "emergency_call"))
    story = tell(CALL_ID, LogLines(own, unreadable_lines=0))
    assert story is not None
    assert story.media == ()
