"""What the session descriptions of one call agree on: offers and their answers in all the messages that may carry them.

RFC 3264 says what an offer and an answer are; RFC 3261 §13.2.1, RFC 3262 §5 and RFC 3311 §5 which messages carry them,
gathered in RFC 6337 §2: INVITE and its 1xx and 2xx, or the 2xx (or reliable 1xx) and its ACK (or PRACK); UPDATE; PRACK.
INFO brings ICE candidates later than these (RFC 8840).
"""

from collections.abc import Callable, Mapping

import msgspec
from msgspec.structs import replace

from firewall.ruleset.facts import DialogState
from firewall.sip.body import SDP_TYPE, body_parts, contents_of_type
from firewall.sip.message import NO_TAG, DialogId, Message, Request, Response, TransactionId
from firewall.sip.sdp import SessionDescription, parse_sdp

_MAX_OFFERS = 16  # of one call, answered ones included: forks answer the same one several times
_MAX_SESSIONS = 16  # one per fork
_MAX_BRANCHES = 64  # of one offer
_LONGEST_FRAGMENT = 8192  # 16 candidates of 16 media
_MAX_FRAGMENTS = 2 * _MAX_SESSIONS
_CANDIDATES = "application/trickle-ice-sdpfrag"
_OFFERING_METHODS = frozenset({"INVITE", "UPDATE", "PRACK"})

_RequestKey = tuple[str, int | None, str | None]
"""From tag, CSeq number and method: what all branches of a request have in common (RFC 3261 §16.6)."""
SessionKey = tuple[DialogId, tuple[str, str]]
"""A dialog, and the addresses between which this part of it goes, in the order of the dialog's tags: a proxy may send
on what it received by way of the firewall again, and a media relay beside it make two sessions of it."""
OfferKey = _RequestKey | TransactionId | tuple[DialogId, tuple[str, str], _RequestKey]
"""The request that carries it, its transaction where another branch carries another; the session and the request for an
offer in a response."""


class Party(msgspec.Struct, frozen=True, gc=False):
    """One side of a call: its zone and the address its signalling comes from."""

    zone: str | None
    ip: str


class Offer(msgspec.Struct, frozen=True, gc=False):
    """An offer, who made it, who got it. ``is_final``: its request has its final response, no other answer comes.

    ``request`` is what brought it: the same words in a later one are a new offer. ``branches`` are the transactions
    that carry it and were not refused, one for each fork. ``is_strange``: nothing but the Call-ID says that it is of
    this call. ``is_renewal``: a dialog was there before it. ``answered_by``: the ACK or PRACK that answers it.
    """

    description: SessionDescription
    by: Party
    to: Party
    number: int
    is_final: bool = False
    request: _RequestKey | None = None
    branches: tuple[TransactionId, ...] = ()
    is_strange: bool = False
    is_renewal: bool = False
    answered_by: TransactionId | None = None


class Session(msgspec.Struct, frozen=True, gc=False):
    """What one dialog, or a part of it, agreed on, and who answered. ``is_renewed``: it had agreed on something before.

    ``before`` is what it goes back to when the request is refused that brought the offer.
    """

    offer: Offer
    answer: SessionDescription
    answerer: Party
    is_renewed: bool = False
    before: "Session | None" = None


