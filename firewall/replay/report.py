"""What a replay found, as values: taken from the engine's own records, not from a second reading of the traffic."""

from collections import Counter
from dataclasses import dataclass, field

from firewall.engine.decide import Decision, decision_line
from firewall.engine.media_record import media_line
from firewall.engine.outputs import Write, WriteDecision
from firewall.engine.record import (
    DecisionFields,
    EmergencyCall,
    Outcome,
    RtpDecision,
    SipDecision,
    SipFields,
)
from firewall.engine.recording import endpoint_text
from firewall.net.capture_record import Unreadable
from firewall.replay.media_report import OWN_REASONS, MediaTally
from firewall.ruleset.facts import EmergencyMark
from firewall.ruleset.policy import Policy


@dataclass(slots=True)
class CaptureReport:
    """What one capture held: the keys of the JSON document (docs/replay.md), in their order.

    ``packets`` counts frames. ``sip_messages`` counts what was read as SIP. Of them, ``cut_messages`` are known by
    their start line alone, as a snapshot length cut the rest, and are not decided; ``copies`` are messages seen a
    second time on their way out of the firewall, not decided again. ``own_replies`` are responses that the replayed
    policy's own rejects explain; they are not decided either.
    """

    path: str
    packets: int = 0
    sip_messages: int = 0
    cut_messages: int = 0
    rtp_packets: int = 0
    copies: int = 0
    own_replies: int = 0
    unreadable: list[Unreadable] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class HurtCall:
    """An emergency call that the policy hurt: the first decision that did it, and the call it was done to.

    ``message`` and what follows it are as the log tells them; ``enforced`` is False where the guard let it pass.
    """

    capture: str
    packet: int | None
    timestamp: str
    call_id: str | None
    emergency: EmergencyMark
    src: str
    dst: str
    message: str
    verdict: str
    enforced: bool
    rule: str | None
    file: str
    line: int | None
    reason: str
    in_dialog: bool
    src_ip: str

    @property
    def apparent_outcome(self) -> Outcome:
        """What the capture alone says of a call whose beginning it does not hold."""
        if not self.enforced:
            return "in_progress"
        return "impaired" if self.in_dialog else "blocked"


