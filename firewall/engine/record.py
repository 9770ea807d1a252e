"""The decision log's records (DESIGN section 8): JSON Lines in the shape of Suricata's EVE.

``Record`` is the closed union; ``encode`` gives one line of bytes without the newline.
"""

from typing import Annotated, Any, Literal

import msgspec

from firewall.engine.timestamp import instant
from firewall.ruleset.facts import EmergencyMark
from firewall.sip.emergency_data import EmergencyData
from firewall.sip.media_endpoint import MediaProtocol
from firewall.sip.sdp import Direction

AlarmCode = Literal[
    "emergency_blocked",
    "emergency_guarded",
    "emergency_failed_downstream",
    "emergency_media_blocked",
    "emergency_media_guarded",
    "emergency_media_lost",
    "keep_alive_blocked",
    "forward_failed",
    "connection_refused",
    "connections_closed",
    "datagrams_lost",
    "interception_lost",
    "log_unwritable",
    "log_recovered",
    "pinholes",
    "table_full",
    "internal_error",
]
FlowState = Literal["opened", "changed", "closed", "refused", "ended"]
StatusCode = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{3}$")]
Outcome = Literal["completed", "blocked", "impaired", "failed_downstream", "abandoned", "in_progress"]
Attribution = Literal["policy", "limit", "exception", "attack", "downstream", "caller"]


class SipFields(msgspec.Struct, frozen=True, omit_defaults=True, rename={"from_": "from"}):
    """The message in Suricata's words (``method uri version request_line code reason response_line``) and ours.

    ``refer_to``: whom a REFER has the call transferred to. ``contact``: where an emergency call is redirected to.
    ``geolocation``: where its caller may be asked for, ``callers`` by what identities it may be called back, and
    ``emergency_data`` what it carries of the caller's place and the like, in what begins an emergency call.
    """

    method: str | None = None
    uri: str | None = None
    version: str | None = None
    request_line: str | None = None
    code: StatusCode | None = None
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
    refer_to: str | None = None
    contact: str | None = None
    geolocation: str | None = None
    callers: tuple[str, ...] = ()
    emergency_data: tuple[EmergencyData, ...] = ()


class ShadowVerdict(msgspec.Struct, frozen=True):
    """What a shadow rule would have done."""

    rule: str
    verdict: str
    line: int


class DecisionFields(msgspec.Struct, frozen=True):
    """The decision on one message.

    ``verdict`` is what rules or exceptions say; ``enforced`` is False where ``override`` (``guard``, for media also
    ``shadow``) let it pass. ``rule`` is None where no rule decided, ``line`` where no line did; ``reason`` is a code of
    ``engine/reasons.py``.
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

    @property
    def passes(self) -> bool:
        """Whether it was let through, be it by the guard."""
        return self.verdict == "allow" or not self.enforced


class DialogFields(msgspec.Struct, frozen=True):
    """The dialog the message belongs to, the state in which it found it, and whether it only says something again."""

    call_id: str
    from_tag: str | None
    to_tag: str | None
    state: str
    retransmission: bool = False


class _FlowRecord(msgspec.Struct, frozen=True):
    """What records about packets begin with, in Suricata's words."""

    timestamp: str
    flow_id: int
    in_iface: str | None
    pcap_cnt: int | None
    src_ip: str
    src_port: int
    dest_ip: str
    dest_port: int
    proto: str


class SipDecision(_FlowRecord, frozen=True, tag_field="event_type", tag="sip_decision"):
    """One per message."""

    sip: SipFields | None
    decision: DecisionFields
    emergency: EmergencyMark | None
    dialog: DialogFields | None
    anomalies: tuple[str, ...] = ()


class StreamFields(msgspec.Struct, frozen=True, omit_defaults=True):
    """One RTP source of a flow: what came of it, of how many packets, and how evenly (RFC 3550 A.3, A.8)."""

    ssrc: int
    payload_type: int
    packets: int
    octets: int
    lost: int
    max_jitter_ms: float
    mean_jitter_ms: float
    reordered: int = 0


