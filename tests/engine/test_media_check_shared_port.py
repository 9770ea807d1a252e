"""A gateway with one port for the media of all its calls: whose voice was it?"""

import pytest

from firewall.engine.events import DeadlineReached, FlowsCounted, MediaReceived
from firewall.engine.pinhole import FlowCount
from firewall.net.datagram import Datagram
from tests.media import (
    CALLED,
    CALLER,
    MediaScene,
    answer,
    invite,
    rtp,
    sdp,
)
from tests.messages import request
from tests.scene import ALL, policy


class Gateway:
    """Emergency calls to a gateway that has one port for the media of all of them; ``number`` tells them apart."""

    def __init__(self, more: str = "") -> None:
        self.scene = MediaScene(policy(ALL, more=more))

    def source(self, number: int) -> tuple[str, int]:
        return CALLER[0], 50_000 + 4 * number

    def call(self, number: int, *, at_s: float) -> None:
        first = invite(self._offer(number), call_id=f"gateway-{number}", from_tag=f"{number}")
        self.scene.carrier(first, at_s=at_s)
        self.scene.psap(answer(first), at_s=at_s)

    def _offer(self, number: int) -> str:
        return sdp(CALLER[0], f"audio {self.source(number)[1]} RTP/AVP 0")

    def answers(self, number: int, *, at_s: float) -> None:
        """The gateway's own voice, toward a caller."""
        self.scene.packet(CALLED, self.source(number), rtp(), at_s=at_s)

    def copy(self, source: tuple[str, int], *, at_s: float) -> None:
        """A packet toward the gateway that the kernel copied."""
        self.scene.tell(MediaReceived(Datagram(*source, *CALLED, rtp()), "sample"), at_s=at_s)

    def counted(self, packets: int, *, at_s: float) -> None:
        """What the kernel counted of all that came to the gateway."""
        (key,) = [key for key, hole in self.scene.open.items() if hole.kind == "rtp" and key.dst_port == CALLED[1]]
        self.scene.tell(FlowsCounted((FlowCount(key, packets, 160 * packets),)), at_s=at_s)

    def lost(self, number: int, *, at_s: float) -> list[str]:
        """What the ledger has of a call by then."""
        calls = self.scene.tell(DeadlineReached(), at_s=at_s).calls
        return [loss.cause for each in calls if each.call_id == f"gateway-{number}" for loss in each.media_loss]


_OF_OTHERS = ["only packets of other calls came, which have the same port"]


@pytest.mark.parametrize("hangs_up_at_s", [5, 60])
def test_the_voices_of_other_calls_on_the_same_port_do_not_hide_a_silent_one(hangs_up_at_s: int) -> None:
    gateway = Gateway()
    gateway.call(1, at_s=0)
    gateway.call(2, at_s=3)
    for n in range(150, 350):
        at_s = n / 50
        if at_s == hangs_up_at_s:
            bye = request("BYE", call_id="gateway-1", from_tag="1", to_tag="psap", cseq=2)
            gateway.scene.carrier(bye, at_s=at_s)
        if at_s < hangs_up_at_s:
            gateway.scene.packet(gateway.source(1), CALLED, rtp(n), at_s=at_s)
        gateway.answers(2, at_s=at_s)
    assert gateway.lost(2, at_s=7) == _OF_OTHERS


@pytest.mark.parametrize(
    ("copied", "inspect", "lost"),
    [
        ([1], "sample", _OF_OTHERS),
        ([1, 2], "sample", []),
        ([], "sample", []),  # the kernel counts, but no copy tells of whom
        ([1, 99], "sample", []),  # from a port where nobody receives: whose it is nobody knows
        ([1], "first", []),  # the first packets were perhaps copied before the answer
    ],
)
def test_copies_tell_whose_voice_the_kernel_counted(copied: list[int], inspect: str, lost: list[str]) -> None:
    gateway = Gateway(f"media: {{inspect: {inspect}}}")
    gateway.call(1, at_s=0)
    gateway.copy(gateway.source(1), at_s=0.5)
    gateway.counted(100, at_s=2)
    gateway.call(2, at_s=2)
    for number in copied:
        gateway.copy(gateway.source(number), at_s=3)
    gateway.answers(2, at_s=3)
    gateway.counted(300, at_s=5)
    assert gateway.lost(2, at_s=6) == lost


def test_copies_from_many_ports_add_nothing_to_what_the_kernel_counted_before_the_answer() -> None:
    gateway = Gateway()
    gateway.call(1, at_s=0)
    gateway.counted(100, at_s=1)
    for n in range(120):
        gateway.copy((CALLER[0], 30_000 + n), at_s=1.5)
    gateway.call(2, at_s=2)
    gateway.copy(gateway.source(2), at_s=3)
    gateway.answers(2, at_s=3)
    gateway.counted(150, at_s=5)
    assert gateway.lost(2, at_s=6) == []


def test_where_nothing_is_counted_nobody_is_heard() -> None:
    gateway = Gateway()
    gateway.call(1, at_s=0)
    gateway.call(2, at_s=0)
    gateway.counted(0, at_s=3)
    gateway.answers(2, at_s=3)
    assert gateway.lost(2, at_s=4) == ["nothing came"]


def test_of_however_many_calls_on_one_port_the_flow_of_each_is_remembered_until_it_is_asked_for() -> None:
    gateway = Gateway()
    for number in range(40):
        gateway.call(number, at_s=0)
        gateway.counted(10 * number, at_s=0)
        gateway.answers(number, at_s=0)
    for n in range(3):
        for number in range(39):
            gateway.copy(gateway.source(number), at_s=1 + n)
    gateway.counted(1000, at_s=3)
    calls = gateway.scene.tell(DeadlineReached(), at_s=4).calls
    assert [each.call_id for each in calls if any(loss.dest_port == CALLED[1] for loss in each.media_loss)] == [
        "gateway-39"
    ]
