"""One call as the firewall knows it: the transactions and dialogs of a Call-ID, and whether it is an emergency.

A REGISTER or OPTIONS exchange is a call too, a short one.
"""

import re
from collections.abc import Collection
from typing import Literal

import msgspec

from firewall.engine.attempt import Attempt
from firewall.engine.call_media import CallMedia
from firewall.engine.caller import Caller
from firewall.engine.dialog import Trigger, half_named_dialog, next_state, trigger_of
from firewall.engine.transaction import UNANSWERED, Transaction, TransactionState, furthest_awaited, own_transaction_id
from firewall.ruleset.facts import DialogState, EmergencyMark
from firewall.sip.message import NO_TAG, DialogId, Message, Request, Response, TransactionId

SECOND_NS = 1_000_000_000
TRANSACTION_NS = 32 * SECOND_NS
"""64*T1: after this no retransmission comes any more (RFC 3261 §17.1.1.2, timers B, F, H, J)."""
RINGING_NS = 200 * SECOND_NS
"""Longer than Timer C (RFC 3261 §16.6 item 11: more than 3 minutes) of the proxies around us."""
QUEUED_NS = 30 * 60 * SECOND_NS
"""An emergency call may wait for a call taker, and is told as failed at Timer C before it is answered."""
UNANSWERED_NS = 2 * TRANSACTION_NS
"""An emergency call is told as failed at Timer B; an answer that comes later is let through, and who tries elsewhere
goes on with the same call."""
DIALOG_NS = 24 * 3600 * SECOND_NS
"""A confirmed dialog without a session timer of which nothing was heard for a day is forgotten."""

_MAX_TRANSACTIONS = 64  # per call: the oldest is forgotten; long subscriptions refresh for ever
_MAX_DIALOGS = 64  # per call: forks and forged To tags alike
_MAX_TAGS = 4 * _MAX_DIALOGS  # per call: those of its dialogs, and of forks and From tags that came and went
_SESSION_EXPIRES = re.compile(r"\s*(\d{1,7})", re.ASCII)

Follows = Literal["response", "in_dialog", "cancel", "reject_ack"]


class Place(msgspec.Struct, frozen=True, gc=False):
    """Where a message stands in its call.

    ``state``: in which it finds its dialog. ``follows``: what it belongs to that was already allowed, None for
    nothing. ``is_repeated``: it is a retransmission of a message that was let through.
    """

    state: DialogState = "none"
    follows: Follows | None = None
    is_repeated: bool = False


NOWHERE = Place()