class RtpFields(msgspec.Struct, frozen=True, omit_defaults=True):
    """A media flow: what was negotiated for it, and what was counted of it so far.

    ``packets`` and ``octets`` are all that came, whatever was decided on them. ``streams`` are told where every packet
    was seen. ``closed`` is why it ended, ``ago_s`` how long before the packet that is told about. ``candidate``: an ICE
    candidate that may not be opened, beside an address that may; that it is refused hurts nobody.
    """

    kind: str
    protocol: MediaProtocol
    codecs: tuple[str, ...] = ()
    direction: Direction | None = None
    packets: int = 0
    octets: int = 0
    streams: tuple[StreamFields, ...] = ()
    closed: str | None = None
    ago_s: float | None = None
    any_source: bool = False
    any_source_port: bool = False
    candidate: bool = False


class RtpDecision(_FlowRecord, frozen=True, tag_field="event_type", tag="rtp_decision"):
    """One when a media flow is opened or refused, one when its decision changes, one at its end with the counts.

    ``call_id`` is None where a refused flow is of no call that is known. A source address that any packet may have is
    told as ``src_ip`` of the party that it is expected from, with ``rtp.any_source``.
    """

    state: FlowState
    call_id: str | None
    rtp: RtpFields
    decision: DecisionFields
    emergency: EmergencyMark | None
    zone_src: str | None = None
    zone_dst: str | None = None
    anomalies: tuple[str, ...] = ()


class HurtBy(msgspec.Struct, frozen=True):
    """The decision that hurt a call, with the message it hit and the place to mend."""

    message: str
    verdict: str
    rule: str | None
    file: str
    line: int | None
    reason: str


class MediaLoss(msgspec.Struct, frozen=True):
    """That one side of an emergency call is not heard: who sends nothing that arrives, whom it should reach, why.

    ``side`` is the zone of who is not heard (its address where it has none). ``reason`` is a code of
    ``engine/reasons.py``, None where nothing came that could have been refused.
    """

    side: str
    src_ip: str
    dest_ip: str
    dest_port: int
    packets: int
    cause: str
    reason: str | None


class EmergencyCall(_FlowRecord, frozen=True, tag_field="event_type", tag="emergency_call"):
    """The ledger: one when an attempt is hurt, one when its outcome is known. Times are seconds since it began."""

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
    media_loss: tuple[MediaLoss, ...] = ()


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
    """Counts since the start; calls, bans and pinholes as they stand. ``media_refused`` are packets."""

    messages: int
    allowed: int
    dropped: int
    rejected: int
    emergency_calls: int
    emergency_calls_hurt: int
    calls_tracked: int
    bans: int
    pinholes: int = 0
    media_refused: int = 0


class Stats(msgspec.Struct, frozen=True, tag_field="event_type", tag="stats"):
    """Counts since the start, written when the firewall stops."""

    timestamp: str
    stats: StatsFields


Record = SipDecision | RtpDecision | EmergencyCall | Alarm | PolicyChange | Stats

LogRecord = dict[str, Any]
"""A line of a log as plain data."""

_encoder = msgspec.json.Encoder()


def encode(record: Record) -> bytes:
    """Return the record as one line of JSON, without the newline."""
    return _encoder.encode(record)


def check(record: LogRecord) -> None:
    """Make sure that a line of a log, as ``decode`` gives it, has all that a record of its kind has.

    Raises:
        msgspec.DecodeError: it is another program's, something is missing, or another program wrote its time anew.
    """
    at = msgspec.convert(record, Record).timestamp
    try:
        instant(at)
    except ValueError as error:
        raise msgspec.ValidationError(str(error)) from None


def decode(line: bytes) -> LogRecord:
    """Return one line of a decision log as plain data.

    Raises:
        msgspec.DecodeError: the line is not JSON.
    """
    return msgspec.json.decode(line, type=LogRecord)
