"""Transactions as a proxy between two user agents sees them (RFC 3261 §17 with the correction of RFC 6026)."""

from collections.abc import Iterable
from typing import Literal

import msgspec

from firewall.sip.message import Message, Request, TransactionId, transaction_name

TransactionState = Literal["trying", "proceeding", "accepted", "completed", "confirmed", "rejected", "unsent"]
TransactionTrigger = Literal["provisional", "success", "failure", "ack"]

# What is not in the table changes nothing: a final state stays, and what comes again is a retransmission.
INVITE_TRANSITIONS: dict[tuple[TransactionState, TransactionTrigger], TransactionState] = {
    ("trying", "provisional"): "proceeding",  # RFC 3261 figure 5
    ("trying", "success"): "accepted",  # RFC 6026 §7.2: a 2xx, and the 2xx of other forks
    ("proceeding", "success"): "accepted",
    ("trying", "failure"): "completed",
    ("proceeding", "failure"): "completed",
    ("completed", "ack"): "confirmed",  # RFC 3261 figure 7
}
NON_INVITE_TRANSITIONS: dict[tuple[TransactionState, TransactionTrigger], TransactionState] = {
    ("trying", "provisional"): "proceeding",  # RFC 3261 figure 6
    ("trying", "success"): "completed",
    ("proceeding", "success"): "completed",
    ("trying", "failure"): "completed",
    ("proceeding", "failure"): "completed",
}
UNANSWERED: frozenset[TransactionState] = frozenset({"trying", "proceeding"})
_FINAL: frozenset[TransactionState] = frozenset({"accepted", "completed", "confirmed"})


class Transaction(msgspec.Struct, gc=False):
    """One transaction that was let through, or, in state ``rejected``, answered by the firewall itself. ``unsent``: it
    could not be sent on, and has failed unless it comes again (RFC 3261 §8.1.3.1).

    ``is_within``: it was asked within a dialog, as a re-INVITE is (RFC 3261 §14).
    """

    method: str
    state: TransactionState = "trying"
    is_within: bool = False

    @property
    def is_allowed(self) -> bool:
        """Whether what belongs to this transaction may follow it."""
        return self.state != "rejected"

    @property
    def is_refused(self) -> bool:
        """Whether its INVITE got a final response that is no success: an ACK of the same transaction ends it."""
        return self.state in ("completed", "confirmed") and self.method == "INVITE"

    @property
    def is_ringing(self) -> bool:
        """Whether it is an INVITE that is still to be answered."""
        return self.method == "INVITE" and self.state in UNANSWERED

    def is_repeated_by(self, message: Message) -> bool:
        """Tell whether a message only says again what this transaction heard before (RFC 3261 §17.1.1.2)."""
        if not isinstance(message, Request):
            return message.status_code >= 200 and self.state in _FINAL
        if message.method == "ACK":
            return self.state == "confirmed"
        return message.method == self.method

    def note(self, message: Message) -> None:
        """Move on with a message that was let through."""
        if not isinstance(message, Request):
            self.answered(message.status_code)
        elif message.method == "ACK":
            self._move("ack")

    def answered(self, status: int) -> None:
        """Move on with a response of this status."""
        self.sent_again()
        self._move("provisional" if status < 200 else "success" if status < 300 else "failure")

    def sent_again(self) -> None:
        """Move on with another copy of the request."""
        if self.state == "unsent":
            self.state = "trying"

    def _move(self, trigger: TransactionTrigger) -> None:
        table = INVITE_TRANSITIONS if self.method == "INVITE" else NON_INVITE_TRANSITIONS
        self.state = table.get((self.state, trigger), self.state)


def says_nothing(known: Transaction | None, method: str | None) -> bool:
    """Tell whether what belongs to a transaction says nothing of how its call goes.

    That is the answer (``method`` None) to a request within a dialog, as a re-INVITE is (RFC 3261 §14.1), the ACK of a
    refusal, and a CANCEL of what nobody asked: whoever gets that answers 481 (§9.2).
    """
    if known is None:
        return method == "CANCEL"
    return known.is_within if method is None else method == "ACK" and known.state != "accepted"


def furthest_awaited(transactions: Iterable[Transaction]) -> TransactionState | None:
    """Return how far those INVITEs outside a dialog are that may still be answered, None where there are none."""
    states = {each.state for each in transactions if each.is_ringing and not each.is_within}
    return "proceeding" if "proceeding" in states else "trying" if states else None


def own_transaction_id(request: Request) -> TransactionId | None:
    """Return the transaction that a request begins: a CANCEL has responses of its own (RFC 3261 §9.1), an ACK none."""
    if request.method != "CANCEL":
        return request.transaction_id if request.method != "ACK" else None
    if request.cseq_number is None or request.cseq_method is None:
        return None
    return request.cseq_number, request.cseq_method, transaction_name(request.via_branch, request.from_tag)
