"""Parse, classify, track: what is known of a datagram before the rules look, and what is remembered afterwards."""

from firewall.engine.attempt import begins_call
from firewall.engine.call import NOWHERE, SECOND_NS, Call, Place
from firewall.engine.call_table import CallTable
from firewall.engine.caller import Caller, caller_identities
from firewall.engine.decide import Decision, Reading
from firewall.engine.record import SipDecision
from firewall.engine.related import RelatedCalls
from firewall.errors import SipSyntaxError
from firewall.net.datagram import Datagram, Transport
from firewall.ruleset.emergency import recognise_bytes, recogniser
from firewall.ruleset.facts import EmergencyMark, Facts
from firewall.ruleset.policy import Policy
from firewall.ruleset.zones import zone_finder
from firewall.sip.message import Message, Request, parse_message

TAKEOVER_NS = 3600 * SECOND_NS
"""How long after a start that follows an earlier run unknown in-dialog messages are let through."""

_SAME_CALL = "same call: "
_KEEP_ALIVE_BYTES = b"\r\n\0 "


class Observer:
    """What the engine knows of the world: the calls, the recent emergency callers, the zones."""

    def __init__(self, policy: Policy) -> None:
        self.calls = CallTable()
        self.takeover_until_ns = 0
        self.log_failing = False
        self.related = RelatedCalls()
        self.adopt(policy)

    def adopt(self, policy: Policy) -> None:
        """Read from now on as this policy says; what is known of calls stays."""
        self._definition = policy.emergency
        self._recognise = recogniser(policy.emergency)
        self._zone = zone_finder(policy.zones)

    def read(self, datagram: Datagram, now_ns: int) -> Reading:
        """Read a datagram; nothing is remembered of it."""
        zone_src = self._zone((datagram.src_ip, datagram.in_iface))
        zone_dst = self._zone((datagram.dst_ip, None))
        try:
            message = parse_message(datagram.payload, over_stream=datagram.transport == "TCP")
        except SipSyntaxError as error:
            # A keep-alive (RFC 5626 §3.5.1) is no message, and not malformed either.
            malformed = error.reason if datagram.payload.strip(_KEEP_ALIVE_BYTES) else None
            mark = recognise_bytes(datagram.payload, self._definition)
            facts = Facts(datagram, None, malformed, zone_src, zone_dst, mark)
            return Reading(facts, log_failing=self.log_failing)
        call = self.calls.get(message.call_id)
        place = call.place_of(message) if call is not None else NOWHERE
        mark = self._mark(datagram, message, call, now_ns)
        facts = Facts(datagram, message, None, zone_src, zone_dst, mark, place.state)
        is_untracked = call is None and self.calls.is_full
        return Reading(facts, call, place, is_untracked, now_ns < self.takeover_until_ns, self.log_failing)

    def call_for(self, reading: Reading, now_ns: int) -> Call | None:
        """Return the call a message belongs to, making its entry; None when it has no Call-ID or there is no place."""
        call, facts = reading.call, reading.facts
        if facts.message is None or facts.message.call_id is None:
            return None
        if call is None:
            call = self.calls.add(facts.message.call_id, now_ns, must=facts.emergency is not None)
        if call is not None and call.emergency is None and facts.emergency is not None:
            self.calls.mark_emergency(call, _carried(facts.emergency))
        return call

    def remember_caller(self, call: Call | None, facts: Facts, now_ns: int) -> None:
        """Remember who made an emergency call, with each message of it anew, so that a callback is known as one.

        Another one's call with the same Call-ID, forged perhaps, takes not its caller's place for the messages to come.
        """
        mark, message = facts.emergency, facts.message
        if mark is None or mark.emergency_class == "callback" or message is None:
            return
        caller = call.caller if call is not None else None
        if isinstance(message, Request) and begins_call(message):
            caller = Caller(caller_identities(message), facts.datagram.src_ip)
            if call is not None and caller.replaces(call.caller, message.from_tag, call.tags):
                call.caller = caller
            self.related.expect_location(message, mark, message.call_id or "", now_ns)
        if caller is not None:
            self.related.expect_callback(caller, message.call_id or "", now_ns)

    def forwarded(self, call: Call, reading: Reading, decision: Decision, now_ns: int) -> None:
        """Remember that a message of a call was let through."""
        message = reading.facts.message
        if message is None:
            return
        if decision.reason == "takeover":
            call.pick_up(message)
        mark = call.emergency
        if mark is not None and call.tags and not call.belongs(message):
            mark = None  # of somebody who knows the Call-ID
        self.calls.forwarded(call, message, now_ns)
        if mark is None:
            return
        if not isinstance(message, Request):
            if message.status_code // 100 == 3 and message.cseq_method == "INVITE":
                self.related.expect_redirected(message, mark, call.call_id, now_ns)
        elif message.method == "REFER":
            self.related.expect_transfer(message.header("refer-to") or "", mark, call.call_id, now_ns)

    def read_again(self, record: SipDecision, message: Message) -> Reading:
        """Read a message that an earlier run decided on, as its log has it."""
        transport: Transport = "TCP" if record.proto == "TCP" else "UDP"
        ends = record.src_ip, record.src_port, record.dest_ip, record.dest_port
        datagram = Datagram(*ends, b"", transport, record.in_iface)
        facts = Facts(datagram, message, emergency=record.emergency)
        is_repeated = record.dialog is not None and record.dialog.retransmission
        return Reading(facts, self.calls.get(message.call_id), Place(is_repeated=is_repeated))

    def rejected(self, call: Call | None, facts: Facts, now_ns: int) -> None:
        """Remember an INVITE that the firewall rejects itself, to know the ACK that will come for it."""
        request = facts.message
        if not isinstance(request, Request) or request.method != "INVITE":
            return
        if call is None and request.call_id is not None:
            call = self.calls.add(request.call_id, now_ns, must=False)
        if call is not None:
            call.rejected(request)

    def _mark(self, datagram: Datagram, message: Message, call: Call | None, now_ns: int) -> EmergencyMark | None:
        if call is not None and call.emergency is not None and call.belongs(message):
            return call.emergency
        mark = self._recognise(message)
        if mark is None and message.to_tag is None and isinstance(message, Request):
            return self.related.mark_of(message, datagram, self.calls, now_ns)
        return mark


def _carried(mark: EmergencyMark) -> EmergencyMark:
    """Return the mark that later messages of the same call get: the evidence is the first message's."""
    return EmergencyMark(
        mark.emergency_class,
        mark.service,
        tuple(f"{_SAME_CALL}{phrase.removeprefix(_SAME_CALL)}" for phrase in mark.evidence),
    )
