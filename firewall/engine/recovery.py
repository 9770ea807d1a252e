"""Calls in progress, read back from the decision log after a restart.

The log has every message that passed, so the dialogs, tags and emergency marks of the calls of an earlier run can be
known again. What was set up while no daemon ran is in no log; for that there is the reason ``takeover``.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from firewall.engine.dialog import DialogId, Trigger, next_state, response_trigger
from firewall.engine.related import identity_of
from firewall.engine.timestamp import instant
from firewall.ruleset.facts import DialogState, EmergencyMark
from firewall.sip.name_addr import parse_name_addr
from firewall.sip.uri import parse_uri


class _Decision(msgspec.Struct):
    verdict: str
    enforced: bool


class _Sip(msgspec.Struct):
    method: str | None = None
    code: str | None = None
    cseq: str | None = None
    from_: str | None = msgspec.field(name="from", default=None)


class _Dialog(msgspec.Struct):
    call_id: str
    from_tag: str | None
    to_tag: str | None


class _Line(msgspec.Struct):
    """The part of a ``sip_decision`` record that matters here; other records have no ``decision``."""

    event_type: str
    timestamp: str = ""
    src_ip: str = ""
    decision: _Decision | None = None
    sip: _Sip | None = None
    dialog: _Dialog | None = None
    emergency: EmergencyMark | None = None


@dataclass(slots=True)
class RecoveredCall:
    """One call of an earlier run: what its log says of it. ``caller`` is set for who may be called back."""

    call_id: str
    began_ns: int
    last_ns: int
    emergency: EmergencyMark | None = None
    tags: set[str] = field(default_factory=set)
    dialogs: dict[DialogId, DialogState] = field(default_factory=dict)
    caller_ip: str = ""
    caller: str | None = None


_decoder = msgspec.json.Decoder(_Line)


def recovered_calls(lines: Iterable[bytes]) -> list[RecoveredCall]:
    """Return the calls that a log's lines tell of, oldest first; a line that is no record is left out.

    Lines before the last start of a firewall count too: a call may have outlived several runs.
    """
    calls: dict[str, RecoveredCall] = {}
    for raw in lines:
        try:
            line = _decoder.decode(raw)
            at_ns = instant(line.timestamp)
        except (msgspec.DecodeError, ValueError, RecursionError):
            continue
        if line.event_type == "sip_decision" and line.dialog is not None and _passed(line):
            call = calls.setdefault(line.dialog.call_id, RecoveredCall(line.dialog.call_id, at_ns, at_ns))
            call.last_ns = at_ns
            _note(call, line, line.dialog)
    return list(calls.values())


def _passed(line: _Line) -> bool:
    return line.decision is not None and (line.decision.verdict == "allow" or not line.decision.enforced)


def _note(call: RecoveredCall, line: _Line, dialog: _Dialog) -> None:
    sip = line.sip or _Sip()
    if line.emergency is not None and call.emergency is None:
        call.emergency = line.emergency
        call.caller_ip = line.src_ip
        if sip.method is not None and line.emergency.emergency_class != "callback":
            call.caller = identity_of(parse_uri(parse_name_addr(sip.from_ or "").uri))
    tags = [tag for tag in (dialog.from_tag, dialog.to_tag) if tag is not None]
    if not call.tags:
        call.tags.update(tags)
    if len(tags) < 2:
        return
    identifier: DialogId = (min(tags), max(tags))
    cseq_method = (sip.cseq or "").rpartition(" ")[2]
    trigger: Trigger | None = "end" if sip.method == "BYE" else None
    if sip.method is None:
        trigger = response_trigger(cseq_method, int(sip.code or "100"))
    state = next_state(call.dialogs.get(identifier, "none"), trigger)
    if state != "none":
        call.dialogs[identifier] = state
        call.tags.update(tags)
