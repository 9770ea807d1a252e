"""One emergency call attempt: how far it came, from the messages that passed and those that did not.

An attempt begins with an INVITE or MESSAGE of an emergency call outside a dialog, and has one Call-ID; a second INVITE
with credentials (RFC 3261 §22.2) belongs to it. Outcomes and problems are NENA's words where one fits.
"""

from collections.abc import Collection

import msgspec

from firewall.engine.record import Attribution, EmergencyCall, HurtBy, MediaLoss, Outcome
from firewall.engine.timestamp import seconds_between, timestamp
from firewall.engine.transaction import TransactionState, own_transaction_id
from firewall.engine.trunk import BlockedKeepAlive
from firewall.net.datagram import Datagram
from firewall.ruleset.emergency import wire_text
from firewall.ruleset.facts import EmergencyMark
from firewall.sip.message import Message, Request, Response, TransactionId

# RFC 3261 §13.3.1.4: an answer that nobody acknowledges for 64*T1 (32 s) ends the call; a little less, for the wire.
_UNACKNOWLEDGED_NS = 31_000_000_000
LAST_TRY_NS = 31_000_000_000
"""The last INVITE of RFC 3261 §17.1.1.2 (timer A) is sent after 31.5 s: who has sent that one waits no longer."""
TIMER_B_NS = 32_000_000_000
"""64*T1: a request without any response has failed (RFC 3261 §17.1.1.2, timer B; §17.1.2.2, timer F)."""
_SETTLED_NS = 33_000_000_000
"""Within this an answer is acknowledged, or ended by who gave it; and a call that was sent back is tried again."""
TIMER_C_NS = 200_000_000_000
"""Longer than Timer C (RFC 3261 §16.6 item 11: more than 3 minutes) of the proxies around us."""
_SHORT_ABSENCE_NS = 3_000_000_000  # a restart takes so long, and few calls are answered in it
CHALLENGES = frozenset({401, 407})
SENT_BACK = CHALLENGES | {422, 494}
"""Who gets one sends the request again at once, with credentials, a longer session (RFC 4028 §7.3) or an agreement on
security (RFC 3329 §2.3.1)."""
_CALLEE_REACHED = frozenset({486, 600, 603})
"""Busy and declined (RFC 3261 §21.4.24, §21.6): somebody was there to say so, whatever the state of the trunk."""
ATTEMPT_METHODS = frozenset({"INVITE", "MESSAGE"})


def begins_call(message: Message | None) -> bool:
    """Tell whether a message could begin a call: an INVITE or MESSAGE outside a dialog."""
    return isinstance(message, Request) and message.to_tag is None and message.method in ATTEMPT_METHODS