class Negotiation(msgspec.Struct, eq=False, gc=False):
    """The offers and the sessions of one call; ``made`` offers were made so far. ``ringing`` are the sessions that
    nobody answered while another fork was. ``candidates`` is what the side of a dialog that has an address named last
    after its description. ``early`` is agreed on beside it, of media until the answer (RFC 3959)."""

    offers: dict[OfferKey, Offer] = msgspec.field(default_factory=dict)
    sessions: dict[SessionKey, Session] = msgspec.field(default_factory=dict)
    made: int = 0
    ringing: frozenset[SessionKey] = frozenset()
    candidates: dict[tuple[DialogId, str], bytes] = msgspec.field(default_factory=dict)
    early: "Negotiation | None" = None

    @property
    def octets(self) -> int:
        """How much memory the descriptions take, roughly."""
        kept = [offer.description for offer in self.offers.values()]
        for session in self.sessions.values():
            kept += [session.answer, session.offer.description]
            if session.before is not None:
                kept += [session.before.answer, session.before.offer.description]
        octets = sum({id(description): description.octets for description in kept}.values())
        early_octets = self.early.octets if self.early is not None else 0
        return octets + sum(map(len, self.candidates.values())) + early_octets

    def note(
        self, message: Message, by: Party, to: Party, dialog: DialogId | None, *, is_strange: bool = False
    ) -> bool:
        """Take note of a message of a dialog that was let through; tell whether offers or sessions changed by it."""
        description, early = descriptions_of(message)
        changed = self._note(message, description, by, to, dialog, is_strange=is_strange)
        if early is not None or self.early is not None:
            self.early = self.early or Negotiation()
            changed |= self.early._note(message, early, by, to, dialog, is_strange=is_strange)
        return changed

    def _note(
        self,
        message: Message,
        description: SessionDescription | None,
        by: Party,
        to: Party,
        dialog: DialogId | None,
        *,
        is_strange: bool,
    ) -> bool:
        made = self.made
        if isinstance(message, Request):
            if message.method == "INFO":
                return dialog is not None and not is_strange and self._more_candidates(message, by, dialog)
            changed = description is not None and self._request(message, description, by, to, dialog)
        else:
            changed = self._response(message, description, by, to, dialog)
        if self.made != made:
            self._bound_offers(is_strange=is_strange)
        return changed

    def note_ringing(self, dialogs: Mapping[DialogId, DialogState]) -> bool:
        """Take note of which forks only ring; tell whether that changed."""
        before, self.ringing = (self.ringing, self.early), frozenset[SessionKey]()
        if "confirmed" in dialogs.values():
            self.ringing = frozenset(key for key in self.sessions if dialogs.get(key[0]) != "confirmed")
            self.early = None
        return (self.ringing, self.early) != before

    def move(self, moved: Callable[[Party], Party]) -> None:
        """Take the parties for those that ``moved`` says, as where a new policy has other zones."""
        for key, offer in self.offers.items():
            self.offers[key] = _offer_moved(offer, moved)
        for session_key, session in self.sessions.items():
            self.sessions[session_key] = _session_moved(session, moved)
        if self.early is not None:
            self.early.move(moved)

    def forget(self, dialog: DialogId) -> bool:
        """Forget the sessions of a dialog that ended; tell whether there was one."""
        sessions, offers = self._sessions_of(dialog), [key for key in self.offers if key[0] == dialog]
        for session in sessions:
            del self.sessions[session]
        for offer in offers:
            del self.offers[offer]
        for side in [each for each in self.candidates if each[0] == dialog]:
            del self.candidates[side]
        is_early = self.early is not None and self.early.forget(dialog)
        return bool(sessions or offers or is_early)

    def with_candidates(self, key: SessionKey) -> Session:
        """Return a session with the candidates that its sides named later."""
        session = self.sessions[key]
        offer, answer = session.offer, session.answer
        if (fragment := self.candidates.get((key[0], offer.by.ip))) is not None:
            offer = replace(offer, description=offer.description.with_candidates(fragment))
        if (fragment := self.candidates.get((key[0], session.answerer.ip))) is not None:
            answer = answer.with_candidates(fragment)
        return replace(session, offer=offer, answer=answer)

    def _more_candidates(self, info: Request, by: Party, dialog: DialogId) -> bool:
        """Take note of candidates: each fragment names all of them so far (RFC 8840 §4.4)."""
        fragment = next(iter(contents_of_type(info, _CANDIDATES)), None)
        is_party = any(by.ip in (offer.by.ip, offer.to.ip) for offer in self.offers.values())
        if fragment is None or len(fragment) > _LONGEST_FRAGMENT or not is_party:
            return False
        before = self.candidates.pop((dialog, by.ip), None)
        self.candidates[dialog, by.ip] = fragment
        if len(self.candidates) > _MAX_FRAGMENTS:
            del self.candidates[next(iter(self.candidates))]
        return before != fragment

    def _request(
        self, request: Request, description: SessionDescription, by: Party, to: Party, dialog: DialogId | None
    ) -> bool:
        branch = request.transaction_id
        if request.method in ("ACK", "PRACK") and dialog is not None:
            late_of = _session_key(dialog, request.to_tag, to, by)
            found = self._late_offer(late_of, lambda late: _may_answer(request, late))
            if found is not None:
                late_key, late = found
                self.offers[late_key] = replace(late, is_final=True, answered_by=branch)
                return self._answered(_session_key(dialog, request.to_tag, late.by, late.to), late, description, by)
        if request.method not in _OFFERING_METHODS or branch is None:
            return False
        if any(branch in (*each.branches, each.answered_by) for each in self.offers.values()):
            return False  # a retransmission
        request_key = _request_key(request)
        key: OfferKey = request_key
        if request_key in self.offers:
            branches = [(each, offer) for each, offer in self.offers.items() if offer.request == request_key]
            for each, offer in branches:
                if offer.description == description:
                    self.offers[each] = replace(offer, branches=(*offer.branches, branch)[-_MAX_BRANCHES:])
                    return False
            key = branch
        is_renewal = request.to_tag is not None
        self.made += 1
        self.offers[key] = Offer(
            description, by, to, self.made, request=request_key, branches=(branch,), is_renewal=is_renewal
        )
        return True

    def _response(
        self, response: Response, description: SessionDescription | None, by: Party, to: Party, dialog: DialogId | None
    ) -> bool:
        key, offer = self._offer_of(response)
        if offer is None:
            if dialog is None or response.cseq_method != "INVITE":
                return False
            return self._offer_in_response(response, description, by, to, dialog)
        status = response.status_code
        if status >= 300:
            return not offer.is_final and self._refused(key, offer, response.transaction_id)
        changed = False
        if description is not None and dialog is not None and status > 100:
            session = _session_key(dialog, response.from_tag, offer.by, offer.to)
            if status >= 200 or not offer.is_final or session not in self.sessions:  # else it comes late
                changed = self._answered(session, offer, description, by)
        # A 2xx without any answer is wrong (RFC 3261 §13.3.1.4), but no reason to take the offerer's way from it.
        if status >= 200 and not offer.is_final and dialog is not None and self._sessions_of(dialog):
            self.offers[key] = replace(offer, is_final=True)
            changed = True
        return changed

    def _offer_in_response(
        self, response: Response, description: SessionDescription | None, by: Party, to: Party, dialog: DialogId
    ) -> bool:
        request_key, status = _request_key(response), response.status_code
        own_key = _session_key(dialog, response.to_tag, by, to)
        known = self._late_offer(own_key, lambda late: late.request == request_key)
        if status >= 300:
            return known is not None and known[1].by == by and self._refused(*known, None)
        if description is None or (status < 200 and response.header("rseq") is None):
            return False
        if known is not None and known[1].description == description:
            return False  # a retransmission
        self.made += 1
        self.offers[(*own_key, request_key)] = Offer(description, by, to, self.made, request=request_key)
        return True

    def _offer_of(self, response: Response) -> tuple[OfferKey, Offer | None]:
        """Return the offer that the branch of a request carries which a response answers."""
        request_key, branch = _request_key(response), response.transaction_id
        offer = self.offers.get(request_key)
        if offer is not None and branch in offer.branches:
            return request_key, offer
        return next((each for each in self.offers.items() if branch in each[1].branches), (request_key, offer))

    def _late_offer(self, session: SessionKey, is_meant: Callable[[Offer], bool]) -> tuple[OfferKey, Offer] | None:
        """Return the last offer that is meant of those that responses made of a session, or else of another part of its
        dialog."""
        dialog, ends = session
        found = [each for each in self.offers.items() if each[0][0] == dialog and is_meant(each[1])]
        return next(reversed([each for each in found if each[0][1] == ends] or found), None)

    def _sessions_of(self, dialog: DialogId) -> list[SessionKey]:
        return [key for key in self.sessions if key[0] == dialog]

    def _bound_offers(self, *, is_strange: bool) -> None:
        """Forget the oldest of too many offers, first of those that anybody may have sent who knows the Call-ID, then
        of those that were answered: the answer to the INVITE may come after many UPDATEs."""
        if is_strange:
            newest = next(reversed(self.offers))
            self.offers[newest] = replace(self.offers[newest], is_strange=True)
        if len(self.offers) > _MAX_OFFERS:
            del self.offers[min(self.offers, key=lambda key: _worth(self.offers[key]))]

    def _refused(self, key: OfferKey, offer: Offer, branch: TransactionId | None) -> bool:
        """Forget an offer that no other fork may answer, and what a provisional response answered to it: all stays as
        it was (RFC 3261 §14.1, §16.7)."""
        if others := tuple(each for each in offer.branches if each != branch):
            self.offers[key] = replace(offer, branches=others)
            return False
        del self.offers[key]
        for session_key, session in self.sessions.items():
            if session.offer.number == offer.number and session.before is not None:
                self.sessions[session_key] = session.before
        return True

    def _answered(self, key: SessionKey, offer: Offer, answer: SessionDescription, by: Party) -> bool:
        known = self.sessions.get(key)
        left = self._left_for(key[0], offer) if known is None and self.sessions else []
        if left:
            known = max((self.sessions[each] for each in left), key=lambda session: session.offer.number)
        if known is not None and (
            # The 2xx may say again what a 1xx said, after an UPDATE has changed it (RFC 6337 §3.1.1).
            known.offer.number > offer.number or (known.offer.number == offer.number and known.answer == answer)
        ):
            return False
        for each in left:
            del self.sessions[each]
        if known is None and len(self.sessions) >= _MAX_SESSIONS:
            # A queue asks one call taker after the other: the longest ago are those that will not answer any more.
            unanswered = (each for each in self.sessions if each in self.ringing)
            del self.sessions[next(unanswered, next(iter(self.sessions)))]
        if known is None:
            # After a restart nobody knows what a re-INVITE renews.
            self.sessions[key] = Session(offer, answer, by, offer.is_renewal)
        elif known.offer.number == offer.number:
            self.sessions[key] = Session(offer, answer, by, known.is_renewed, known.before)
        else:
            self.sessions[key] = Session(offer, answer, by, is_renewed=True, before=replace(known, before=None))
        return True

    def _left_for(self, dialog: DialogId, offer: Offer) -> list[SessionKey]:
        """Return the sessions of a dialog that one between other addresses replaces: none where another part agreed on
        another offer of the same request."""
        parts = self._sessions_of(dialog)
        is_part = [each for each in parts if self.sessions[each].offer.request == offer.request]
        return [] if is_part else parts


