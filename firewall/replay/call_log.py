"""What the decision log has of one call, and what its records (``engine/record.py``) say."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from firewall.engine.record import LogRecord
from firewall.engine.recording import printable
from firewall.errors import Place


@dataclass(frozen=True, slots=True)
class CallLog:
    """What the log has of one call: its decisions, the ledger's last word, when the ledger first told it as hurt, the
    alarms of blocked keep-alives (which say when a trunk was taken down), and the file of each policy by its sha256."""

    decisions: Sequence[LogRecord]
    ledger: LogRecord | None
    hurt_at: str | None
    keep_alives: Sequence[LogRecord]
    policy_files: Mapping[str, str]

    @property
    def outcome(self) -> str | None:
        """The ledger's last word, None for an ordinary call."""
        return self.ledger["outcome"] if self.ledger else None

    @property
    def is_callback(self) -> bool:
        """Whether it goes to the caller of an emergency call (RFC 7090): who calls is no emergency caller then."""
        return self.ledger is not None and self.ledger["emergency"]["class"] == "callback"

    @property
    def hurt_by(self) -> LogRecord | None:
        """The decision that hurt it, as the ledger has it."""
        return self.ledger["hurt_by"] if self.ledger else None

    @property
    def hurting(self) -> LogRecord | None:
        """The message whose loss hurt it; None where that was no message of signalling, or is in no log."""
        hurt_by = self.hurt_by or {}
        is_unsent = hurt_by.get("reason") == "forward_failed"
        lost = [record for record in self.decisions if is_unsent or is_blocked(record)]
        found = [record for record in lost if _summary(record) == hurt_by.get("message")]
        return next((record for record in found if record["timestamp"] == self.hurt_at), found[0] if found else None)

    @property
    def guarded(self) -> LogRecord | None:
        """The first decision that would have hurt it but for the guard."""
        return next((record for record in self.decisions if not record["decision"]["enforced"]), None)

    @property
    def blocked(self) -> LogRecord | None:
        """The first message that did not pass."""
        return next((record for record in self.decisions if is_blocked(record)), None)

    def place(self, decision: LogRecord) -> Place:
        """Return where in its policy a decision comes from."""
        return Place(self.policy_files.get(decision["policy_sha256"], decision["policy"]), decision["line"])


def message_words(record: LogRecord) -> str:
    """Return a message in a few words: ``INVITE sip:911@psap.example``, ``180 Ringing``, ``200 OK (BYE)``."""
    sip = record["sip"]
    if sip is None:
        return "unreadable message"
    line = str(sip.get("request_line") or sip.get("response_line") or "")
    words = line.removesuffix(" SIP/2.0").removeprefix("SIP/2.0 ")
    asked = asked_method(sip)
    return words if sip.get("method") or asked in ("", "INVITE") else f"{words} ({asked})"


def asked_method(sip: LogRecord) -> str:
    """Return the method of a message's CSeq: of a response, what it answers."""
    return str(sip.get("cseq", "")).rpartition(" ")[2]


def exchange_of(record: LogRecord) -> tuple[str | None, str]:
    """Return the name of a message's transaction; an ACK of a success has a name of its own."""
    sip = record["sip"]
    return sip.get("via_branch"), (sip.get("cseq") or "").partition(" ")[0]


def is_reinvite(record: LogRecord) -> bool:
    """Tell whether a message asks to change a call that goes on (RFC 3261 §14)."""
    return record["sip"].get("method") == "INVITE" and bool(record["dialog"].get("to_tag"))


def has_passed(record: LogRecord) -> bool:
    """Tell whether a message was let through, be it by the guard."""
    return record["decision"]["verdict"] == "allow" or not record["decision"]["enforced"]


def is_blocked(record: LogRecord) -> bool:
    """Tell whether a message was not let through that its ends lack: the ACK of a reject is asked for by nobody."""
    return not has_passed(record) and record["decision"]["reason"] != "reject_ack"


def status_of(record: LogRecord) -> int:
    """Return the status code of a response, 0 for what is none."""
    return int(record["sip"].get("code") or 0) if record["sip"] is not None else 0


def _summary(record: LogRecord) -> str:
    """Return a message in the words of the ledger and the alarms (``recording.summary``)."""
    sip = record["sip"] or {}
    if sip.get("method"):
        return printable(f"{sip['method']} {sip.get('uri')}")
    return printable(f"{sip.get('code')} {sip.get('reason')} ({asked_method(sip)})")