class Attempt(msgspec.Struct, eq=False, gc=False):
    """One emergency call attempt as far as it has come. Instants are engine time in nanoseconds, None until known.

    ``started_ns`` is when it began by the wall clock, as the log has it."""

    first: Datagram
    flow_id: int
    mark: EmergencyMark
    began_ns: int
    started_ns: int
    method: str
    latest: Datagram | None = None
    """The last try at it, to another PSAP perhaps than the first."""
    tried_ns: int = 0
    """When the request whose answer is waited for was first sent."""
    answer_due_ns: int | None = None
    """When it has failed unless a final response has come by then; None when no answer is waited for."""
    tried: TransactionId | None = None
    """Of the request whose answer is waited for: a retransmission begins no new wait."""
    is_recovered: bool = False
    """An earlier run saw it begin, and nothing was seen since that tells whether it has been answered meanwhile;
    without ``answer_due_ns`` nobody knows how it stands."""
    is_overdue: bool = False
    """It was told as failed because no answer, or no ACK of it, had come in time; a late one changes that."""
    ringing_ns: int | None = None
    answered_ns: int | None = None
    is_answered_again: bool = False
    """Its answer came again, as it does until the called side has the ACK (RFC 3261 §13.3.1.4)."""
    is_acknowledged: bool = False
    ended_ns: int | None = None
    final_status: int | None = None
    hurt_by: HurtBy | None = None
    attribution: Attribution | None = None
    trunk_down: BlockedKeepAlive | None = None
    """A keep-alive that was blocked before it was tried on that trunk."""
    initial_blocked: bool = False
    initial_passed: int = 0
    """How often a request that begins it was let through and could be sent on; anew from one that was blocked."""
    is_cancelled: bool = False
    guarded: bool = False
    media_loss: tuple[MediaLoss, ...] = ()
    media_blocked: bool = False
    outcome: Outcome | None = None

    @property
    def trunk_cause(self) -> BlockedKeepAlive | None:
        """The blocked keep-alive that may be why it failed downstream."""
        return None if self.final_status in _CALLEE_REACHED else self.trunk_down

    def recovered(self, log_end_ns: int, now_ns: int) -> None:
        """Go on after a restart, where the log ends at an instant.

        Nobody knows any more how it stands after a long absence, be it an earlier one: a run without it would have told
        that no answer came in time. Nor of a text, whose answer comes at once: if none came it is sent again (RFC 3261
        §17.1.2.2, timer E), and waited for then.
        """
        self.is_recovered, self.is_answered_again = True, False  # an ACK may have passed while no daemon ran
        is_untold = self.answer_due_ns is not None and self.answer_due_ns < log_end_ns
        is_text_sent = self.method == "MESSAGE" and self.first.transport == "UDP" and self.hurt_by is None
        is_sent_again = is_text_sent and self.final_status is None
        if is_untold or is_sent_again or now_ns - log_end_ns > _SHORT_ABSENCE_NS:
            self.answer_due_ns = None
        elif self.answer_due_ns is not None:
            self.answer_due_ns = max(self.answer_due_ns, now_ns)

    def expect_answer(self, tried: TransactionId | None, now_ns: int) -> None:
        """Begin to wait for the answer of a request that begins the call, or begins it anew: timers run from here."""
        if self.answered_ns is not None or (self.answer_due_ns is not None and self.tried == tried):
            return
        if self.is_overdue and self.tried == tried:
            return
        if self.tried != tried:
            self.final_status, self.is_cancelled = None, False  # that was another try
            self.ended_ns = self.ended_ns if self.outcome == "completed" else None
            if self.outcome in ("abandoned", "impaired"):
                self.outcome = None  # a proxy hunts (RFC 3261 §16.6)
        self.tried = tried
        self.tried_ns = now_ns
        self.answer_due_ns = now_ns + TIMER_B_NS
        self.is_overdue = False

    def passed(self, message: Message, now_ns: int, *, others: TransactionState | None, is_up: bool) -> Outcome | None:
        """Take note of a message that was let through; return the outcome when it is known by it, else None.

        ``others``: how far other branches of the call are that may still be answered (RFC 3261 §16.7). ``is_up``: a
        dialog of it is confirmed and goes on.
        """
        was_overdue = self.is_overdue
        if isinstance(message, Request):
            outcome = self.request_passed(message.method, now_ns, is_first=message.to_tag is None, is_up=is_up)
        else:
            outcome = self.response_passed(message.status_code, message.cseq_method, now_ns, others=others)
        if was_overdue and not self.is_overdue and outcome is None and self.hurt_by is None:
            return "in_progress"
        if outcome is not None and self.answered_ns is not None and self.ended_ns is None:
            self.ended_ns = now_ns  # be it that it was told as impaired before: who calls now begins another
        if outcome is None or self.outcome is not None or self.never_began:
            return None
        self.ended_ns = now_ns
        # What we stopped of a call is why it did not go well, whatever the others then say.
        self.outcome = "impaired" if self.is_hurt else outcome
        return self.outcome

    @property
    def is_hurt(self) -> bool:
        """Whether something of it was lost, by us or by others."""
        return self.hurt_by is not None or bool(self.media_loss)

    @property
    def never_began(self) -> bool:
        """Whether its first request was blocked each time: it was told as blocked, and a capture may show more."""
        return self.initial_blocked and not self.initial_passed

    @property
    def is_unheard(self) -> bool:
        """Whether it failed because its answer was never acknowledged, and nobody else is known to have hurt it."""
        return self.outcome == "impaired" and not self.is_hurt

    @property
    def is_redirected(self) -> bool:
        """Whether it is open, and its last try was sent elsewhere (RFC 3261 §8.1.3.4)."""
        return self.is_open and self.final_status is not None and self.final_status // 100 == 3

    @property
    def is_open(self) -> bool:
        """Whether its outcome is still to come."""
        return self.outcome is None and not self.never_began

    def is_followed_by(self, request: Request, tags: Collection[str]) -> bool:
        """Tell whether a request begins an attempt after this one: each text message has an end of its own, and some
        phones call again with the Call-ID of a call that has ended. ``tags`` are those of the call."""
        if request.method != self.method:
            return self.outcome is not None and not self.is_overdue
        is_new_tag = request.from_tag is not None and request.from_tag not in tags
        return self.ends_before(own_transaction_id(request), is_new_tag=is_new_tag)

    def ends_before(self, tried: TransactionId | None, *, is_new_tag: bool) -> bool:
        """Tell whether a try with this name is none of this attempt, which has ended, but begins another.

        A copy or branch of an INVITE that comes late has its number and tag. Who was refused tries again, whether or
        not something of the try before was lost.
        """
        if self.tried == tried:
            return False
        if self.method == "MESSAGE":
            return not self.is_open or (self._is_unknown and self.final_status is None)
        is_later = tried is not None and self.tried is not None and tried[0] > self.tried[0]
        was_refused = self.final_status not in (None, 487) and self.answered_ns is None
        return self.ended_ns is not None and not was_refused and (is_later or is_new_tag)

    def is_of_earlier(self, message: Message) -> bool:
        """Tell whether a message is a copy of another try than the one that is waited for, or answers a text that was
        sent before."""
        if isinstance(message, Request):
            return begins_call(message) and own_transaction_id(message) != self.tried
        return self.is_earlier_text(message.transaction_id)

    def is_earlier_text(self, asked: TransactionId | None) -> bool:
        """Tell whether a transaction is that of a text that was sent before the one whose answer is waited for."""
        if self.method != "MESSAGE" or self.tried is None or asked is None:
            return False
        return asked[1] == "MESSAGE" and asked[0] != self.tried[0]

    def is_aftermath(self, request: Request) -> bool:
        """Tell whether a request only ends an attempt whose first request was blocked: the CANCEL or ACK of nothing."""
        return self.never_began and request.method in ("CANCEL", "ACK")

    def request_passed(self, method: str, now_ns: int, *, is_first: bool, is_up: bool) -> Outcome | None:
        """Take note of a request (``is_first``: outside a dialog); return the outcome that it shows.

        A BYE ends the call only when no dialog is left: a fork is given up with one, and anybody can invent one.
        """
        if method in ("CANCEL", "PRACK") or (method == self.method and is_first):
            self.is_recovered = False  # nobody has answered it yet, or this would not come
        elif self.is_recovered and not is_first:
            if method != "UPDATE":  # which may come before the answer, too
                self.answer_due_ns = None
            if method != "BYE" or self.answered_ns is None:
                self._take_back_overdue()
        is_settled = self.answered_ns is not None and now_ns - self.answered_ns >= _UNACKNOWLEDGED_NS
        if (method == "ACK" and self.method == "INVITE") or (is_settled and not is_first and method != "BYE"):
            self.is_acknowledged = True  # else the called side would have ended it by now
            self._take_back_overdue()
            if self.answered_ns is None and self.final_status is None and self.outcome is None:
                self.answered_ns, self.answer_due_ns = now_ns, None  # by an answer that took another way, or was lost
        elif method == "BYE" and self.answered_ns is None and self.is_recovered:
            return "completed"
        elif method == "BYE" and self.answered_ns is not None and not is_up:
            # Who hangs up just then has waited for the ACK, be it that its answer came only once.
            self.is_answered_again |= not self.is_recovered and now_ns - self.answered_ns <= _SETTLED_NS
            return "impaired" if self._is_unacknowledged(now_ns) else "completed"
        elif method == "CANCEL":
            self.is_cancelled = True
        elif method == self.method and is_first:
            self.initial_passed += 1
            if self.outcome == "failed_downstream" and not self.is_overdue and self.final_status is None:
                self.outcome = None  # the caller tries again, with credentials or elsewhere
        return None

    def response_repeated(self, response: Response) -> None:
        """Take note of a copy of a response that was let through before."""
        if response.cseq_method == "INVITE" and response.status_code // 100 == 2:
            self.is_answered_again = True

    def response_passed(
        self, status: int, cseq_method: str | None, now_ns: int, *, others: TransactionState | None
    ) -> Outcome | None:
        """Take note of a response; return the outcome that it shows."""
        if cseq_method != self.method or self.answered_ns is not None:
            return None
        self.is_recovered = False
        if status >= 300 and others is not None:
            self.is_cancelled = False  # if it was, then to go on with another branch
            if others == "trying" and not self.is_overdue:  # the wait for who refused is over
                self.answer_due_ns = max(now_ns, self.tried_ns + TIMER_B_NS)
            return None
        self._take_back_overdue()
        if status >= 200:
            self.answer_due_ns = now_ns + _SETTLED_NS
        elif self.method == "INVITE":
            self.answer_due_ns = now_ns + TIMER_C_NS
        if status < 200:
            if status != 100 and self.ringing_ns is None:
                self.ringing_ns = now_ns
            return None
        self.final_status = status
        if status < 300:
            if self.outcome == "failed_downstream":
                # It answers a try that nobody saw, as in a restart, or another branch.
                self.outcome = self.ended_ns = None
            self.answered_ns = now_ns
            self.is_acknowledged = False  # what was acknowledged before was a refusal
            return "completed" if self.method == "MESSAGE" else None
        if status == 487:
            return "abandoned"
        return None if status in SENT_BACK or status < 400 else "failed_downstream"

    def try_blocked(self, *, others: TransactionState | None) -> None:
        """Take note that a try at it was blocked, be it that another branch of the call may still be answered."""
        if self.outcome == "failed_downstream" or others is None:
            self.initial_passed = 0  # what passed before was refused, challenged, redirected or never answered

    def _take_back_overdue(self) -> None:
        if self.is_overdue:
            self.is_overdue = False
            self.outcome = None  # late, but there is somebody

    def overdue(self, now_ns: int) -> Outcome | None:
        """Return the outcome of an attempt whose answer, or the ACK of it, has not come in time, None when there is
        nothing to tell."""
        is_waiting = self.answered_ns is None or self._is_unacknowledged(now_ns)
        outcome = self.expired(now_ns) if is_waiting else None
        self.answer_due_ns = None
        self.is_overdue = outcome is not None
        return outcome

    def stopped(self, now_ns: int) -> Outcome:
        """Return how an open attempt stands when the firewall stops, or the capture ends.

        Where the caller has sent its last try, or waited for the ACK as long as anybody does, the end has come.
        """
        is_silent = self.answer_due_ns == self.tried_ns + TIMER_B_NS  # not even a 100
        if (is_silent and now_ns - self.tried_ns >= LAST_TRY_NS) or self._is_unacknowledged(now_ns):
            return self.expired(now_ns) or "in_progress"
        return "impaired" if self.is_hurt else "in_progress"

    @property
    def _is_unknown(self) -> bool:
        """Whether it may have been answered in a restart."""
        return self.is_recovered and self.answered_ns is None and self.answer_due_ns is None

    def _is_unacknowledged(self, now_ns: int) -> bool:
        """Whether it was answered, and nobody acknowledged that for as long as the called side waits; the ACK of an
        answer that came only once took another way than through this machine."""
        if self.answered_ns is None or self.is_acknowledged or not self.is_answered_again:
            return False
        return now_ns - self.answered_ns >= _UNACKNOWLEDGED_NS

    def expired(self, now_ns: int) -> Outcome | None:
        """Return the outcome of an attempt of which nothing more is expected, None when it was told before."""
        if self.outcome is not None or self.never_began or self._is_unknown:
            return None
        if self.is_hurt or self._is_unacknowledged(now_ns):
            self.outcome = "impaired"
        elif self.answered_ns is not None:
            self.outcome = "completed"
        else:
            self.outcome = "abandoned" if self.is_cancelled else "failed_downstream"
        return self.outcome


