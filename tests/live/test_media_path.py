"""Media of real calls through the daemon, packet by packet: what is negotiated passes, nothing else, and each drop has
its reason in the log."""

import socket
import time
from pathlib import Path
from typing import Any

import pytest

from tests.live.conftest import Namespaces
from tests.live.firewall_process import FirewallProcess, policy_text, records, wait_until
from tests.live.peer import udp_socket
from tests.live.sipp import CARRIER, CARRIER_V6, PSAP, PSAP_V6
from tests.media import answer, invite, rtp, sdp
from tests.messages import request, response

pytestmark = pytest.mark.netns

CALLER_MEDIA, CALLED_MEDIA = 49170, 40000
STRANGER = "203.0.113.66"


def host(ip: str) -> str:
    return f"[{ip}]" if ":" in ip else ip


class Call:
    """Both ends of one call: their signalling and their media sockets."""

    def __init__(self, testbed: Namespaces, caller: str = CARRIER, called: str = PSAP) -> None:
        self.caller_ip, self.called_ip = caller, called
        self.caller, self.called = udp_socket(testbed.carrier, caller), udp_socket(testbed.psap, called)
        self.from_caller = udp_socket(testbed.carrier, caller, CALLER_MEDIA)
        self.from_called = udp_socket(testbed.psap, called, CALLED_MEDIA)
        offer = sdp(caller, f"audio {CALLER_MEDIA} RTP/AVP 0")
        self.invite = invite(offer, uri=f"sip:911@{host(called)}", call_id=f"media-{time.monotonic_ns()}@{caller}")

    def __enter__(self) -> "Call":
        return self

    def __exit__(self, *_: object) -> None:
        for each in (self.caller, self.called, self.from_caller, self.from_called):
            each.close()

    def offer(self) -> None:
        """INVITE, as far as the called side."""
        self.caller.sendto(self.invite, (self.called_ip, 5060))
        assert self.called.recv(65_535) == self.invite

    def answer(self) -> None:
        """200 with an answer, as far as the caller."""
        said = answer(self.invite, sdp(self.called_ip, f"audio {CALLED_MEDIA} RTP/AVP 0"))
        self.called.sendto(said, (self.caller_ip, 5060))
        assert self.caller.recv(65_535) == said

    def set_up(self) -> None:
        """A call that is answered."""
        self.offer()
        self.answer()

    def bye(self) -> None:
        """BYE and its 200."""
        call_id = next(line[9:] for line in self.invite.decode().split("\r\n") if line.startswith("Call-ID"))
        bye = request("BYE", call_id=call_id, to_tag="psap", cseq=2)
        self.caller.sendto(bye, (self.called_ip, 5060))
        assert self.called.recv(65_535) == bye
        self.called.sendto(response(bye), (self.caller_ip, 5060))
        self.caller.recv(65_535)

    def to_called(self, first: int, count: int) -> int:
        """Send so many packets to the called side; return how many it gets."""
        return passed(self.from_caller, self.from_called, (self.called_ip, CALLED_MEDIA), first, count)

    def to_caller(self, first: int, count: int) -> int:
        """Send so many packets to the caller; return how many it gets."""
        return passed(self.from_called, self.from_caller, (self.caller_ip, CALLER_MEDIA), first, count)


def passed(sender: socket.socket, receiver: socket.socket, to: tuple[str, int], first: int, count: int) -> int:
    """Send RTP; return how many packets arrive unchanged (what the testbed forwards is there at once)."""
    packets = [rtp(first + number) for number in range(count)]
    for packet in packets:
        sender.sendto(packet, to)
    receiver.settimeout(0.2)
    received = []
    try:
        while len(received) < count:
            received.append(receiver.recv(2048))
    except TimeoutError:
        pass
    assert received == packets[: len(received)]
    return len(received)


def states(log: Path, state: str) -> list[dict[str, Any]]:
    return [each for each in records(log, "rtp_decision") if each["state"] == state]


@pytest.mark.parametrize(("caller", "called"), [(CARRIER, PSAP), (CARRIER_V6, PSAP_V6)])
def test_media_passes_in_both_directions_from_the_answer_on_until_the_bye(
    testbed: Namespaces, tmp_path: Path, caller: str, called: str
) -> None:
    policy, log = tmp_path / "p.yaml", tmp_path / "decisions.jsonl"
    policy.write_text(policy_text())
    with FirewallProcess(testbed.fw, policy, "--log", str(log)) as firewall, Call(testbed, caller, called) as call:
        assert call.to_called(0, 5) == 0
        call.offer()
        assert call.to_called(10, 5) == 0
        assert call.to_caller(20, 5) == 5  # early media (RFC 3264 §5.1)
        call.answer()
        assert call.to_called(30, 50) == 50
        assert call.to_caller(100, 50) == 50
        call.bye()
        wait_until(lambda: call.to_called(200, 1) == 0, "the pinholes are closed", 3)
        assert call.to_called(210, 5) == 0
        assert call.to_caller(220, 5) == 0
        firewall.stop()
    ends = {(each["src_ip"], each["dest_port"], each["rtp"]["closed"]) for each in states(log, "closed")}
    assert ends >= {(caller, CALLED_MEDIA, "bye"), (called, CALLER_MEDIA, "bye")}
    reasons = [(each["src_ip"], each["decision"]["reason"]) for each in states(log, "refused")]
    assert reasons[0] == (caller, "media_not_negotiated")
    assert (called, "media_closed") in reasons