class Call(msgspec.Struct, eq=False, gc=False):
    """What is known of one Call-ID. ``tags`` are those of allowed messages: the right to belong to this call. The first
    is the caller's.

    ``forks`` tells which INVITE each early dialog answers: a proxy before us may have sent several (RFC 3261 §16.7).
    ``hung_up_by``: the From tag of the first BYE. ``began_ns`` is by the wall clock, for people.
    ``stage``: nobody answered, or it is over (0), it rings (1), it goes on (2).

    Neither this nor what it holds has cycles, and the garbage collector does not look at it (``gc=False``, and dicts of
    what it does not look at either): of 100 000 calls it would take longer than a message may.
    """

    call_id: str
    began_ns: int
    deadline_ns: int
    scheduled_ns: int
    emergency: EmergencyMark | None = None
    attempt: Attempt | None = None
    caller: Caller | None = None
    media: CallMedia | None = None
    session_ns: int = DIALOG_NS
    stage: int = 0
    hung_up_by: str | None = None
    tags: dict[str, None] = msgspec.field(default_factory=dict)
    dialogs: dict[DialogId, DialogState] = msgspec.field(default_factory=dict)
    forks: dict[DialogId, TransactionId | None] = msgspec.field(default_factory=dict)
    transactions: dict[TransactionId, Transaction] = msgspec.field(default_factory=dict)

    @property
    def wake_ns(self) -> int:
        """When there is something to do about this call: its answer is overdue, or it is forgotten."""
        due_ns = self.attempt.answer_due_ns if self.attempt is not None else None
        return self.deadline_ns if due_ns is None else min(due_ns, self.deadline_ns)

    def place_of(self, message: Message) -> Place:
        """Return where a message stands in this call."""
        known, dialog = self.transaction_of(message), self.dialog_of(message)
        state = self.dialogs.get(dialog) if dialog is not None else None
        if isinstance(message, Request):
            follows = self._follows(message, known, in_dialog=state is not None)
            is_repeated = self._is_repeated_by(message, known)
        else:
            follows = "response" if known is not None and known.is_allowed else None
            # The answer of another fork has a To tag of its own (RFC 3261 §13.2.2.4).
            is_new = dialog is not None and state is None
            is_other_fork = is_new and message.status_code < 300 and message.cseq_method == "INVITE"
            is_repeated = known is not None and not is_other_fork and known.is_repeated_by(message)
        if dialog is None and "early" in self.dialogs.values() and message.from_tag in self.tags:
            state = "early"
        return Place(state or "none", follows, is_repeated)

    def _follows(self, request: Request, known: Transaction | None, *, in_dialog: bool) -> Follows | None:
        is_allowed = known is not None and known.is_allowed
        if request.method == "CANCEL":
            return "cancel" if is_allowed else None
        if request.method == "ACK" and known is not None:
            return "in_dialog" if is_allowed else "reject_ack"
        if request.method == "NOTIFY" and request.to_tag in self.tags and self._is_subscribed():
            return "in_dialog"  # it may come before the response to its SUBSCRIBE or REFER (RFC 6665 §4.4.1)
        return "in_dialog" if in_dialog else None

    def _is_repeated_by(self, request: Request, known: Transaction | None) -> bool:
        if request.method != "CANCEL":
            return known is not None and known.is_allowed and known.is_repeated_by(request)
        return own_transaction_id(request) in self.transactions

    def belongs(self, message: Message) -> bool:
        """Tell whether a message has a tag, transaction or dialog of this call: a mere Call-ID inherits nothing."""
        if self.has_tag_of(message) or message.transaction_id in self.transactions:
            return True
        return self.dialog_of(message) in self.dialogs

    def dialog_of(self, message: Message) -> DialogId | None:
        """Return the dialog that a message names, also where a side has no tag to be named by."""
        if message.from_tag is not None and message.to_tag is not None:
            return message.dialog_id
        is_answer = (
            isinstance(message, Response) and message.cseq_method == "INVITE" and message.status_code // 100 == 2
        )
        return half_named_dialog((message.from_tag, message.to_tag), self.tags, self.dialogs, is_answer=is_answer)

    def has_tag_of(self, message: Message) -> bool:
        """Tell whether a message has a tag of this call."""
        return message.from_tag in self.tags or message.to_tag in self.tags

    def misses(self, message: Message | None) -> bool:
        """Tell whether the loss of a message harms this call, as nearly every one does.

        The ACK of a refusal only ends the repeating of it (RFC 3261 §17.2.1), a CANCEL that comes after the answer has
        no effect (§9.1), and of a call that was blocked only the end is lost. A BYE that crosses another, and a request
        of somebody who has no tag of the call, a forged BYE say, end nothing: whoever gets it answers 481 (§12.2.2).
        """
        if not isinstance(message, Request):
            return True
        if self.attempt is not None and self.attempt.is_aftermath(message):
            return False
        known = self.transaction_of(message)
        if known is not None and message.method == "CANCEL":
            return known.state in UNANSWERED
        if known is not None:
            return message.method != "ACK" or not known.is_refused
        if message.method == "BYE" and self.place_of(message).state == "terminated":
            return message.from_tag == self.hung_up_by  # who is asked for credentials (§22) must hang up again
        if message.from_tag is None or message.from_tag in self.tags or message.method == "NOTIFY":
            return True  # a fork's NOTIFY may come before anything else of it (``_follows``)
        return not (self.tags and message.method == "CANCEL" if message.to_tag is None else self.dialogs)

    def names_dialog(self, tags: tuple[str | None, str | None]) -> bool:
        """Tell whether both tags are of this call, as a Replaces or Join header must have them (RFC 3891 §3)."""
        return tags[0] in self.tags and tags[1] in self.tags

    def forwarded(self, message: Message, now_ns: int) -> None:
        """Take note of a message that was let through."""
        if isinstance(message, Request):
            self._note_request(message, "trying")
        known = self.transaction_of(message)
        if known is not None:
            known.note(message)
        trigger = trigger_of(message)
        is_success = isinstance(message, Response) and 200 <= message.status_code < 300
        # What answers nothing that was asked is no part of this call, unless it is all that is known of it.
        if (trigger is not None or is_success) and (not self.tags or self.belongs(message)):
            if is_success:
                self._read_session_timer(message)
            if trigger is not None:
                self._move_dialogs(message, trigger)
        self._extend(now_ns)

    def heard(self, at_ns: int) -> None:
        """Take note that something of this call last came at an instant, as media does."""
        deadline_ns = self.deadline_ns
        self._extend(at_ns)
        self.deadline_ns = max(deadline_ns, self.deadline_ns)

    def rejected(self, request: Request) -> None:
        """Take note of a request that the firewall answered itself."""
        self._note_request(request, "rejected")

    def undelivered(self, request: Request) -> None:
        """Take note that a request let through reached nobody."""
        known = self.transaction_of(request)
        if known is not None and request.method == known.method:
            known.state = "unsent"

    def admit(self, tags: Collection[str]) -> None:
        """Take tags as this call's; of too many, those are forgotten that are of none of its dialogs."""
        for tag in tags:
            self.tags[tag] = None
        if len(self.tags) > _MAX_TAGS:
            caller = next(iter(self.tags))
            self.tags = dict.fromkeys((caller, *(tag for dialog in self.dialogs for tag in dialog), *tags))

    def pick_up(self, message: Message) -> None:
        """Take a dialog as confirmed whose beginning an earlier run of the firewall saw."""
        identifier = message.dialog_id
        if identifier is not None:
            self.dialogs[identifier] = "confirmed"
            self.admit(identifier)

    @property
    def is_over(self) -> bool:
        """Whether it was hung up: a fork that only rang is over too when no INVITE is to be answered any more."""
        states = self.dialogs.values()
        return "terminated" in states and "confirmed" not in states and not self.awaits_answer()

    def transaction_of(self, message: Message) -> Transaction | None:
        """Return the transaction that a message belongs to, None where it is not known."""
        identifier = message.transaction_id
        return self.transactions.get(identifier) if identifier is not None else None

    def awaits_answer(self) -> TransactionState | None:
        """Return how far the INVITEs outside a dialog are that may still be answered, None where there are none."""
        return furthest_awaited(self.transactions.values())

    def comes_late(self, message: Message) -> bool:
        """Tell whether a message is a request within a dialog that has its final response, or a provisional response
        behind a refusal of one: over UDP they may come again, and say nothing any more.

        An INVITE that begins a call may be tried again as it was, by who knows no better, and so may one within it when
        its refusal was acknowledged.
        """
        known = self.transaction_of(message)
        if known is None or not known.is_within or known.state in UNANSWERED:
            return False
        if isinstance(message, Request):
            return message.method == known.method and known.state != "confirmed"
        return message.status_code < 200 and known.state != "accepted"

    def _is_inviting(self) -> bool:
        for transaction in self.transactions.values():
            if transaction.state == "proceeding" and transaction.method == "INVITE":
                return True
        return False

    def _is_subscribed(self) -> bool:
        return any(each.is_allowed and each.method in ("SUBSCRIBE", "REFER") for each in self.transactions.values())

    def _note_request(self, request: Request, state: TransactionState) -> None:
        if not self.tags:
            self.admit((NO_TAG if request.from_tag is None else request.from_tag,))
        elif request.from_tag is not None and request.to_tag in self.tags:
            self.admit((request.from_tag,))
        identifier = own_transaction_id(request)
        if identifier is None:
            return
        known = self.transactions.get(identifier)
        if known is not None and (known.is_allowed or state == "rejected"):
            known.sent_again()
            return
        self.transactions[identifier] = Transaction(request.method, state, request.to_tag is not None)
        if len(self.transactions) > _MAX_TRANSACTIONS:
            # An INVITE that rings is waited for longer than anything that may come meanwhile.
            others = (key for key, each in self.transactions.items() if not each.is_ringing)
            del self.transactions[next(others, next(iter(self.transactions)))]

    def _move_dialogs(self, message: Message, trigger: Trigger) -> None:
        identifier = self.dialog_of(message)
        if identifier is not None:
            before = self.dialogs.get(identifier, "none")
            state = next_state(before, trigger)
            if trigger == "end" and before != "terminated":
                self.hung_up_by = message.from_tag
            if state != "none" and (identifier in self.dialogs or self._has_room_for(state)):
                self.dialogs[identifier] = state
                self.admit(identifier)
                if state == "early":
                    self.forks.setdefault(identifier, message.transaction_id)
        if trigger == "failure":
            # A final failure ends every early dialog of its request, whatever tag each had (RFC 3261 §13.2.2.3).
            failed = message.transaction_id
            for early, transaction in self.forks.items():
                if transaction == failed and self.dialogs[early] == "early":
                    self.dialogs[early] = "terminated"

    def _has_room_for(self, state: DialogState) -> bool:
        """Make room for another fork: where a queue asks one after the other, the longest ago answer no more."""
        if len(self.dialogs) >= _MAX_DIALOGS:
            others = (dialog for dialog, known in self.dialogs.items() if known != "confirmed")
            dialog = next(others, next(iter(self.dialogs)) if state == "confirmed" else None)
            if dialog is None:
                return False
            del self.dialogs[dialog]
            self.forks.pop(dialog, None)
        return True

    def _read_session_timer(self, success: Message) -> None:
        """RFC 4028 §9: the interval that a 2xx names; without a refresh in it both sides take the session as over."""
        if success.cseq_method in ("INVITE", "UPDATE"):
            interval = _SESSION_EXPIRES.match(success.header("session-expires") or "")
            # Twice the interval: a peer that refreshes late is still better heard than cut.
            self.session_ns = min(DIALOG_NS, 2 * int(interval[1]) * SECOND_NS) if interval else DIALOG_NS

    def _extend(self, now_ns: int) -> None:
        states = self.dialogs.values()
        if "confirmed" in states:
            # An emergency call whose timer nobody refreshes may still be talked on: it is not ours to end.
            lasts_ns = max(self.session_ns, TRANSACTION_NS) if self.emergency is None else DIALOG_NS
            self.stage = 2
        elif ("early" in states and not self.is_over) or self._is_inviting():
            lasts_ns = QUEUED_NS if self.attempt is not None else RINGING_NS
            self.stage = 1
        else:
            lasts_ns = TRANSACTION_NS if self.attempt is None else UNANSWERED_NS
            self.stage = 0
        self.deadline_ns = now_ns + lasts_ns
