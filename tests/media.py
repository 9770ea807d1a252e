"""Calls with media for engine tests: session descriptions, RTP packets, and a scene that knows the open pinholes."""

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field

from firewall.engine.events import DatagramReceived, DeadlineReached, Event, MediaReceived
from firewall.engine.outputs import Forward, PinholesChanged, Write
from firewall.engine.pinhole import Pinhole, PinholeKey
from firewall.engine.record import RtpDecision
from firewall.net.datagram import Datagram
from firewall.ruleset.policy import Policy
from tests.messages import CARRIER, PSAP, request, response
from tests.scene import ALL, Scene, Told, policy

CALLER, CALLED = (CARRIER[0], 49170), (PSAP[0], 40000)
ANY = [(None, "allow")]
FROM_CALLED, FROM_CALLER = [(CALLED[0], "allow")], [(CALLER[0], "allow")]
ORDINARY = "sip:6175550199@198.51.100.10"


def sdp(ip: str, *media: str, session: str = "") -> str:
    """A session description of ``ip``; each medium is its ``m=`` line without ``m=``, attributes after commas."""
    family = "IP6" if ":" in ip else "IP4"
    lines = ["v=0", f"o=- 1 1 IN {family} {ip}", "s=-", f"c=IN {family} {ip}", "t=0 0", *([session] if session else [])]
    for medium in media:
        first, *rest = medium.split(",")
        lines += [f"m={first}", *(each.strip() for each in rest)]
    return "\r\n".join(lines) + "\r\n"


AUDIO = "audio 49170 RTP/AVP 0 101, a=rtpmap:101 telephone-event/8000"
OFFER = sdp(CALLER[0], AUDIO)
ANSWER = sdp(CALLED[0], "audio 40000 RTP/AVP 0 101, a=rtpmap:101 telephone-event/8000")
HEADERS = ("Content-Type: application/sdp",)


def rtcp_of(endpoint: tuple[str, int]) -> tuple[str, int]:
    return endpoint[0], endpoint[1] + 1


def invite(body: str = OFFER, **more: object) -> bytes:
    return request(body=body, headers=HEADERS if body else (), **more)  # type: ignore[arg-type]


def answer(
    to: bytes, body: str = ANSWER, status: int = 200, *, headers: tuple[str, ...] = (), to_tag: str = "psap"
) -> bytes:
    """A response to a request with a session description."""
    head, _, _ = response(to, status, to_tag=to_tag).partition(b"Content-Length")
    lines = [*headers, *(HEADERS if body else ()), f"Content-Length: {len(body)}"]
    return head + ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


def rtp(
    sequence: int = 0, *, payload_type: int = 0, ssrc: int = 1, timestamp: int | None = None, octets: int = 160
) -> bytes:
    stamp = sequence * 160 if timestamp is None else timestamp
    header = struct.pack(">BBHII", 0x80, payload_type, sequence & 0xFFFF, stamp & 0xFFFFFFFF, ssrc)
    return header + bytes(octets)


@dataclass
class MediaScene(Scene):
    """A scene that keeps the set of open pinholes, as the kernel would."""

    rules: Policy = field(default_factory=lambda: policy(ALL))
    open: dict[PinholeKey, Pinhole] = field(default_factory=dict)
    takeover: bool = False
    past: Iterable[bytes] = ()
    at_s: float = 0

    def __post_init__(self) -> None:
        super().__init__(self.rules, takeover=self.takeover, past=self.past, at_s=self.at_s)

    def tell(self, event: Event, *, at_s: float) -> Told:
        told = super().tell(event, at_s=at_s)
        announced = isinstance(event, DatagramReceived)
        for output in told.outputs:
            if isinstance(output, Forward):
                announced = False
            if isinstance(output, PinholesChanged):
                assert announced or not isinstance(event, DatagramReceived), "pinholes come before their message"
                for pinhole in output.closed:
                    del self.open[pinhole.key]  # the kernel refuses to delete what is not there
                self.open.update({pinhole.key: pinhole for pinhole in output.opened})
        return told

    def to(self, endpoint: tuple[str, int]) -> list[tuple[str | None, str]]:
        """The open pinholes toward an endpoint: source address (None: any) and verdict of each."""
        return sorted(
            ((key.src_ip, hole.verdict) for key, hole in self.open.items() if (key.dst_ip, key.dst_port) == endpoint),
            key=str,
        )

    def packet(self, src: tuple[str, int], dst: tuple[str, int], payload: bytes | None = None, *, at_s: float) -> Told:
        """A media packet of a capture."""
        return self.tell(MediaReceived(Datagram(*src, *dst, rtp() if payload is None else payload)), at_s=at_s)

    def call(
        self, *, at_s: float = 0.0, offer: str = OFFER, answered: str = ANSWER, uri: str = "sip:911@198.51.100.10"
    ) -> None:
        """A call set up: INVITE at ``at_s``, 200 a second later, ACK."""
        first = invite(offer, uri=uri)
        self.carrier(first, at_s=at_s)
        self.psap(answer(first, answered), at_s=at_s + 1)
        self.carrier(request("ACK", uri, to_tag="psap"), at_s=at_s + 1.1)

    def talk(
        self, begin_s: float, end_s: float, src: tuple[str, int] = CALLER, dst: tuple[str, int] = CALLED
    ) -> list[Told]:
        """RTP every 20 ms."""
        count = round((end_s - begin_s) * 50)
        return [self.packet(src, dst, rtp(n), at_s=begin_s + n / 50) for n in range(count)]


def flows(told: Told) -> list[RtpDecision]:
    """The media records that an event led to."""
    return [o.record for o in told.outputs if isinstance(o, Write) and isinstance(o.record, RtpDecision)]


def reasons(told: Told) -> list[tuple[str, str]]:
    """State and reason of each media record."""
    return [(record.state, record.decision.reason) for record in flows(told)]


CHECKED_S = 5.0  # the calls of a scene are answered after one second


def checked(scene: MediaScene) -> Told:
    """What is told when the five seconds are over in which both sides must be heard."""
    assert not scene.tell(DeadlineReached(), at_s=CHECKED_S - 0.01).alarms
    return scene.tell(DeadlineReached(), at_s=CHECKED_S)
