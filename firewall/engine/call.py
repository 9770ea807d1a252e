"""The calls the firewall knows: one entry per Call-ID with its transactions and dialogs, in a bounded table.

A REGISTER or OPTIONS exchange is an entry too, a short one. Only what was allowed makes an entry (so a flood of dropped
messages fills nothing), and an emergency call, whatever became of it.
"""

import heapq
from dataclasses import dataclass, field
from typing import Literal

from firewall.engine.attempt import Attempt
from firewall.engine.dialog import DialogId, dialog_id, next_state, trigger_of
from firewall.ruleset.facts import DialogState, EmergencyMark
from firewall.sip.message import Message, Request

SECOND_NS = 1_000_000_000
TRANSACTION_NS = 32 * SECOND_NS
"""64*T1: after this no retransmission comes any more (RFC 3261 §17.1.1.2, timers B, F, H, J)."""
RINGING_NS = 200 * SECOND_NS
"""Longer than Timer C (RFC 3261 §16.6 item 11: more than 3 minutes) of the proxies around us."""
DIALOG_NS = 24 * 3600 * SECOND_NS
"""A confirmed dialog of which nothing was heard for a day is forgotten."""

MAX_CALLS = 100_000
_MAX_TRANSACTIONS = 64  # per call: the oldest is forgotten; long subscriptions refresh for ever

TransactionId = tuple[int, str, str]
"""CSeq number, method (that of the request; INVITE for its ACK and CANCEL), branch ("" without one)."""

Follows = Literal["response", "in_dialog", "cancel", "reject_ack"]


@dataclass(slots=True)
class Call:
    """What is known of one Call-ID. ``tags`` are those of allowed messages: the right to belong to this call."""

    call_id: str
    began_ns: int
    deadline_ns: int
    scheduled_ns: int
    emergency: EmergencyMark | None = None
    attempt: Attempt | None = None
    tags: set[str] = field(default_factory=set)
    dialogs: dict[DialogId, DialogState] = field(default_factory=dict)
    transactions: dict[TransactionId, Literal["allowed", "rejected"]] = field(default_factory=dict)

    def state_for(self, message: Message) -> DialogState:
        """Return the state in which a message finds its dialog."""
        identifier = dialog_id(message)
        if identifier is not None:
            return self.dialogs.get(identifier, "none")
        return "early" if "early" in self.dialogs.values() and message.from_tag in self.tags else "none"

    def follows(self, message: Message) -> Follows | None:
        """Tell why a message belongs to something this call was already allowed, None when it does not."""
        transaction = transaction_id(message)
        known = self.transactions.get(transaction) if transaction is not None else None
        if not isinstance(message, Request):
            return "response" if known == "allowed" else None
        if message.method == "ACK" and known == "rejected":
            return "reject_ack"
        if message.method == "CANCEL":
            return "cancel" if known == "allowed" else None
        if message.method == "ACK" and known == "allowed":
            return "in_dialog"
        return "in_dialog" if dialog_id(message) in self.dialogs else None

    def belongs(self, message: Message) -> bool:
        """Tell whether a message carries a tag of this call, so that an invented Call-ID inherits nothing."""
        return message.from_tag in self.tags or message.to_tag in self.tags

    def forwarded(self, message: Message, now_ns: int) -> None:
        """Take note of a message that was let through."""
        if isinstance(message, Request):
            self.note_request(message, "allowed")
        self._move_dialogs(message)
        self._extend(message, now_ns)

    def pick_up(self, message: Message) -> None:
        """Take a dialog as confirmed whose beginning an earlier run of the firewall saw."""
        identifier = dialog_id(message)
        if identifier is not None:
            self.dialogs[identifier] = "confirmed"
            self.tags.update(identifier)

    def note_request(self, request: Request, what: Literal["allowed", "rejected"]) -> None:
        """Take note of a request's transaction and of its sender's tag."""
        if request.from_tag is not None:
            self.tags.add(request.from_tag)
        transaction = transaction_id(request)
        if transaction is None or request.method == "ACK":
            return
        if request.method == "CANCEL":
            # A CANCEL has responses of its own beside those of the INVITE whose branch it shares (RFC 3261 §9.1).
            transaction = (transaction[0], "CANCEL", transaction[2])
        self.transactions[transaction] = what
        if len(self.transactions) > _MAX_TRANSACTIONS:
            del self.transactions[next(iter(self.transactions))]

    def _move_dialogs(self, message: Message) -> None:
        trigger = trigger_of(message)
        identifier = dialog_id(message)
        if identifier is not None and trigger is not None:
            state = next_state(self.dialogs.get(identifier, "none"), trigger)
            if state != "none":
                self.dialogs[identifier] = state
                self.tags.update(identifier)
        if trigger == "failure":
            # A final failure ends every early dialog of the request, whatever tag each had (RFC 3261 §13.2.2.3).
            for early in [key for key, state in self.dialogs.items() if state == "early"]:
                self.dialogs[early] = "terminated"

    def _extend(self, message: Message, now_ns: int) -> None:
        states = self.dialogs.values()
        if "confirmed" in states:
            lasts_ns = DIALOG_NS
        elif "early" in states or (
            message.cseq_method == "INVITE" and not isinstance(message, Request) and message.status_code < 200
        ):
            lasts_ns = RINGING_NS
        else:
            lasts_ns = TRANSACTION_NS
        self.deadline_ns = now_ns + lasts_ns


