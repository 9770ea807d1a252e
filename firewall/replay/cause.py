"""Why a call went as it did, in one sentence, and what to change: from its records in the decision log."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from firewall.engine.reasons import REASONS
from firewall.engine.recording import decider
from firewall.engine.timestamp import instant
from firewall.errors import Place
from firewall.replay.media_story import loss_cause
from firewall.replay.remedy import remedy

LogRecord = dict[str, Any]
_HOUR_NS = 3600 * 1_000_000_000

# What the loss of a message does to the call, as the two ends see it.
_CONSEQUENCES = {
    "ACK": "without it the called side ends the call after 32 seconds",  # RFC 3261 §13.3.1.4
    "PRACK": "without it the call does not get beyond ringing and fails after 32 seconds",  # RFC 3262 §3
    "BYE": "without it the other side goes on with a call that is over",  # RFC 3261 §15.1
    # RFC 3261 §9.1
    "CANCEL": "without it the called side goes on ringing for a caller who has hung up, and may answer nobody",
    # RFC 6086 §4.2.2
    "INFO": "without it the other side does not learn what it says (a dialled digit, a location); the call goes on",
    "UPDATE": "without it the session stays as it was: a hold, a change of media or a session refresh did not happen, "
    "and a session timer may end the call",  # RFC 3311 §5.1, RFC 4028 §10
    "REFER": "without it the call is not transferred and stays where it is",  # RFC 3515 §2.4
    "OPTIONS": "without it the other side may take the trunk out of service",
    "MESSAGE": "without it the text never reaches the called side",  # RFC 3428 §4
    "re-INVITE": "without it the session stays as it was: a hold, a change of media or a session refresh did not "
    "happen, and a session timer may end the call",  # RFC 3261 §14.1, RFC 4028 §10
}
# The same of responses to INVITE, by status: an exact one before its class.
_LOST_RESPONSES = {
    "100": "without it the caller's side goes on sending the INVITE, and gives up after 32 seconds if no other "
    "response comes",  # RFC 3261 §17.1.1.2
    "183": "without it the caller hears nothing before the answer (no announcement, no ringing tone)",
    "1": "without it the caller hears no ringing and may hang up, though the called side rings",  # RFC 3261 §13.2.2.1
    "2": "without it the called side has answered and the caller does not know: the caller goes on waiting, and the "
    "called side ends the call after 32 seconds",  # RFC 3261 §13.3.1.4
    "3": "without it the caller does not learn where else to try and waits until the call times out",
    "": "without it the caller does not learn that the call was refused, tries nobody else and waits in vain",
}


@dataclass(frozen=True, slots=True)
class CallLog:
    """What the log has of one call: its decisions, the ledger's last word, the alarms of blocked keep-alives (which say
    when a trunk was taken down), and the file of each policy by its sha256."""

    decisions: Sequence[LogRecord]
    ledger: LogRecord | None
    keep_alives: Sequence[LogRecord]
    policy_files: Mapping[str, str]

    @property
    def outcome(self) -> str | None:
        """The ledger's last word, None for an ordinary call."""
        return self.ledger["outcome"] if self.ledger else None

    @property
    def hurt_by(self) -> LogRecord | None:
        """The decision that hurt it, as the ledger has it."""
        return self.ledger["hurt_by"] if self.ledger else None

    @property
    def guarded(self) -> LogRecord | None:
        """The first decision that would have hurt it but for the guard."""
        return next((record for record in self.decisions if not record["decision"]["enforced"]), None)

    @property
    def blocked(self) -> LogRecord | None:
        """The first message that did not pass."""
        return next((record for record in self.decisions if _is_blocked(record["decision"])), None)

    def place(self, decision: LogRecord) -> Place:
        """Return where in its policy a decision comes from."""
        return Place(self.policy_files.get(decision["policy_sha256"], decision["policy"]), decision["line"])


def message_words(record: LogRecord) -> str:
    """Return a message in a few words: ``INVITE sip:911@psap.example``, ``180 Ringing``."""
    sip = record["sip"]
    if sip is None:
        return "unreadable message"
    line = sip.get("request_line") or sip.get("response_line") or ""
    return str(line).removesuffix(" SIP/2.0").removeprefix("SIP/2.0 ")


def because(decision: LogRecord) -> str:
    """Return what decided, in the few words of a ladder."""
    if decision["rule"]:
        return (
            f'{"ban by " if decision["reason"] == "banned" else ""}rule "{decision["rule"]}", line {decision["line"]}'
        )
    reason = REASONS.get(decision["reason"])
    return reason.title if reason else decision["reason"]


