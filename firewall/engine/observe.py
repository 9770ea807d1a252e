"""Parse, classify, track: what is known of a datagram before the rules look, and what is remembered afterwards."""

import msgspec

from firewall.engine.call import SECOND_NS, Call, CallTable
from firewall.engine.callback import RecentCallers, is_callback_request
from firewall.engine.decide import Decision, Standing
from firewall.errors import SipSyntaxError
from firewall.net.datagram import Datagram
from firewall.ruleset.emergency import recognise_bytes, recogniser
from firewall.ruleset.facts import EmergencyMark, Facts
from firewall.ruleset.policy import Policy
from firewall.ruleset.zones import zone_finder
from firewall.sip.message import Message, Request, parse_message

TAKEOVER_NS = 3600 * SECOND_NS
"""How long after a start that follows an earlier run unknown in-dialog messages are let through."""

_KEEP_ALIVE_BYTES = b"\r\n\0 "


class Reading(msgspec.Struct, frozen=True):
    """One datagram as read: the facts for the rules, the call it belongs to if known, and how both stand."""

    facts: Facts
    call: Call | None
    standing: Standing


class Observer:
    """What the engine knows of the world: the calls, the recent emergency callers, the zones."""

    def __init__(self, policy: Policy) -> None:
        self.calls = CallTable()
        self.takeover_until_ns = 0
        self.log_failing = False
        self._recent_callers = RecentCallers()
        self.adopt(policy)

    def adopt(self, policy: Policy) -> None:
        """Read from now on as this policy says; what is known of calls stays."""
        self._recognise = recogniser(policy.emergency)
        self._zone = zone_finder(policy.zones)

    def read(self, datagram: Datagram, now_ns: int) -> Reading:
        """Read a datagram; nothing is remembered of it."""
        message, malformed = _parse(datagram.payload)
        call = self.calls.get(message.call_id) if message is not None else None
        facts = Facts(
            datagram,
            message,
            malformed,
            self._zone(datagram.src_ip, datagram.in_iface),
            self._zone(datagram.dst_ip, None),
            self._mark(datagram, message, call, now_ns),
            call.state_for(message) if call is not None and message is not None else "none",
        )
        return Reading(facts, call, self._standing(message, call, now_ns))

    def call_for(self, reading: Reading, now_ns: int) -> Call | None:
        """Return the call a message belongs to, making its entry; None when it has no Call-ID or there is no place."""
        call, facts = reading.call, reading.facts
        if facts.message is None or facts.message.call_id is None:
            return None
        if call is None:
            call = self.calls.add(facts.message.call_id, now_ns, must=facts.emergency is not None)
        if call is not None and call.emergency is None and facts.emergency is not None:
            call.emergency = _carried(facts.emergency)
        return call

    def remember_caller(self, facts: Facts, now_ns: int) -> None:
        """Remember who made an emergency call, so that a callback is known as one."""
        mark, request = facts.emergency, facts.message
        if mark is None or mark.emergency_class == "callback" or not isinstance(request, Request):
            return
        if is_callback_request(request):
            self._recent_callers.add(request, facts.datagram, request.call_id or "", now_ns)

    def forwarded(self, call: Call, reading: Reading, decision: Decision, now_ns: int) -> None:
        """Remember that a message of a call was let through."""
        message = reading.facts.message
        if message is None:
            return
        if decision.reason == "takeover":
            call.pick_up(message)
        self.calls.forwarded(call, message, now_ns)

    def rejected(self, call: Call | None, request: Request, now_ns: int) -> None:
        """Remember an INVITE that the firewall rejects itself, to know the ACK that will come for it."""
        if call is None and request.call_id is not None:
            call = self.calls.add(request.call_id, now_ns, must=False)
        if call is not None:
            call.note_request(request, "rejected")

    def _mark(
        self, datagram: Datagram, message: Message | None, call: Call | None, now_ns: int
    ) -> EmergencyMark | None:
        if message is None:
            return recognise_bytes(datagram.payload)
        if call is not None and call.emergency is not None and call.belongs(message):
            return call.emergency
        mark = self._recognise(message)
        if mark is None and isinstance(message, Request) and is_callback_request(message):
            return self._recent_callers.callback_mark(message, datagram, now_ns)
        return mark

    def _standing(self, message: Message | None, call: Call | None, now_ns: int) -> Standing:
        if message is None:
            return Standing(log_failing=self.log_failing)
        follows = call.follows(message) if call is not None else None
        return Standing(
            follows=follows,
            stray=follows is None and (not isinstance(message, Request) or message.to_tag is not None),
            untracked=call is None and self.calls.is_full,
            takeover=now_ns < self.takeover_until_ns,
            log_failing=self.log_failing,
        )


def _parse(payload: bytes) -> tuple[Message | None, str | None]:
    """Return the message, or the reason why there is none; neither for a keep-alive (RFC 5626 §3.5.1)."""
    try:
        return parse_message(payload), None
    except SipSyntaxError as error:
        return None, error.reason if payload.strip(_KEEP_ALIVE_BYTES) else None


def _carried(mark: EmergencyMark) -> EmergencyMark:
    """Return the mark that later messages of the same call get: the evidence is the first message's."""
    return EmergencyMark(mark.emergency_class, mark.service, tuple(f"same call: {phrase}" for phrase in mark.evidence))