def _offer_moved(offer: Offer, moved: Callable[[Party], Party]) -> Offer:
    return replace(offer, by=moved(offer.by), to=moved(offer.to))


def _session_moved(session: Session, moved: Callable[[Party], Party]) -> Session:
    return replace(
        session,
        offer=_offer_moved(session.offer, moved),
        answerer=moved(session.answerer),
        before=_session_moved(session.before, moved) if session.before is not None else None,
    )


def descriptions_of(message: Message) -> tuple[SessionDescription | None, SessionDescription | None]:
    """Return the descriptions of the session and of an early session (RFC 3959) in a message's body, however deep in a
    multipart body; None for each that is not there."""
    if not message.body or b"m=" not in message.body:
        return None, None
    if message.header("content-type") == SDP_TYPE and message.header("content-disposition") is None:
        return parse_sdp(message.body), None
    found: dict[bool, SessionDescription] = {}
    for part in body_parts(message):
        if part.content_type == SDP_TYPE:
            found.setdefault(part.disposition == "early-session", parse_sdp(part.content))
    return found.get(False), found.get(True)


def _may_answer(request: Request, late: Offer) -> bool:
    """Tell whether an ACK or PRACK may answer an offer that a response brought: it is of the same INVITE (an earlier
    ACK may come again), and no other did."""
    if late.is_final or late.request is None:
        return False
    from_tag, number, _ = late.request
    return (request.from_tag or NO_TAG) == from_tag and (request.method != "ACK" or request.cseq_number == number)


def _worth(offer: Offer) -> tuple[bool, bool]:
    return not offer.is_strange, not offer.is_final


def _session_key(dialog: DialogId, tag: str | None, by: Party, to: Party) -> SessionKey:
    """Name a session by its dialog and by who made its offer, has that tag, and sent it to whom."""
    return dialog, (by.ip, to.ip) if (tag or NO_TAG) == dialog[0] else (to.ip, by.ip)


def _request_key(message: Message) -> _RequestKey:
    return message.from_tag or NO_TAG, message.cseq_number, message.cseq_method
