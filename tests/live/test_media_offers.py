"""Offers and answers in every message that may carry them, through the daemon: who is heard in the kernel, and when."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from firewall.live.control import ask
from tests.live.conftest import Namespaces
from tests.live.firewall_process import FirewallProcess, policy_text, records, wait_until
from tests.live.peer import passed, udp_socket
from tests.live.sipp import CARRIER, PSAP
from tests.media import HEADERS, answer, invite, sdp
from tests.messages import request, response

pytestmark = pytest.mark.netns

Port = tuple[str, int]
CALLER, MOVED = (CARRIER, 49170), (CARRIER, 49190)
CALLED, FORK = (PSAP, 40000), (PSAP, 42000)
URI = f"sip:911@{PSAP}"
OFFER, ANSWER = (sdp(ip, f"audio {port} RTP/AVP 0") for ip, port in (CALLER, CALLED))


class Parties:
    """The signalling and the media sockets of both sides, and a log of the firewall between them."""

    def __init__(self, testbed: Namespaces, log: Path, control: Path, closing: ExitStack) -> None:
        self.log, self.control = log, control
        self._testbed, self._closing = testbed, closing
        self._sockets: dict[Port, socket.socket] = {}
        self.sequence = 0

    def socket(self, at: Port) -> socket.socket:
        if at not in self._sockets:
            namespace = self._testbed.psap if at[0] == PSAP else self._testbed.carrier
            self._sockets[at] = self._closing.enter_context(udp_socket(namespace, *at))
        return self._sockets[at]

    def calls(self, message: bytes) -> bytes:
        """A message of the caller, as far as the called side."""
        return self._sent((CARRIER, 5060), (PSAP, 5060), message)

    def answers(self, message: bytes) -> bytes:
        """A message of the called side, as far as the caller."""
        return self._sent((PSAP, 5060), (CARRIER, 5060), message)

    def _sent(self, src: Port, dst: Port, message: bytes) -> bytes:
        receiver = self.socket(dst)
        self.socket(src).sendto(message, dst)
        assert receiver.recv(65_535) == message
        return message

    def hears(self, dst: Port, src: Port, count: int = 5) -> int:
        """How many of some packets arrive."""
        first, self.sequence = self.sequence, self.sequence + count
        return passed(self.socket(src), self.socket(dst), dst, first, count)

    def talk(self, caller: Port = CALLER, called: Port = CALLED) -> tuple[int, int]:
        """How many of five packets arrive at the called side, and at the caller."""
        return self.hears(called, caller), self.hears(caller, called)

    def refused(self) -> list[dict[str, Any]]:
        return [each for each in records(self.log, "rtp_decision") if each["state"] == "refused"]


@pytest.fixture
def parties(testbed: Namespaces, tmp_path: Path) -> Iterator[Parties]:
    policy, log, control = tmp_path / "p.yaml", tmp_path / "decisions.jsonl", tmp_path / "control"
    policy.write_text(policy_text(guard="enforce"))
    with (
        FirewallProcess(testbed.fw, policy, "--log", str(log), "--control", str(control)),
        ExitStack() as closing,
    ):
        yield Parties(testbed, log, control, closing)


HEARD = (5, 5)


def test_two_forks_are_heard_while_they_ring_and_each_that_answers_after_it(parties: Parties) -> None:
    other = sdp(PSAP, f"audio {FORK[1]} RTP/AVP 0")
    first = parties.calls(invite(OFFER, uri=URI))
    parties.answers(answer(first, ANSWER, status=183, to_tag="one"))
    parties.answers(answer(first, other, status=183, to_tag="two"))
    assert (parties.talk(), parties.talk(called=FORK)) == (HEARD, HEARD)
    parties.answers(answer(first, ANSWER, to_tag="one"))
    parties.answers(answer(first, other, to_tag="two"))
    for tag in ("one", "two"):
        parties.calls(request("ACK", URI, to_tag=tag))
    assert (parties.talk(), parties.talk(called=FORK)) == (HEARD, HEARD)
    bye = parties.calls(request("BYE", URI, to_tag="two", cseq=2))
    parties.answers(response(bye))
    wait_until(lambda: parties.hears(FORK, CALLER, 1) == 0, "the fork that was hung up is closed")
    assert parties.talk() == HEARD


def test_a_late_offer_is_heard_from_the_ack_that_answers_it(parties: Parties) -> None:
    first = parties.calls(invite("", uri=URI))
    parties.answers(answer(first, ANSWER))
    assert parties.hears(CALLED, CALLER) == 5, "who offers is ready to receive"
    assert parties.hears(CALLER, CALLED) == 0
    parties.calls(request("ACK", URI, to_tag="psap", headers=HEADERS, body=OFFER))
    assert parties.talk() == HEARD


def test_a_call_that_a_controller_moves_by_re_invites_without_an_offer_is_heard(parties: Parties) -> None:
    """RFC 3725 §7: the side that stays offers the same again, the ACK brings the new party's address."""
    first = parties.calls(invite(OFFER, uri=URI))
    parties.answers(answer(first, ANSWER))
    parties.calls(request("ACK", URI, to_tag="psap"))
    for cseq, party in ((2, CALLER), (3, MOVED)):
        parties.answers(answer(parties.calls(invite("", uri=URI, to_tag="psap", cseq=cseq)), ANSWER))
        said = sdp(CARRIER, f"audio {party[1]} RTP/AVP 0")
        parties.calls(request("ACK", URI, to_tag="psap", cseq=cseq, headers=HEADERS, body=said))
        assert parties.talk(caller=party) == HEARD