def transaction_id(message: Message) -> TransactionId | None:
    """Return the transaction a message names; a CANCEL and an ACK name that of their INVITE (RFC 3261 §17.2.3).

    A response to a CANCEL names the CANCEL's own.
    """
    number, method = message.cseq_number, message.cseq_method
    if number is None or method is None:
        return None
    if isinstance(message, Request) and message.method in ("ACK", "CANCEL"):
        method = "INVITE"
    return number, method, message.via_branch or ""


class CallTable:
    """Every call by its Call-ID, at most ``MAX_CALLS``, each forgotten at its deadline."""

    def __init__(self, max_calls: int = MAX_CALLS) -> None:
        self._calls: dict[str, Call] = {}
        self._deadlines: list[tuple[int, str]] = []
        self._max_calls = max_calls

    def __len__(self) -> int:
        return len(self._calls)

    @property
    def is_full(self) -> bool:
        """Whether an ordinary call finds no place any more."""
        return len(self._calls) >= self._max_calls

    def get(self, call_id: str | None) -> Call | None:
        """Return the call of this Call-ID, None when unknown."""
        return self._calls.get(call_id) if call_id is not None else None

    def all(self) -> list[Call]:
        """Return every call, oldest first."""
        return list(self._calls.values())

    def add(self, call_id: str, now_ns: int, *, must: bool) -> Call | None:
        """Make an entry; None when the table is full. ``must``: the oldest ordinary call makes room instead."""
        if len(self._calls) >= self._max_calls and not (must and self._make_room()):
            return None
        deadline_ns = now_ns + TRANSACTION_NS
        call = Call(call_id, now_ns, deadline_ns, deadline_ns)
        self._calls[call_id] = call
        heapq.heappush(self._deadlines, (deadline_ns, call_id))
        return call

    def forwarded(self, call: Call, message: Message, now_ns: int) -> None:
        """Take note that a message of this call was let through."""
        call.forwarded(message, now_ns)
        if call.deadline_ns < call.scheduled_ns:
            self._schedule(call)

    def next_deadline(self) -> int | None:
        """Return the earliest instant at which a call may have to be forgotten."""
        return self._deadlines[0][0] if self._deadlines else None

    def expire(self, now_ns: int) -> list[Call]:
        """Forget the calls whose deadline has come, and return them."""
        expired: list[Call] = []
        while self._deadlines and self._deadlines[0][0] <= now_ns:
            due_ns, call_id = heapq.heappop(self._deadlines)
            call = self._calls.get(call_id)
            if call is None or call.scheduled_ns != due_ns:
                continue
            if call.deadline_ns > now_ns:
                self._schedule(call)
            else:
                del self._calls[call_id]
                expired.append(call)
        return expired

    def _schedule(self, call: Call) -> None:
        call.scheduled_ns = call.deadline_ns
        heapq.heappush(self._deadlines, (call.deadline_ns, call.call_id))

    def _make_room(self) -> bool:
        for call_id, call in self._calls.items():
            if call.emergency is None:
                del self._calls[call_id]
                return True
        return False
