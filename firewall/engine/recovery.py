"""An earlier run, gone through again as its decision log tells it: its calls go on after a restart.

The log has every message that passed or was to pass, so that an engine which is told of them knows the dialogs, tags,
emergency marks and attempts of the calls. What was set up while no daemon ran is in no log; for that there is the
reason ``takeover``.
"""

from collections.abc import Iterable

import msgspec

from firewall.engine.call import SECOND_NS
from firewall.engine.engine import Engine
from firewall.engine.events import FlowsRecovered, Recalled
from firewall.engine.negotiation import Party
from firewall.engine.pinhole import MediaVerdict, Pinhole, PinholeKey
from firewall.engine.record import (
    Alarm,
    DecisionFields,
    DialogFields,
    EmergencyCall,
    Record,
    RtpDecision,
    SipDecision,
    SipFields,
)
from firewall.engine.timestamp import instant
from firewall.engine.way import Way
from firewall.errors import SipSyntaxError
from firewall.sip.media_endpoint import Formats
from firewall.sip.message import Message, parse_message

_NOTHING = msgspec.Raw(b"null")
_SILENCE_NS = 3600 * SECOND_NS
"""For so long no run with calls writes nothing: its clock was set forward meanwhile."""


class _Asked(msgspec.Struct):
    cseq: str | None = None
    code: str | None = None


class _Glance(msgspec.Struct):
    """As much of the record of a message as tells which calls are over."""

    decision: DecisionFields
    dialog: DialogFields
    sip: _Asked
    emergency: msgspec.Raw = _NOTHING


_glances = msgspec.json.Decoder(_Glance)
_records: msgspec.json.Decoder[Record] = msgspec.json.Decoder(Record)


def recall(engine: Engine, lines: Iterable[bytes]) -> FlowsRecovered:
    """Tell an engine, before it starts, of what a log's lines have; return the pinholes that were open at their end.

    The lines are gone through twice: calls that are over need not be known again, and are most of a log. A line that is
    no record is left out. Lines before the last start of a firewall count too: a call may have outlived several runs.
    """
    over = _calls_over(lines)
    flows: dict[PinholeKey, tuple[Pinhole, Way]] = {}
    latest_ns: int | None = None
    for line in lines:
        try:
            record = _records.decode(line)
            at_ns = instant(record.timestamp)
        except (msgspec.DecodeError, ValueError, RecursionError):
            continue
        event = Recalled(record, None)
        if latest_ns is not None and isinstance(record, Alarm | EmergencyCall):
            at_ns = max(at_ns, latest_ns)  # what a start says of before a kill does not set the clock back
        if latest_ns is not None and at_ns - latest_ns > _SILENCE_NS and not event.is_start:
            engine.clock_was_set(at_ns - latest_ns)
        latest_ns = at_ns
        if isinstance(record, SipDecision) and record.sip is not None:
            if record.dialog is None or record.dialog.call_id in over:
                continue
            event = Recalled(record, _message(record.sip))
        elif isinstance(record, RtpDecision):
            _note_flow(flows, record)
        engine.handle(event, at_ns)
    return FlowsRecovered(tuple(flows.values()))


def _calls_over(lines: Iterable[bytes]) -> set[str]:
    """Return the ordinary calls that nothing is expected of, as each dialog of theirs was hung up."""
    answered: dict[str, set[str | None]] = {}
    hung_up: set[str] = set()
    emergencies: set[str] = set()
    for raw in lines:
        try:
            line = _glances.decode(raw)
        except (msgspec.DecodeError, RecursionError):
            continue
        call_id, asked = line.dialog.call_id, (line.sip.cseq or "").rpartition(" ")[2]
        if line.emergency != _NOTHING:
            emergencies.add(call_id)
        elif line.sip.code is None and asked == "INVITE":
            hung_up.discard(call_id)  # some phones call again with the same Call-ID
        elif not (line.sip.code or "").startswith("2") or not line.decision.passes:
            continue
        elif asked == "BYE":
            hung_up.add(call_id)
            answered.get(call_id, set()).difference_update((line.dialog.from_tag, line.dialog.to_tag))
        elif asked == "INVITE":
            answered.setdefault(call_id, set()).add(line.dialog.to_tag)
    return {call_id for call_id in hung_up - emergencies if not answered.get(call_id)}


def _message(sip: SipFields) -> Message | None:
    """Return a message with what the log has of it; None where that is too little."""
    asserted = [f"P-Asserted-Identity: <{'tel' if each.isdigit() else 'sip'}:{each}>" for each in sip.callers]
    headers = {
        "Via": f"SIP/2.0/UDP log;branch={sip.via_branch}" if sip.via_branch else None,
        "From": sip.from_,
        "To": sip.to,
        "Call-ID": sip.call_id,
        "CSeq": sip.cseq,
        "Refer-To": sip.refer_to,
        "Contact": sip.contact,
        "Geolocation": sip.geolocation,
    }
    lines = [f"{name}: {value}" for name, value in headers.items() if value is not None]
    head = "\r\n".join([sip.request_line or sip.response_line or "", *lines, *asserted])
    try:
        return parse_message(f"{head}\r\n\r\n".encode())
    except SipSyntaxError:
        return None


def _note_flow(flows: dict[PinholeKey, tuple[Pinhole, Way]], record: RtpDecision) -> None:
    rtp, decision = record.rtp, record.decision
    key = PinholeKey(
        "TCP" if record.proto == "TCP" else "UDP",
        record.zone_src if rtp.any_source else None,
        None if rtp.any_source else record.src_ip,
        None if rtp.any_source_port else record.src_port,
        record.dest_ip,
        record.dest_port,
    )
    if record.state == "opened":
        source, target = Party(record.zone_src, record.src_ip), Party(record.zone_dst, record.dest_ip)
        formats = Formats(frozenset(), rtp.codecs, ())
        way = Way(key, rtp.kind, rtp.protocol, 0, formats, rtp.direction or "sendrecv", source, target)
        verdict: MediaVerdict = "allow" if decision.passes else "drop"
        flows[key] = Pinhole(key, rtp.protocol, record.call_id or "", 0, verdict), way
    elif record.state == "closed" and rtp.closed != "stopped":
        flows.pop(key, None)