def test_offers_in_reliable_responses_prack_and_update_are_heard(parties: Parties) -> None:
    """RFC 3262 §5, RFC 3311 §5: the call is heard before it is answered, wherever it moves."""
    first = parties.calls(invite("", uri=URI))
    parties.answers(answer(first, ANSWER, status=183, headers=("Require: 100rel", "RSeq: 1")))
    rack = ("RAck: 1 1 INVITE", *HEADERS)
    prack = parties.calls(request("PRACK", URI, to_tag="psap", cseq=2, headers=rack, body=OFFER))
    parties.answers(response(prack))
    assert parties.talk() == HEARD
    moved = sdp(CARRIER, f"audio {MOVED[1]} RTP/AVP 0")
    update = parties.calls(request("UPDATE", URI, to_tag="psap", cseq=3, headers=HEADERS, body=moved))
    assert parties.hears(MOVED, CALLED) == 5, "the new port before the answer"
    assert parties.hears(CALLER, CALLED) == 5, "the old one until it"
    parties.answers(answer(update, ANSWER))
    assert parties.talk(caller=MOVED) == HEARD
    parties.answers(response(first))
    parties.calls(request("ACK", URI, to_tag="psap"))
    assert parties.talk(caller=MOVED) == HEARD
    wait_until(lambda: parties.hears(CALLER, CALLED, 1) == 0, "the port that was left is closed after the grace time")
    assert not [each for each in records(parties.log, "alarm") if each["alarm"]["code"] == "emergency_media_lost"]


def test_who_moves_by_a_re_invite_is_heard_before_the_200_and_after_the_bye_nothing_is(parties: Parties) -> None:
    first = parties.calls(invite(OFFER, uri=URI))
    parties.answers(answer(first, ANSWER))
    parties.calls(request("ACK", URI, to_tag="psap"))
    assert parties.talk() == HEARD
    moved = sdp(CARRIER, f"audio {MOVED[1]} RTP/AVP 0")
    again = parties.calls(invite(moved, uri=URI, to_tag="psap", cseq=2))
    assert parties.talk(caller=MOVED) == HEARD
    assert parties.talk() == HEARD
    parties.answers(answer(again, ANSWER))
    assert parties.hears(CALLER, CALLED) == 5, "packets that are on their way"
    assert parties.talk(caller=MOVED) == HEARD
    bye = parties.calls(request("BYE", URI, to_tag="psap", cseq=3))
    parties.answers(response(bye))
    wait_until(lambda: ask(parties.control, "status")["media"]["open"] == 0, "every pinhole is closed")
    assert parties.talk(caller=MOVED) == (0, 0)


def test_after_a_transfer_the_new_party_is_heard_and_the_old_call_is_closed(parties: Parties) -> None:
    """REFER with Replaces (RFC 3515, 3891): the call-taker hands the caller over to a colleague."""
    first = parties.calls(invite(OFFER, uri=URI))
    parties.answers(answer(first, ANSWER))
    parties.calls(request("ACK", URI, to_tag="psap"))
    assert parties.talk() == HEARD
    number = "sip:6175550123@192.0.2.10"
    refer = request(
        "REFER", number, to=f"<{number}>;tag=caller", from_uri=URI, from_tag="psap", cseq=7, via_host=f"{PSAP}:5060",
        headers=(f"Refer-To: <sip:colleague@{PSAP}?Replaces=consult%3Bto-tag%3Da%3Bfrom-tag%3Db>",),
    )  # fmt: skip
    parties.answers(refer)
    parties.calls(response(refer, 202, to_tag=None))
    offer = sdp(CARRIER, f"audio {MOVED[1]} RTP/AVP 0")
    target = f"sip:colleague@{PSAP}"
    second = invite(offer, uri=target, call_id="second", from_tag="again")
    second = second.replace(b"Max-Forwards", b"Replaces: consult;to-tag=a;from-tag=b\r\nMax-Forwards")
    parties.calls(second)
    parties.answers(answer(second, sdp(PSAP, f"audio {FORK[1]} RTP/AVP 0"), to_tag="colleague"))
    parties.calls(request("ACK", target, call_id="second", from_tag="again", to_tag="colleague"))
    assert parties.talk(caller=MOVED, called=FORK) == HEARD
    parties.answers(response(parties.calls(request("BYE", URI, to_tag="psap", cseq=2))))
    wait_until(lambda: parties.hears(CALLED, CALLER, 1) == 0, "the call that was transferred is closed")
    assert parties.talk(caller=MOVED, called=FORK) == HEARD
    evidence = [
        each["emergency"]["evidence"][0]
        for each in records(parties.log, "sip_decision")
        if each["sip"]["call_id"] == "second"
    ]
    assert len(evidence) == 3
    assert all("refer_to of emergency call" in each for each in evidence)
    assert not [each for each in records(parties.log, "alarm") if each["alarm"]["code"].startswith("emergency_media")]