def cause_of(call: CallLog) -> str | None:
    """Return why the call went as it did; None for one that went well."""
    hurt_by, guarded, lost = call.hurt_by, call.guarded, loss_cause(call.ledger)
    if lost is not None:
        return lost
    if hurt_by is not None and call.outcome == "failed_downstream":
        return _trunk_cause(call, hurt_by)
    if hurt_by is not None and call.ledger is not None:
        return _our_doing(hurt_by, call.ledger)
    if guarded is not None:
        return f"{because(guarded['decision'])} would have blocked this call; the guard let it pass"
    if call.blocked is not None:
        return _message_cause(call, call.blocked)
    return _others_doing(call)


def mend_of(call: CallLog) -> str | None:
    """Return what to change, here or at others; None where nothing went wrong."""
    hurt_by, ledger = call.hurt_by, call.ledger
    if call.outcome == "failed_downstream" and hurt_by is not None:
        return f"allow OPTIONS and their answers between these two addresses, then run sosgate lint {hurt_by['file']}"
    if hurt_by is not None and ledger is not None and hurt_by["reason"] == "forward_failed":
        return f"nothing in the policy: see whether {ledger['dest_ip']} can be reached, and the alarm forward_failed"
    if hurt_by is not None and ledger is not None:
        mend = remedy(hurt_by["rule"], hurt_by["reason"], Place(hurt_by["file"], hurt_by["line"]), ledger["src_ip"])
        stranger = f"nothing, if {ledger['src_ip']} is no peer of yours; if it is one, "
        return f"{stranger}{mend}" if ledger["attribution"] == "attack" else mend
    decided = call.guarded or (call.blocked if _is_emergency(call.blocked) else None)
    if decided is not None:
        decision = decided["decision"]
        return remedy(decision["rule"], decision["reason"], call.place(decision), decided["src_ip"])
    return _loss_mend(call) or _others_mend(call)


def _is_blocked(decision: LogRecord) -> bool:
    return bool(decision["verdict"] != "allow" and decision["enforced"] and decision["reason"] != "reject_ack")


def _is_emergency(record: LogRecord | None) -> bool:
    return record is not None and record["emergency"] is not None


def _loss_mend(call: CallLog) -> str | None:
    losses: Sequence[LogRecord] = call.ledger.get("media_loss", ()) if call.ledger else ()
    reason = next((loss["reason"] for loss in losses if loss["reason"] is not None), None)
    place = call.place(call.decisions[0]["decision"])
    return remedy(None, reason, Place(place.file), losses[0]["src_ip"]) if reason is not None else None


def _others_mend(call: CallLog) -> str | None:
    """Return whom to ask about a call that sosgate did not hurt."""
    ledger = call.ledger
    if ledger is None or ledger["outcome"] not in ("failed_downstream", "impaired"):
        return None
    if ledger["outcome"] == "impaired":
        asked = f"ask who runs {ledger['src_ip']} whether the answer came there, and where its ACK went"
        return f"nothing in the policy: {asked}"
    status = ledger["final_status"]
    did = f"answered {status}" if status else "did not answer"
    return f"nothing in the policy: ask who runs {ledger['dest_ip']} why it {did}"


def _trunk_cause(call: CallLog, hurt_by: LogRecord) -> str:
    """Return the cause of a call that failed on a trunk whose keep-alive sosgate had blocked."""
    alarm = _trunk_alarm(call)
    said = alarm["alarm"]["message"] if alarm else _not_passed(hurt_by)
    at = f", at {alarm['timestamp']}" if alarm else ""
    return f"{_others_doing(call)}; before it{at}, sosgate itself took the trunk down: {said}"


def _trunk_alarm(call: CallLog) -> LogRecord | None:
    """Return the last blocked keep-alive between the call's two ends in the hour before it."""
    first = call.decisions[0]
    ends, begin_ns = {first["src_ip"], first["dest_ip"]}, instant(first["timestamp"])
    before = [
        alarm
        for alarm in call.keep_alives
        if {alarm["src_ip"], alarm["dest_ip"]} == ends and 0 <= begin_ns - instant(alarm["timestamp"]) <= _HOUR_NS
    ]
    return before[-1] if before else None


