"""Calls in progress, read back from the decision log after a restart.

The log has every message that passed, so the dialogs, tags and emergency marks of the calls of an earlier run can be
known again. What was set up while no daemon ran is in no log; for that there is the reason ``takeover``.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from firewall.engine.attempt import ATTEMPT_METHODS, LAST_TRY_NS, Attempt
from firewall.engine.call import UNANSWERED_NS
from firewall.engine.caller import Caller
from firewall.engine.dialog import Trigger, half_named_dialog, next_state, response_trigger
from firewall.engine.negotiation import Party
from firewall.engine.pinhole import Pinhole, PinholeKey
from firewall.engine.record import Attribution, HurtBy, MediaLoss, Outcome, StatusCode
from firewall.engine.timestamp import instant, timestamp
from firewall.engine.transaction import Transaction, furthest_awaited, says_nothing
from firewall.engine.way import Way
from firewall.net.datagram import Datagram, Transport
from firewall.ruleset.facts import DialogState, EmergencyMark
from firewall.sip.cseq import read_cseq
from firewall.sip.media_endpoint import Formats
from firewall.sip.message import NO_TAG, DialogId, TransactionId, transaction_name
from firewall.sip.sdp import Direction


class _Decision(msgspec.Struct):
    verdict: str
    enforced: bool


class _Sip(msgspec.Struct):
    method: str | None = None
    code: StatusCode | None = None
    cseq: str | None = None
    via_branch: str | None = None
    refer_to: str | None = None
    callers: tuple[str, ...] = ()

    @property
    def status(self) -> int:
        return int(self.code or "100")


class _Dialog(msgspec.Struct):
    call_id: str
    from_tag: str | None
    to_tag: str | None
    retransmission: bool = False


class _Rtp(msgspec.Struct):
    kind: str
    protocol: Literal["rtp", "rtcp", "msrp", "udp"]
    codecs: tuple[str, ...] = ()
    direction: Direction | None = None
    closed: str | None = None
    any_source: bool = False
    any_source_port: bool = False


class _Line(msgspec.Struct):
    """The part of a ``sip_decision``, ``rtp_decision`` or ``emergency_call`` record that matters here."""

    event_type: str
    timestamp: str = ""
    flow_id: int = 0
    in_iface: str | None = None
    src_ip: str = ""
    src_port: int = 0
    dest_ip: str = ""
    dest_port: int = 0
    proto: str = ""
    state: str = ""
    call_id: str | None = None
    zone_src: str | None = None
    zone_dst: str | None = None
    rtp: _Rtp | None = None
    decision: _Decision | None = None
    sip: _Sip | None = None
    dialog: _Dialog | None = None
    emergency: EmergencyMark | None = None
    outcome: Outcome | None = None
    problem: str | None = None
    attribution: Attribution | None = None
    hurt_by: HurtBy | None = None
    guarded: bool = False
    started: str = ""
    media_loss: tuple[MediaLoss, ...] = ()
    ended_s: float | None = None


@dataclass(slots=True)
class RecoveredCall:
    """One call of an earlier run: what its log says of it. ``caller`` is set for who may be called back, ``others`` for
    who called with the same Call-ID, and when, ``ways`` are the pinholes that it had open, ``invites`` its INVITE
    transactions (a CANCEL names one), ``refers`` whom it was to be transferred to and when, ``attempt`` is there for an
    emergency call that began in the log, or was to begin and was blocked, ``tried`` names the last try at one,
    ``log_end_ns`` is when the earlier run was last seen."""

    call_id: str
    began_ns: int
    last_ns: int
    emergency: EmergencyMark | None = None
    tags: dict[str, None] = field(default_factory=dict)
    dialogs: dict[DialogId, DialogState] = field(default_factory=dict)
    invites: dict[TransactionId, Transaction] = field(default_factory=dict)
    refers: list[tuple[str, int]] = field(default_factory=list)
    caller: Caller | None = None
    others: dict[Caller, int] = field(default_factory=dict)
    attempt: Attempt | None = None
    tried: TransactionId | None = None
    log_end_ns: int = 0
    ways: dict[PinholeKey, tuple[Pinhole, Way]] = field(default_factory=dict)


_ENDS: frozenset[Outcome | None] = frozenset({"completed", "abandoned", "failed_downstream"})
_decoder = msgspec.json.Decoder(_Line)


def recovered_calls(lines: Iterable[bytes]) -> list[RecoveredCall]:
    """Return the calls that a log's lines tell of, oldest first; a line that is no record is left out.

    Lines before the last start of a firewall count too: a call may have outlived several runs.
    """
    calls: dict[str, RecoveredCall] = {}
    at_ns = 0
    for raw in lines:
        try:
            line = _decoder.decode(raw)
            at_ns = instant(line.timestamp)
        except (msgspec.DecodeError, ValueError, RecursionError):
            continue
        if line.event_type == "sip_decision" and line.dialog is not None and (_passed(line) or _is_try(line)):
            call = calls.setdefault(line.dialog.call_id, RecoveredCall(line.dialog.call_id, at_ns, at_ns))
            call.last_ns = at_ns
            sip = line.sip or _Sip()
            if _is_try(line):
                call.tried = _transaction_id(sip, line.dialog)
            if sip.callers:
                caller = Caller(sip.callers, line.src_ip)
                if caller.replaces(call.caller, line.dialog.from_tag, call.tags):
                    call.caller = caller
                elif caller != call.caller:
                    call.others[caller] = at_ns
            if _passed(line):
                _note(call, line, line.dialog)
        elif line.event_type == "emergency_call" and line.call_id in calls:
            _note_ledger(calls[line.call_id], line)
        elif line.event_type == "rtp_decision" and line.rtp is not None and line.call_id in calls:
            _note_media(calls[line.call_id], line, line.rtp)
    for call in calls.values():
        call.log_end_ns = at_ns
    return list(calls.values())


def _is_try(line: _Line) -> bool:
    """Tell whether a message is to begin an emergency call, be it that it was blocked."""
    is_first = line.dialog is not None and line.dialog.to_tag is None
    return is_first and line.emergency is not None and line.sip is not None and line.sip.method in ATTEMPT_METHODS


def _passed(line: _Line) -> bool:
    return line.decision is not None and (line.decision.verdict == "allow" or not line.decision.enforced)


def _note_media(call: RecoveredCall, line: _Line, rtp: _Rtp) -> None:
    key = PinholeKey(
        "TCP" if line.proto == "TCP" else "UDP",
        line.zone_src if rtp.any_source else None,
        None if rtp.any_source else line.src_ip,
        None if rtp.any_source_port else line.src_port,
        line.dest_ip,
        line.dest_port,
    )
    if line.state == "opened":
        formats = Formats(frozenset(), rtp.codecs, ())
        source, target = Party(line.zone_src, line.src_ip), Party(line.zone_dst, line.dest_ip)
        way = Way(key, rtp.kind, rtp.protocol, 0, formats, rtp.direction or "sendrecv", source, target)
        verdict: Literal["allow", "drop"] = "allow" if _passed(line) else "drop"
        call.ways[key] = Pinhole(key, rtp.protocol, call.call_id, 0, verdict), way
    elif line.state == "closed" and rtp.closed != "stopped":
        call.ways.pop(key, None)


def _note(call: RecoveredCall, line: _Line, dialog: _Dialog) -> None:
    sip = line.sip or _Sip()
    if line.emergency is not None and call.emergency is None:
        call.emergency = line.emergency
    _, cseq_method = read_cseq(sip.cseq or "")
    transaction_id, invite = _transaction_id(sip, dialog), None
    if transaction_id is not None:
        invite = _note_invite(call, transaction_id, sip, is_within=dialog.to_tag is not None)
    is_answer_again = sip.method is None and dialog.retransmission  # of an earlier try, perhaps
    if not is_answer_again and not says_nothing(invite, sip.method):
        _note_attempt(call, line, sip, dialog, transaction_id)
    if sip.refer_to is not None and line.emergency is not None:  # else it is of somebody who knows the Call-ID
        call.refers.append((sip.refer_to, call.last_ns))
    if not call.tags:
        from_tag = dialog.from_tag or NO_TAG
        call.tags.update(dict.fromkeys((from_tag, dialog.to_tag or from_tag)))
    trigger: Trigger | None = "end" if sip.method == "BYE" else None
    if sip.method is None:
        trigger = response_trigger(cseq_method, sip.status)
    identifier = _dialog_named(call, dialog, is_answer=trigger == "success" and cseq_method == "INVITE")
    if identifier is None:
        return
    state = next_state(call.dialogs.get(identifier, "none"), trigger)
    if state != "none":
        call.dialogs[identifier] = state
        call.tags.update(dict.fromkeys(identifier))


def _dialog_named(call: RecoveredCall, dialog: _Dialog, *, is_answer: bool) -> DialogId | None:
    from_tag, to_tag = dialog.from_tag, dialog.to_tag
    if from_tag is None or to_tag is None:
        return half_named_dialog((from_tag, to_tag), call.tags, call.dialogs, is_answer=is_answer)
    return min(from_tag, to_tag), max(from_tag, to_tag)


def _note_invite(call: RecoveredCall, identifier: TransactionId, sip: _Sip, *, is_within: bool) -> Transaction | None:
    """Follow an INVITE, be it one within the call; return the one that a message belongs to, None where it is in no
    log."""
    if sip.method == "INVITE":
        return call.invites.setdefault(identifier, Transaction("INVITE", is_within=is_within))
    invite = call.invites.get(identifier)
    if invite is not None and sip.method is None:
        invite.answered(sip.status)
    return invite


def _note_attempt(call: RecoveredCall, line: _Line, sip: _Sip, dialog: _Dialog, tried: TransactionId | None) -> None:
    """Follow an emergency call as far as its log tells; it may have gone on since."""
    at_ns = instant(line.timestamp)
    attempt, mark, is_first = call.attempt, line.emergency, dialog.to_tag is None
    is_new_tag = dialog.from_tag is not None and dialog.from_tag not in call.tags
    if attempt is not None and _is_try(line) and dialog.retransmission and tried != attempt.tried:
        return  # a copy of an earlier try
    if attempt is None or (is_first and _is_over(attempt, line, sip, tried, is_new_tag=is_new_tag)):
        if mark is None or sip.method is None or not _is_try(line) or mark.emergency_class == "registration":
            return
        call.attempt = attempt = Attempt(_first(line), line.flow_id, mark, at_ns, sip.method)
    if sip.method is None:
        if attempt.is_earlier_text(tried):
            return
        asked = tried[1] if tried is not None else None
        attempt.response_passed(sip.status, asked, at_ns, others=furthest_awaited(call.invites.values()))
    else:
        if sip.method == attempt.method and is_first:
            attempt.latest = _first(line)
            attempt.expect_answer(tried, at_ns)
        is_up = "confirmed" in call.dialogs.values()
        attempt.request_passed(sip.method, at_ns, is_first=is_first, is_up=is_up)
    attempt.is_recovered = True
    attempt.is_acknowledged = True  # an ACK may have passed while no daemon ran


def _transaction_id(sip: _Sip, dialog: _Dialog) -> TransactionId | None:
    """Return the name of the transaction that a message belongs to, None where its CSeq tells none."""
    number, method = read_cseq(sip.cseq or "")
    if number is None or method is None:
        return None
    asked = "INVITE" if sip.method in ("ACK", "CANCEL") else method
    return number, asked, transaction_name(sip.via_branch, dialog.from_tag)


def _is_over(attempt: Attempt, line: _Line, sip: _Sip, tried: TransactionId | None, *, is_new_tag: bool) -> bool:
    """Tell whether a request begins another attempt than this one, as ``Ledger.seen`` does."""
    if attempt.never_began and attempt.method != "MESSAGE":
        is_late = instant(line.timestamp) - attempt.began_ns > UNANSWERED_NS
        return is_late or line.src_ip != attempt.first.src_ip
    return sip.method == attempt.method and attempt.ends_before(tried, is_new_tag=is_new_tag)


def _first(line: _Line) -> Datagram:
    transport: Transport = "TCP" if line.proto == "TCP" else "UDP"
    return Datagram(line.src_ip, line.src_port, line.dest_ip, line.dest_port, b"", transport, line.in_iface)


def _blocked_attempt(line: _Line, tried: TransactionId | None) -> Attempt | None:
    """Return an attempt of which nothing has passed yet, as the ledger tells it."""
    method = line.hurt_by.message.partition(" ")[0] if line.hurt_by is not None else ""
    if line.outcome != "blocked" or line.emergency is None or method not in ATTEMPT_METHODS:
        return None
    return Attempt(_first(line), line.flow_id, line.emergency, instant(line.timestamp), method, tried=tried)


def _note_ledger(call: RecoveredCall, line: _Line) -> None:
    attempt = call.attempt
    if attempt is None or (not attempt.is_open and line.started > timestamp(attempt.began_ns)):
        attempt = call.attempt = _blocked_attempt(line, call.tried) or attempt
        call.emergency = call.emergency or (attempt.mark if attempt is not None else None)
    if attempt is None or line.src_ip != attempt.first.src_ip:  # none, or that of another one's call
        return
    attempt.guarded, attempt.media_loss = line.guarded, line.media_loss
    if line.outcome in ("blocked", "impaired"):  # of one that failed downstream it is not about a message of its own
        attempt.hurt_by = line.hurt_by
        attempt.attribution = line.attribution if attempt.is_hurt else None
    attempt.initial_blocked = line.problem == "InitialTrafficBlocked"
    if line.outcome == "blocked":
        attempt.tried = call.tried or attempt.tried
        attempt.try_blocked(others=furthest_awaited(call.invites.values()))
    attempt.media_blocked = line.problem == "MediaLoss" and line.hurt_by is not None
    is_tried_out = attempt.method == "MESSAGE" and instant(line.timestamp) - attempt.tried_ns >= LAST_TRY_NS
    has_ended = line.outcome in _ENDS or (line.outcome == "impaired" and (line.ended_s is not None or is_tried_out))
    attempt.outcome = line.outcome if has_ended else None
    attempt.answer_due_ns = None if has_ended else attempt.answer_due_ns
    attempt.ended_ns = instant(line.timestamp) if has_ended and line.ended_s is not None else None
    attempt.is_overdue = line.outcome == "failed_downstream" and attempt.final_status is None
