"""What the loss of a message does to a call, as its two ends see it: one clause for each kind of message."""

from collections.abc import Sequence
from itertools import takewhile

from firewall.engine.record import LogRecord
from firewall.engine.timestamp import instant
from firewall.replay.call_log import asked_method, exchange_of, has_passed, is_reinvite

_SESSION_STAYS = (
    "without it the session stays as it was: a hold, a change of media or a session refresh did not happen, and a "
    "session timer may end the call"  # RFC 3261 §14.1, RFC 3311 §5.1, RFC 4028 §10
)
_REQUESTS = {
    "ACK": "without it the called side ends the call after 32 seconds",  # RFC 3261 §13.3.1.4
    "PRACK": "without it the call does not get beyond ringing and fails after 32 seconds",  # RFC 3262 §3
    "BYE": "without it the other side goes on with a call that is over",  # RFC 3261 §15.1
    # RFC 3261 §9.1
    "CANCEL": "without it the called side goes on ringing for nobody: the caller has hung up, or another is asked now",
    # RFC 6086 §4.2.2
    "INFO": "without it the other side does not learn what it says (a dialled digit, a location); the call goes on",
    "UPDATE": _SESSION_STAYS,
    "REFER": "without it the call is not transferred and stays where it is",  # RFC 3515 §2.4
    # RFC 6665 §4.2.2, RFC 3515 §2.4.4
    "NOTIFY": "without it the other side does not learn what it asked to be told, as how a transfer goes on",
    "SUBSCRIBE": "without it who asks does not learn what it asks for, as where a caller is",  # RFC 6665 §4.1.2
    "OPTIONS": "without it the other side may take the trunk out of service",
    "MESSAGE": "without it the text never reaches the called side",  # RFC 3428 §4
}
_ACK_OF_REFUSAL = (
    "without it the other side repeats its refusal for 32 seconds; nothing else is lost"  # RFC 3261 §17.2.1
)
_COPIES = {
    "drop": "a copy of it had passed before, so that it is missed only if that one was lost",
    "reject": "a copy of it had passed before: who sent it is told that it failed, and the other side goes on with it",
}
# RFC 3261 §9.1
_CANCEL_OF_REINVITE = "without it the other side goes on with a change of the session that was given up"
_SECOND_ANSWER = (
    "another had answered before, and that call goes on; without it the caller does not release this one, which ends "
    "after 32 seconds"  # RFC 3261 §13.2.2.4
)
_RELIABLE = "; a call that insists on PRACK (100rel) fails after 32 seconds"  # RFC 3262 §3
# Of responses to the INVITE of a call, by status: an exact one before its class.
_RESPONSES = {
    "100": "without it the caller's side goes on sending the INVITE, and gives up after 32 seconds if no other "
    "response comes",  # RFC 3261 §17.1.1.2
    "183": f"without it the caller hears nothing before the answer (no announcement, no ringing tone){_RELIABLE}",
    # RFC 3261 §13.2.2.1
    "1": f"without it the caller hears no ringing and may hang up, though the called side rings{_RELIABLE}",
    "2": "without it the called side has answered and the caller does not know: the caller goes on waiting, and the "
    "called side ends the call after 32 seconds",  # RFC 3261 §13.3.1.4
    "3": "without it the caller does not learn where else to try and waits until the call times out",
    "401": "without it the caller does not learn that credentials are asked for, and waits in vain",
    "407": "without it the caller does not learn that credentials are asked for, and waits in vain",
    # RFC 3261 §9.1
    "487": "without it the caller's side does not learn that the call is given up, and keeps it until it times out",
    "": "without it the caller does not learn that the call was refused, tries nobody else and waits in vain",
}
# Of final responses to an INVITE within the call (RFC 3261 §14.1, §14.2, §12.2.1.2).
_REINVITE_AGREED = (
    "without it the side that wanted to change the session does not know that the other agreed, which ends the call "
    "after 32 seconds"
)
_REINVITE_REFUSED = (
    "without it the side that wanted to change the session gets no answer, and may end the call after 32 seconds"
)


def consequence(lost: LogRecord, decisions: Sequence[LogRecord]) -> str | None:
    """Return what the ends of a call experience when this message of it does not pass; None where that says itself.

    ``decisions`` are all records of the call: they tell a copy, a re-INVITE and the ACK of a refusal from others.
    """
    if lost["sip"] is None:
        return None
    exchange = [
        record for record in decisions if record["sip"] is not None and exchange_of(record) == exchange_of(lost)
    ]
    meaning = _meaning(lost, exchange)
    later = exchange[exchange.index(lost) + 1 :]
    copy = next((record for record in later if has_passed(record) and _is_copy(lost, record)), None)
    if meaning is None or copy is None:
        return meaning
    seconds = (instant(copy["timestamp"]) - instant(lost["timestamp"])) / 1e9
    passed = "was let pass" if has_passed(lost) else "passed"  # it may have been as impossible to send on
    return f"{meaning}; a copy of it {passed} {seconds:.1f} s later"


def _meaning(lost: LogRecord, exchange: Sequence[LogRecord]) -> str | None:
    """Return what the loss of a message of this exchange means where nothing like it comes later."""
    sip, dialog = lost["sip"], lost["dialog"]
    before = [record for record in takewhile(lambda record: record is not lost, exchange) if has_passed(record)]
    if any(_is_copy(lost, record) for record in before):
        return _COPIES["reject" if lost["decision"]["verdict"] == "reject" else "drop"]
    method, asked = sip.get("method"), asked_method(sip)
    if method == "INVITE":
        return _SESSION_STAYS if dialog.get("to_tag") else None
    if method == "ACK" and any(map(_is_refusal, exchange)):
        return _ACK_OF_REFUSAL
    if method == "CANCEL" and dialog.get("to_tag"):
        return _CANCEL_OF_REINVITE
    if method is not None:
        return _REQUESTS.get(method)
    if not asked:
        return None  # a response without a CSeq that can be read: nobody knows what it answers
    if asked != "INVITE":
        return f"without it the side that sent the {asked} sends it again and gives up after 32 seconds"
    code = str(sip.get("code", ""))
    if any(map(is_reinvite, exchange)):
        return None if code < "2" else _REINVITE_AGREED if code < "3" else _REINVITE_REFUSED
    if code.startswith("2") and any(_is_answer_of_another(lost, record) for record in before):
        return _SECOND_ANSWER
    return next((text for status, text in _RESPONSES.items() if status and code.startswith(status)), _RESPONSES[""])


def _is_copy(lost: LogRecord, earlier: LogRecord) -> bool:
    """Tell whether an earlier message of the same exchange says the same."""
    one, other = lost["sip"], earlier["sip"]
    is_same = all(one.get(name) == other.get(name) for name in ("method", "code", "cseq"))
    return bool(is_same and lost["dialog"].get("to_tag") == earlier["dialog"].get("to_tag"))


def _is_answer_of_another(lost: LogRecord, earlier: LogRecord) -> bool:
    """Tell whether an earlier message is the answer of another branch of the call (RFC 3261 §16.7)."""
    is_answer = asked_method(earlier["sip"]) == "INVITE" and earlier["sip"].get("code", "").startswith("2")
    return bool(is_answer and lost["dialog"].get("to_tag") != earlier["dialog"].get("to_tag"))


def _is_refusal(record: LogRecord) -> bool:
    return asked_method(record["sip"]) == "INVITE" and record["sip"].get("code", "") >= "3"