def _message_cause(call: CallLog, blocked: LogRecord) -> str:
    """Return why a message that is in no ledger did not pass: of an ordinary call, or of what is no call."""
    decision, sip = blocked["decision"], blocked["sip"]
    who = decider(decision["rule"], decision["reason"], call.place(decision))
    cause = f"sosgate did not let {message_words(blocked)} pass: {decision['verdict']} by {who}"
    cseq = str(sip.get("cseq", "")) if sip is not None else ""
    lost = "" if sip is None else sip.get("method") or f"{sip.get('code')} ({cseq.rpartition(' ')[2]})"
    consequence = _consequence(lost, is_first=not blocked["dialog"].get("to_tag"))
    if cseq.endswith("OPTIONS") and not any(_same_ends(alarm, blocked) for alarm in call.keep_alives):
        return cause  # between strangers there is no trunk to lose
    return f"{cause}; {consequence}" if consequence else cause


def _same_ends(one: LogRecord, other: LogRecord) -> bool:
    return {one["src_ip"], one["dest_ip"]} == {other["src_ip"], other["dest_ip"]}


def _not_passed(hurt_by: LogRecord) -> str:
    who = decider(hurt_by["rule"], hurt_by["reason"], Place(hurt_by["file"], hurt_by["line"]))
    return f"sosgate did not let {hurt_by['message']} pass: {hurt_by['verdict']} by {who}"


def _our_doing(hurt_by: LogRecord, ledger: LogRecord) -> str:
    cause = _not_passed(hurt_by)
    if hurt_by["reason"] == "forward_failed":
        cause = f"sosgate let {hurt_by['message']} pass, and it could not be sent on (reason forward_failed)"
    if ledger["attribution"] == "attack":
        return f"{cause}, which had banned this address; no call from it ever passed before: taken for an attack"
    consequence = _consequence(str(hurt_by["message"]), is_first=ledger["problem"] == "InitialTrafficBlocked")
    if str(hurt_by["reason"]).startswith("media_") or " to " in str(hurt_by["message"]):
        consequence = consequence or "the call connects, and nobody is heard"
    return f"{cause}; {consequence}" if consequence else cause


def _consequence(message: str, *, is_first: bool) -> str | None:
    """Return what the call's two ends experience when a message (``INVITE URI`` or ``200 OK (1 INVITE)``) is lost."""
    first_word, _, rest = message.partition(" ")
    if not first_word.isdigit():
        method = "re-INVITE" if first_word == "INVITE" and not is_first else first_word
        return _CONSEQUENCES.get(method)
    method = rest.rstrip(")").rpartition(" ")[2].lstrip("(")
    if method != "INVITE":
        return f"without it the side that sent the {method} sends it again and gives up after 32 seconds"
    return next(
        (text for status, text in _LOST_RESPONSES.items() if status and first_word.startswith(status)),
        _LOST_RESPONSES[""],
    )


def _others_doing(call: CallLog) -> str | None:
    outcome, passed = call.outcome, "sosgate let every message pass"
    if outcome == "abandoned":
        return f"{passed}; the caller hung up before an answer"
    if outcome == "in_progress":
        return f"{passed}; {_as_it_stands(call.decisions)}"
    if outcome == "impaired":
        return f"{passed}; nobody acknowledged the answer, so the called side gave up after 32 s"
    final = next((r["sip"] for r in reversed(call.decisions) if _status(r) >= 300), None)
    if final is not None and outcome in (None, "failed_downstream"):
        return f"{passed}; the called side {_refusal(final)}"
    if outcome == "failed_downstream" or not any(_status(record) for record in call.decisions):
        return f"{passed}; the called side never answered"
    return None


def _refusal(final: LogRecord) -> str:
    answer = f"{final['code']} {final['reason']}"
    if final["code"] in ("401", "407"):
        return f"asked for credentials ({answer}), and the caller did not try again with them"
    return f"redirected the call with {answer}" if final["code"].startswith("3") else f"answered {answer}"


def _as_it_stands(decisions: Sequence[LogRecord]) -> str:
    """Return how far a call has come that the log tells no end of."""
    invited = [_status(record) for record in decisions if str(record["sip"].get("cseq", "")).endswith("INVITE")]
    if any(200 <= status < 300 for status in invited):
        return "it was answered, and had not ended when the log did"
    if any(status > 100 for status in invited):
        return "it was ringing, not yet answered, when the log ended"
    seconds = (instant(decisions[-1]["timestamp"]) - instant(decisions[0]["timestamp"])) / 1e9
    return f"no answer had come when the log ended, {seconds:.1f} s after its first message"


def _status(record: LogRecord) -> int:
    """Return the status code of a response, 0 for what is none."""
    return int(record["sip"].get("code", "0")) if record["sip"] is not None else 0
