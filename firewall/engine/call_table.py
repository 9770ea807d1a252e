"""The table of calls: one entry per Call-ID, bounded, each forgotten at its deadline.

Only what was allowed makes an entry (so a flood of dropped messages fills nothing), and an emergency call, whatever
became of it.
"""

from collections import OrderedDict
from collections.abc import Callable

from firewall.engine.call import TRANSACTION_NS, Call
from firewall.engine.deadlines import Deadlines
from firewall.engine.description_memory import DescriptionMemory
from firewall.ruleset.facts import EmergencyMark
from firewall.sip.message import Message

MAX_CALLS = 100_000


class CallTable:
    """Every call by its Call-ID, at most ``MAX_CALLS``, each forgotten at its deadline.

    ``crowded_out`` are the emergency calls that made room for others, until somebody takes them to tell of them;
    ``deadlines`` are when calls may be overdue or have to be forgotten.
    """

    def __init__(self, max_calls: int = MAX_CALLS) -> None:
        self.descriptions = DescriptionMemory()
        self._calls: dict[str, Call] = {}
        self._ordinary: OrderedDict[str, None] = OrderedDict()  # those that may make room, oldest first
        # Emergency calls that make room where there are no others: by stage, each the longest there first.
        self._unanswered: tuple[OrderedDict[str, None], OrderedDict[str, None]] = (OrderedDict(), OrderedDict())
        self.crowded_out: list[Call] = []
        self.deadlines = Deadlines[str]()
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
        """Make an entry; None when the table is full. ``must``: the oldest ordinary call makes room instead, or an
        emergency call that nobody answered; none that goes on."""
        if len(self._calls) >= self._max_calls and not (must and self._make_room()):
            return None
        deadline_ns = now_ns + TRANSACTION_NS
        call = Call(call_id, now_ns, deadline_ns, deadline_ns)
        self._calls[call_id] = call
        self._ordinary[call_id] = None
        self.deadlines.put(call_id, deadline_ns)
        return call

    def forwarded(self, call: Call, message: Message, now_ns: int) -> None:
        """Take note that a message of this call was let through."""
        call.forwarded(message, now_ns)
        if call.emergency is not None:
            self._place(call)
        if call.deadline_ns < call.scheduled_ns:
            self.schedule(call)

    def schedule(self, call: Call) -> None:
        """Look at a call when there is something to do about it, if that is sooner than was planned."""
        wake_ns = call.wake_ns
        if wake_ns < call.scheduled_ns:
            self._schedule(call, wake_ns)

    def mark_emergency(self, call: Call, mark: EmergencyMark) -> None:
        """Take a call as an emergency from now on: it makes room for no ordinary one."""
        call.emergency = mark
        self._ordinary.pop(call.call_id, None)
        self._place(call)

    def expire(self, now_ns: int, heard_ns: Callable[[Call], int]) -> list[tuple[Call, int]]:
        """Return the calls whose answer is overdue and those whose deadline has come, each with its instant.

        The second are forgotten, but no emergency call of which something is still heard: ``heard_ns`` tells when it
        last was. The first wait for a late answer: whoever tells of them ends the waiting for one.
        """
        expired: list[tuple[Call, int]] = []
        while (due := self.deadlines.pop(now_ns)) is not None:
            due_ns, call_ids = due
            for call in [self._calls[call_id] for call_id in call_ids]:
                if call.deadline_ns <= due_ns and call.emergency is not None:
                    call.heard(heard_ns(call))
                if call.deadline_ns <= due_ns:
                    self.forget(call.call_id)
                    expired.append((call, call.deadline_ns))
                elif call.wake_ns > now_ns:
                    self._schedule(call, call.wake_ns)
                else:
                    if call.wake_ns < call.deadline_ns:
                        expired.append((call, call.wake_ns))
                    self._schedule(call, call.deadline_ns)
        return expired

    def _schedule(self, call: Call, at_ns: int) -> None:
        self.deadlines.remove(call.call_id, call.scheduled_ns)
        call.scheduled_ns = at_ns
        self.deadlines.put(call.call_id, at_ns)

    def _place(self, call: Call) -> None:
        """Put an emergency call where its stage is, so that room is made at once however many there are."""
        for stage, there in enumerate(self._unanswered):
            if call.stage == stage:
                there.setdefault(call.call_id)
            else:
                there.pop(call.call_id, None)

    def _make_room(self) -> bool:
        for makes_room in (self._ordinary, *self._unanswered):
            oldest = next(iter(makes_room), None)
            if oldest is not None:
                if makes_room is not self._ordinary:
                    self.crowded_out.append(self._calls[oldest])
                self.forget(oldest)
                return True
        return False

    def forget(self, call_id: str) -> None:
        """Forget a call at once."""
        call = self._calls.pop(call_id)
        self.deadlines.remove(call_id, call.scheduled_ns)
        if call.media is not None:
            self.descriptions.remove(call_id)
        for makes_room in (self._ordinary,) if call.emergency is None else self._unanswered:
            makes_room.pop(call_id, None)
