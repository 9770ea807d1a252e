"""The decision log's records (DESIGN section 8): JSON Lines in the shape of Suricata's EVE.

``Record`` is the closed union; ``encode`` gives one line of bytes without the newline.
"""

from typing import Any, Literal

import msgspec

from firewall.ruleset.facts import EmergencyMark

AlarmCode = Literal[
    "emergency_blocked",
    "emergency_guarded",
    "emergency_failed_downstream",
    "keep_alive_blocked",
    "forward_failed",
    "connection_refused",
    "log_unwritable",
    "log_recovered",
    "table_full",
    "internal_error",
]
Outcome = Literal["completed", "blocked", "impaired", "failed_downstream", "abandoned", "in_progress"]
Attribution = Literal["policy", "limit", "exception", "attack", "downstream", "caller"]


class SipFields(msgspec.Struct, frozen=True, omit_defaults=True, rename={"from_": "from"}):
    """The message in Suricata's words (``method uri version request_line code reason response_line``) and ours."""

    method: str | None = None
    uri: str | None = None
    version: str | None = None
    request_line: str | None = None
    code: str | None = None
    reason: str | None = None
    response_line: str | None = None
    from_: str | None = None
    to: str | None = None
    call_id: str | None = None
    cseq: str | None = None
    via_branch: str | None = None
    user_agent: str | None = None
    content_type: str | None = None
    content_length: int | None = None


class ShadowVerdict(msgspec.Struct, frozen=True):
    """What a shadow rule would have done."""

    rule: str
    verdict: str
    line: int


class DecisionFields(msgspec.Struct, frozen=True):
    """The decision on one message.

    ``verdict`` is what rules or exceptions say; ``enforced`` is False where ``override`` (``guard``) let it pass.
    ``rule`` and ``line`` are None where no rule decided; ``reason`` is a code of ``engine/reasons.py``.
    """

    verdict: Literal["allow", "drop", "reject"]
    enforced: bool
    rule: str | None
    policy: str
    policy_sha256: str
    line: int | None
    reason: str
    shadow: tuple[ShadowVerdict, ...] = ()
    override: str | None = None


class DialogFields(msgspec.Struct, frozen=True):
    """The dialog the message belongs to, the state in which it found it, and whether it only says something again."""

    call_id: str
    from_tag: str | None
    to_tag: str | None
    state: str
    retransmission: bool = False


class SipDecision(msgspec.Struct, frozen=True, tag_field="event_type", tag="sip_decision"):
    """One per message."""

    timestamp: str
    flow_id: int
    in_iface: str | None
    pcap_cnt: int | None
    src_ip: str
    src_port: int
    dest_ip: str
    dest_port: int
    proto: str
    sip: SipFields | None
    decision: DecisionFields
    emergency: EmergencyMark | None
    dialog: DialogFields | None
    anomalies: tuple[str, ...] = ()


class HurtBy(msgspec.Struct, frozen=True):
    """The decision that hurt a call, with the message it hit and the place to mend."""

    message: str
    verdict: str
    rule: str | None
    file: str
    line: int | None
    reason: str


class EmergencyCall(msgspec.Struct, frozen=True, tag_field="event_type", tag="emergency_call"):
    """The ledger: one when an attempt is hurt, one when its outcome is known. Times are seconds since it began."""

    timestamp: str
    flow_id: int
    in_iface: str | None
    pcap_cnt: int | None
    src_ip: str
    src_port: int
    dest_ip: str
    dest_port: int
    proto: str
    call_id: str
    emergency: EmergencyMark
    outcome: Outcome
    problem: str | None
    attribution: Attribution | None
    hurt_by: HurtBy | None
    guarded: bool
    started: str
    ringing_s: float | None
    answered_s: float | None
    ended_s: float | None
    final_status: int | None


class AlarmFields(msgspec.Struct, frozen=True):
    """One alarm. ``message`` is the sentence that also goes to stderr."""

    code: AlarmCode
    message: str
    rule: str | None = None
    file: str | None = None
    line: int | None = None
    call_id: str | None = None
    reason: str | None = None


class Alarm(msgspec.Struct, frozen=True, tag_field="event_type", tag="alarm"):
    """Something a person must know at once."""

    timestamp: str
    alarm: AlarmFields
    emergency: EmergencyMark | None = None
    in_iface: str | None = None
    pcap_cnt: int | None = None
    src_ip: str | None = None
    src_port: int | None = None
    dest_ip: str | None = None
    dest_port: int | None = None
    proto: str | None = None


class PolicyFields(msgspec.Struct, frozen=True):
    """What became of a policy: ``loaded`` at start, ``applied`` by a reload, ``refused``."""

    action: Literal["loaded", "applied", "refused"]
    name: str | None
    file: str | None
    sha256: str | None
    rules: int | None
    error: str | None = None
    takeover: bool = False


class PolicyChange(msgspec.Struct, frozen=True, tag_field="event_type", tag="policy"):
    """A policy was loaded, applied or refused."""

    timestamp: str
    policy: PolicyFields


class StatsFields(msgspec.Struct, frozen=True):
    """Counts since the start."""

    messages: int
    allowed: int
    dropped: int
    rejected: int
    emergency_calls: int
    emergency_calls_hurt: int
    calls_tracked: int
    bans: int


class Stats(msgspec.Struct, frozen=True, tag_field="event_type", tag="stats"):
    """Counts since the start, written when the firewall stops."""

    timestamp: str
    stats: StatsFields


Record = SipDecision | EmergencyCall | Alarm | PolicyChange | Stats

_encoder = msgspec.json.Encoder()


def encode(record: Record) -> bytes:
    """Return the record as one line of JSON, without the newline."""
    return _encoder.encode(record)


def decode(line: bytes) -> dict[str, Any]:
    """Return one line of a decision log as plain data.

    Raises:
        msgspec.DecodeError: the line is not JSON.
    """
    return msgspec.json.decode(line, type=dict[str, Any])