class PolicyTally:
    """What one policy decided over all captures.

    ``run`` tells apart the engine's runs, as Call-IDs may repeat in others; ``capture`` is the path of the present one.
    """

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.run = 0
        self.capture = ""
        self.deciders: Counter[tuple[str, str, str, int | None]] = Counter()
        """Messages by verdict, rule ("" where none decided), reason and policy line."""
        self.media = MediaTally()
        self.hurt: dict[tuple[int, str], HurtCall] = {}
        self._outcomes: dict[tuple[int, str], EmergencyCall] = {}
        self._guarded: set[tuple[int, str]] = set()

    @property
    def verdicts(self) -> Counter[str]:
        """Messages by verdict."""
        verdicts: Counter[str] = Counter(allow=0, drop=0, reject=0)
        for (verdict, _, _, _), messages in self.deciders.items():
            verdicts[verdict] += messages
        return verdicts

    @property
    def calls(self) -> int:
        """Emergency call attempts."""
        return len(self._outcomes.keys() | self.hurt.keys())

    @property
    def guarded(self) -> int:
        """Hurt calls of which the guard let every message pass."""
        return len(self._guarded)

    @property
    def trunks_taken_down(self) -> int:
        """Calls, not hurt themselves, that failed downstream after a keep-alive of their trunk was blocked."""
        records = self._outcomes.values()
        return sum(record.outcome == "failed_downstream" and record.hurt_by is not None for record in records)

    @property
    def by_outcome(self) -> dict[str, int]:
        """Attempts by their last known outcome."""
        outcomes = Counter[str](record.outcome for record in self._outcomes.values())
        outcomes.update(call.apparent_outcome for key, call in self.hurt.items() if key not in self._outcomes)
        return dict(sorted(outcomes.items()))

    def note(self, write: Write) -> None:
        """Count what is to be written. Of a decision the record is asked for only where an emergency call is hurt."""
        if isinstance(write, WriteDecision):
            decision, mark = write.decision, write.facts.emergency
            rule = decision.rule.name if decision.rule is not None else ""
            self.deciders[decision.verdict, rule, decision.reason, decision_line(decision, write.policy)] += 1
            if mark is not None and write.hurts:
                self._take_hurt(write.record, mark)
            return
        match write.record:
            case EmergencyCall() as record:
                self._outcomes[self.run, record.call_id or f"frame {record.pcap_cnt}"] = record
                self._take_loss(record)
            case RtpDecision() as record:
                self.media.take(record)
                self._take_blocked_media(record)
            case _:
                pass

    def _take_blocked_media(self, record: RtpDecision) -> None:
        """Media of an emergency call that the policy does not let pass; RTCP alone hurts no call."""
        decision, mark, rtp = record.decision, record.emergency, record.rtp
        harmless = decision.verdict == "allow" or rtp.protocol == "rtcp" or rtp.candidate
        if mark is None or record.call_id is None or harmless:
            return
        if record.state in ("closed", "ended") or decision.reason not in OWN_REASONS:
            return
        self._note_hurt((self.run, record.call_id), record, mark, record.call_id, f"media: {rtp.kind}")

    def _take_loss(self, record: EmergencyCall) -> None:
        """A call that is not heard both ways because of what the policy says of media."""
        loss = next((loss for loss in record.media_loss if loss.reason is not None), None)
        key = (self.run, record.call_id)
        if loss is None or loss.reason is None or record.attribution != "policy" or key in self.hurt:
            return
        self.hurt[key] = HurtCall(
            capture=self.capture,
            packet=record.pcap_cnt,
            timestamp=record.timestamp,
            call_id=record.call_id,
            emergency=record.emergency,
            src=loss.src_ip,
            dst=endpoint_text(loss.dest_ip, loss.dest_port),
            message=f"media: nothing of {loss.side} arrives",
            verdict="drop",
            enforced=True,
            rule=None,
            file=self.policy.file,
            line=media_line(Decision("drop", loss.reason), self.policy),
            reason=loss.reason,
            in_dialog=True,
            src_ip=loss.src_ip,
        )

    def _take_hurt(self, record: SipDecision, mark: EmergencyMark) -> None:
        call_id = record.dialog.call_id if record.dialog else None
        in_dialog = record.dialog is not None and record.dialog.to_tag is not None
        key = (self.run, call_id or f"frame {record.pcap_cnt}")
        self._note_hurt(key, record, mark, call_id, sip_summary(record.sip), in_dialog=in_dialog)

    def _note_hurt(
        self,
        key: tuple[int, str],
        record: SipDecision | RtpDecision,
        mark: EmergencyMark,
        call_id: str | None,
        message: str,
        *,
        in_dialog: bool = True,
    ) -> None:
        decision = record.decision
        if key not in self.hurt:
            if not decision.enforced:
                self._guarded.add(key)
            self.hurt[key] = HurtCall(
                capture=self.capture,
                packet=record.pcap_cnt,
                timestamp=record.timestamp,
                call_id=call_id,
                emergency=mark,
                src=endpoint_text(record.src_ip, record.src_port) if record.src_port else record.src_ip,
                dst=endpoint_text(record.dest_ip, record.dest_port),
                message=message,
                verdict=decision.verdict,
                enforced=decision.enforced,
                rule=decision.rule,
                file=self.policy.file,
                line=decision.line,
                reason=decision.reason,
                in_dialog=in_dialog,
                src_ip=record.src_ip,
            )
        if decision.enforced:
            self._guarded.discard(key)


@dataclass(frozen=True, slots=True)
class Change:
    """A message that the other policy decides differently. None where that policy does not take it for signalling."""

    capture: str
    packet: int | None
    timestamp: str
    sip: SipFields | None
    before: DecisionFields | None
    after: DecisionFields | None
    emergency: EmergencyMark | None


@dataclass(slots=True)
class ReplayReport:
    """A whole replay. ``against`` and ``changed`` are there when a second policy was compared."""

    captures: list[CaptureReport]
    policy: PolicyTally
    against: PolicyTally | None = None
    changed: list[Change] = field(default_factory=list)


def sip_summary(sip: SipFields | None) -> str:
    """Return a message in a few words: ``INVITE urn:service:sos``, ``180 Ringing (1 INVITE)``."""
    if sip is None:
        return "unreadable message"
    if sip.method is not None:
        return f"{sip.method} {sip.uri}"
    return f"{sip.code} {sip.reason} ({sip.cseq})"
