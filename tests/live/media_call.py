"""A call with media of which a test holds both ends, and what the log says of its flows."""

import time
from pathlib import Path
from typing import Any

from tests.live.conftest import Namespaces
from tests.live.firewall_process import records
from tests.live.peer import passed, udp_socket
from tests.live.sipp import CARRIER, PSAP
from tests.media import answer, invite, sdp
from tests.messages import request, response

CALLER_MEDIA, CALLED_MEDIA = 49170, 40000


def host(ip: str) -> str:
    return f"[{ip}]" if ":" in ip else ip


class Call:
    """Both ends of one call: their signalling and their media sockets."""

    def __init__(
        self,
        testbed: Namespaces,
        caller: str = CARRIER,
        called: str = PSAP,
        media: tuple[str, str] | None = None,
        user: str = "911",
    ) -> None:
        self.media = media  # a second medium of the offer, and of the answer
        self.caller_ip, self.called_ip = caller, called
        self.caller, self.called = udp_socket(testbed.carrier, caller), udp_socket(testbed.psap, called)
        self.from_caller = udp_socket(testbed.carrier, caller, CALLER_MEDIA)
        self.from_called = udp_socket(testbed.psap, called, CALLED_MEDIA)
        offer = sdp(caller, f"audio {CALLER_MEDIA} RTP/AVP 0", *((media[0],) if media else ()))
        self.call_id = f"media-{time.monotonic_ns()}@{caller}"
        self.invite = invite(offer, uri=f"sip:{user}@{host(called)}", call_id=self.call_id)

    def __enter__(self) -> "Call":
        return self

    def __exit__(self, *_: object) -> None:
        for each in (self.caller, self.called, self.from_caller, self.from_called):
            each.close()

    def offer(self) -> None:
        """INVITE, as far as the called side."""
        self.caller.sendto(self.invite, (self.called_ip, 5060))
        assert self.called.recv(65_535) == self.invite

    def answer(self, status: int = 200) -> None:
        """200, or a 183, with an answer, as far as the caller."""
        second = (self.media[1],) if self.media else ()
        said = answer(self.invite, sdp(self.called_ip, f"audio {CALLED_MEDIA} RTP/AVP 0", *second), status)
        self.called.sendto(said, (self.caller_ip, 5060))
        assert self.caller.recv(65_535) == said

    def set_up(self) -> None:
        """A call that is answered."""
        self.offer()
        self.answer()

    def bye(self) -> None:
        """BYE and its 200."""
        bye = request("BYE", call_id=self.call_id, to_tag="psap", cseq=9)
        self.caller.sendto(bye, (self.called_ip, 5060))
        assert self.called.recv(65_535) == bye
        self.called.sendto(response(bye), (self.caller_ip, 5060))
        self.caller.recv(65_535)

    def renegotiate(self, cseq: int, direction: str) -> None:
        """A re-INVITE with its 200, from the caller."""
        other = {"sendonly": "recvonly"}.get(direction, direction)
        again = invite(
            sdp(self.caller_ip, f"audio {CALLER_MEDIA} RTP/AVP 0, a={direction}"),
            call_id=self.call_id,
            cseq=cseq,
            to_tag="psap",
        )
        self.caller.sendto(again, (self.called_ip, 5060))
        assert self.called.recv(65_535) == again
        said = answer(again, sdp(self.called_ip, f"audio {CALLED_MEDIA} RTP/AVP 0, a={other}"))
        self.called.sendto(said, (self.caller_ip, 5060))
        assert self.caller.recv(65_535) == said

    def to_called(self, first: int, count: int) -> int:
        """Send so many packets to the called side; return how many it gets."""
        return passed(self.from_caller, self.from_called, (self.called_ip, CALLED_MEDIA), first, count)

    def until_closed(self, first: int) -> int:
        """Send packets to the called side until one does not arrive; return how many did."""
        give_up_at = time.monotonic() + 3
        arrived = 0
        while self.to_called(first + arrived, 1):
            assert time.monotonic() < give_up_at, "the pinholes stay open"
            arrived += 1
            time.sleep(0.02)
        return arrived

    def to_caller(self, first: int, count: int) -> int:
        """Send so many packets to the caller; return how many it gets."""
        return passed(self.from_called, self.from_caller, (self.caller_ip, CALLER_MEDIA), first, count)


def states(log: Path, state: str) -> list[dict[str, Any]]:
    return [each for each in records(log, "rtp_decision") if each["state"] == state]
