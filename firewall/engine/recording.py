"""From values of the engine to records of the log: the fields of a message, a flow's id, a message in a few words."""

import re
from functools import lru_cache
from hashlib import blake2b

from firewall.engine.attempt import begins_call
from firewall.engine.caller import caller_identities
from firewall.engine.decide import Decision, decision_line
from firewall.engine.record import DecisionFields, DialogFields, SipDecision, SipFields
from firewall.engine.timestamp import timestamp
from firewall.errors import Place
from firewall.net.datagram import Datagram
from firewall.ruleset.emergency import wire_text
from firewall.ruleset.facts import EmergencyMark, Facts
from firewall.ruleset.literal import text_bytes
from firewall.ruleset.policy import Policy
from firewall.sip.emergency_data import EmergencyData, emergency_data
from firewall.sip.message import Message, Request

_SUMMARY_CHARACTERS = 120
_LENGTH = re.compile(r"\d{1,10}", re.ASCII)


@lru_cache(maxsize=4096)
def flow_id(ip_a: str, port_a: int, ip_b: str, port_b: int) -> int:
    """Return the number of the flow between two endpoints, the same in both directions and in every run (51 bits)."""
    one, other = f"{ip_a} {port_a}", f"{ip_b} {port_b}"
    ends = f"{one} {other}" if one < other else f"{other} {one}"
    return int.from_bytes(blake2b(ends.encode(), digest_size=8).digest(), "big") >> 13


def datagram_flow_id(datagram: Datagram) -> int:
    """Return the flow id of a datagram."""
    return flow_id(datagram.src_ip, datagram.src_port, datagram.dst_ip, datagram.dst_port)


def packet_head(datagram: Datagram, now_ns: int) -> tuple[str, int, str | None, int | None, str, int, str, int, str]:
    """Return what a record about one packet begins with."""
    return (
        timestamp(now_ns),
        datagram_flow_id(datagram),
        datagram.in_iface,
        datagram.frame_number,
        datagram.src_ip,
        datagram.src_port,
        datagram.dst_ip,
        datagram.dst_port,
        datagram.transport,
    )


def decision_record(
    facts: Facts, decision: Decision, policy: Policy, override: str | None, now_ns: int, *, repeated: bool = False
) -> SipDecision:
    """Return the log's record of one message and its decision; ``repeated``: it is a retransmission."""
    message = facts.message
    return SipDecision(
        *packet_head(facts.datagram, now_ns),
        _sip_fields(message, facts.emergency) if message is not None else None,
        decision_fields(decision, override, policy, decision_line(decision, policy)),
        facts.emergency,
        _dialog_fields(facts, repeated=repeated),
        message.anomalies if message is not None else (),
    )


def decision_fields(decision: Decision, override: str | None, policy: Policy, line: int | None) -> DecisionFields:
    """Return a decision as the log has it; ``line`` is the line of the policy that it comes from."""
    rule = decision.rule
    return DecisionFields(
        decision.verdict,
        override is None,
        rule.name if rule is not None else None,
        policy.name,
        policy.sha256,
        line,
        decision.reason,
        decision.shadow,
        override,
    )


def summary(facts: Facts) -> str:
    """Return a message in a few printable words: ``INVITE sip:911@psap.example``, ``180 Ringing (INVITE)``."""
    match facts.message:
        case None:
            text = f"unreadable datagram of {len(facts.datagram.payload)} bytes"
        case Request() as request:
            text = f"{request.method} {request.request_uri}"
        case response:
            text = f"{response.status_code} {response.reason_phrase} ({response.cseq_method})"
    return printable(text)


def endpoint_text(ip: str, port: int) -> str:
    """Return ``192.0.2.1:5060`` or ``[2001:db8::1]:5060``."""
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"


def decider(rule: str | None, reason: str, place: Place) -> str:
    """Name what decided against a message, with the place to mend."""
    if rule is not None:
        return f'{"the ban of " if reason == "banned" else ""}rule "{rule}" ({place})'
    if reason == "default":
        return f"the policy's default ({place})"
    if reason.startswith("media_"):
        return f"reason {reason} ({place})"
    return f"the exception policy ({place}), reason {reason}"


def printable(text: str) -> str:
    """Return text that is safe on a terminal (``escaped``), its length bounded."""
    shown = escaped(text)
    return shown if len(shown) <= _SUMMARY_CHARACTERS else shown[: _SUMMARY_CHARACTERS - 1] + "…"


def escaped(text: str) -> str:
    """Return text that is safe on a terminal: control characters and broken UTF-8 as ``\\x1b``."""
    return text if text.isprintable() else "".join(char if char.isprintable() else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in text_bytes(char))


def _sip_fields(message: Message, mark: EmergencyMark | None) -> SipFields:
    content_length = message.header("content-length")
    common = (
        _header(message, "from"),
        _header(message, "to"),
        _header(message, "call-id"),
        _header(message, "cseq"),
        wire_text(message.via_branch) if message.via_branch else None,
        _header(message, "user-agent"),
        _header(message, "content-type"),
        int(content_length) if content_length and _LENGTH.fullmatch(content_length) else None,
    )
    start_line = wire_text(message.start_line)
    if not isinstance(message, Request):
        code, reason = str(message.status_code), wire_text(message.reason_phrase)
        is_redirection = mark is not None and message.status_code // 100 == 3 and message.cseq_method == "INVITE"
        contact = _all(message, "contact") if is_redirection else None
        return SipFields(None, None, message.version, None, code, reason, start_line, *common, None, contact)
    refer_to = _header(message, "refer-to") if message.method == "REFER" else None
    geolocation: str | None = None
    callers: tuple[str, ...] = ()
    carried: tuple[EmergencyData, ...] = ()
    if mark is not None and mark.emergency_class != "callback" and begins_call(message):
        geolocation = _all(message, "geolocation")
        callers = tuple([wire_text(identity) for identity in caller_identities(message)])
        carried = emergency_data(message)
    method, uri = wire_text(message.method), wire_text(message.request_uri)
    return SipFields(
        method,
        uri,
        message.version,
        start_line,
        None,
        None,
        None,
        *common,
        refer_to,
        None,
        geolocation,
        callers,
        carried,
    )


def _all(message: Message, name: str) -> str | None:
    """Return the values of a header that may have several."""
    return wire_text(", ".join(message.header_values(name))) or None


def _header(message: Message, name: str) -> str | None:
    value = message.header(name)
    return wire_text(value) if value is not None else None


def _dialog_fields(facts: Facts, *, repeated: bool) -> DialogFields | None:
    message, call_id = facts.message, facts.call_id
    if call_id is None:
        return None
    from_tag, to_tag = (message.from_tag, message.to_tag) if message is not None else (None, None)
    return DialogFields(
        wire_text(call_id),
        wire_text(from_tag) if from_tag else None,
        wire_text(to_tag) if to_tag else None,
        facts.dialog_state,
        repeated,
    )