def ledger_record(
    call_id: str, attempt: Attempt, outcome: Outcome, now_ns: int, frame_number: int | None
) -> EmergencyCall:
    """Return the log's record of an attempt with this outcome at this instant."""
    first = attempt.first
    trunk_down = attempt.trunk_cause if outcome == "failed_downstream" else None
    return EmergencyCall(
        timestamp=timestamp(now_ns),
        flow_id=attempt.flow_id,
        in_iface=first.in_iface,
        pcap_cnt=frame_number,
        src_ip=first.src_ip,
        src_port=first.src_port,
        dest_ip=first.dst_ip,
        dest_port=first.dst_port,
        proto=first.transport,
        call_id=wire_text(call_id),
        emergency=attempt.mark,
        outcome=outcome,
        problem=_problem(attempt, outcome),
        attribution=attempt.attribution or (trunk_down.attribution if trunk_down else _others_doing(outcome)),
        hurt_by=attempt.hurt_by or (trunk_down.hurt_by if trunk_down else None),
        guarded=attempt.guarded,
        started=timestamp(attempt.started_ns),
        ringing_s=seconds_between(attempt.began_ns, attempt.ringing_ns),
        answered_s=seconds_between(attempt.began_ns, attempt.answered_ns),
        ended_s=seconds_between(attempt.began_ns, attempt.ended_ns),
        final_status=attempt.final_status,
        media_loss=attempt.media_loss,
    )


def _problem(attempt: Attempt, outcome: Outcome) -> str | None:
    """NENA-STA-010.3's BCFDiscrepancyReport words for what the firewall did."""
    if outcome not in ("blocked", "impaired"):
        return None
    if (attempt.media_loss or attempt.media_blocked) and not attempt.initial_blocked:
        return "MediaLoss"
    if attempt.hurt_by is None:
        return None
    return "InitialTrafficBlocked" if attempt.initial_blocked else "MidTrafficBlocked"


def _others_doing(outcome: Outcome) -> Attribution | None:
    match outcome:
        case "failed_downstream" | "impaired":
            return "downstream"
        case "abandoned":
            return "caller"
        case _:
            return None
