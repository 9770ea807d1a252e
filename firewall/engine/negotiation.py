"""What the session descriptions of one call agree on: offers and their answers in all the messages that may carry them.

RFC 3264 says what an offer and an answer are; RFC 3261 §13.2.1, RFC 3262 §5 and RFC 3311 §5 which messages carry them,
gathered in RFC 6337 §2: INVITE and its 1xx and 2xx, or the 2xx (or reliable 1xx) and its ACK (or PRACK); UPDATE; PRACK.
"""

from collections.abc import Mapping

import msgspec
from msgspec.structs import replace

from firewall.ruleset.facts import DialogState
from firewall.sip.body import contents_of_type
from firewall.sip.message import NO_TAG, DialogId, Message, Request, Response
from firewall.sip.sdp import SessionDescription, parse_sdp

_MAX_OFFERS = 16  # of one call, answered ones included: forks answer the same one several times
_MAX_SESSIONS = 16  # one per fork
_OFFERING_METHODS = frozenset({"INVITE", "UPDATE", "PRACK"})

OfferKey = tuple[str, int, str] | DialogId
"""From tag, CSeq number and method of the request that carries it; the dialog for an offer in a response."""


class Party(msgspec.Struct, frozen=True, gc=False):
    """One side of a call: its zone and the address its signalling comes from."""

    zone: str | None
    ip: str


class Offer(msgspec.Struct, frozen=True, gc=False):
    """An offer, who made it, who got it. ``is_final``: its request has its final response, no other answer comes.

    ``cseq`` is the CSeq number of the transaction that brought it: the same words in a later one are a new offer.
    ``is_strange``: nothing but the Call-ID says that it is of this call. ``is_renewal``: a dialog was there before it.
    """

    description: SessionDescription
    by: Party
    to: Party
    number: int
    is_final: bool = False
    cseq: int | None = None
    is_strange: bool = False
    is_renewal: bool = False


class Session(msgspec.Struct, frozen=True, gc=False):
    """What one dialog agreed on, and who answered. ``is_renewed``: it had agreed on something before.

    ``before`` is what it goes back to when the request is refused that brought the offer.
    """

    offer: Offer
    answer: SessionDescription
    answerer: Party
    is_renewed: bool = False
    before: "Session | None" = None


class Negotiation(msgspec.Struct, eq=False, gc=False):
    """The offers and the sessions of one call; ``made`` offers were made so far. ``ringing`` are the dialogs of the
    sessions that nobody answered while another fork was."""

    offers: dict[OfferKey, Offer] = msgspec.field(default_factory=dict)
    sessions: dict[DialogId, Session] = msgspec.field(default_factory=dict)
    made: int = 0
    ringing: frozenset[DialogId] = frozenset()

    def note(
        self, message: Message, by: Party, to: Party, dialog: DialogId | None, *, is_strange: bool = False
    ) -> bool:
        """Take note of a message of a dialog that was let through; tell whether offers or sessions changed by it."""
        description, made = description_of(message), self.made
        if isinstance(message, Request):
            changed = description is not None and self._request(message, description, by, to, dialog)
        else:
            changed = self._response(message, description, by, to, dialog)
        if self.made != made:
            self._bound_offers(is_strange=is_strange)
        return changed

    def note_ringing(self, dialogs: Mapping[DialogId, DialogState]) -> bool:
        """Take note of which forks only ring; tell whether that changed."""
        before, self.ringing = self.ringing, frozenset[DialogId]()
        if "confirmed" in dialogs.values():
            self.ringing = frozenset(dialog for dialog in self.sessions if dialogs.get(dialog) != "confirmed")
        return self.ringing != before

    def forget(self, dialog: DialogId) -> bool:
        """Forget the session of a dialog that ended; tell whether there was one."""
        session, offer = self.sessions.pop(dialog, None), self.offers.pop(dialog, None)
        return session is not None or offer is not None

    def _request(
        self, request: Request, description: SessionDescription, by: Party, to: Party, dialog: DialogId | None
    ) -> bool:
        late = self.offers.get(dialog) if dialog is not None else None
        if request.method in ("ACK", "PRACK") and dialog is not None and late is not None and not late.is_final:
            self.offers[dialog] = replace(late, is_final=True)
            return self._answered(dialog, late, description, by)
        if request.method not in _OFFERING_METHODS:
            return False
        key = _key(request)
        if key is None or key in self.offers:
            return False  # a retransmission
        self._offered(key, description, by, to, request.cseq_number, is_renewal=request.to_tag is not None)
        return True

    def _response(
        self,
        response: Response,
        description: SessionDescription | None,
        by: Party,
        to: Party,
        dialog: DialogId | None,
    ) -> bool:
        key, status = _key(response), response.status_code
        offer = self.offers.get(key) if key is not None else None
        if key is not None and offer is not None:
            if status >= 300:
                return not offer.is_final and self._refused(key, offer)
            changed = False
            if description is not None and dialog is not None and status > 100:
                changed = self._answered(dialog, offer, description, by)
            # A 2xx without any answer is wrong (RFC 3261 §13.3.1.4), but no reason to take the offerer's way from it.
            if status >= 200 and not offer.is_final and dialog in self.sessions:
                self.offers[key] = replace(offer, is_final=True)
                changed = True
            return changed
        if dialog is None or response.cseq_method != "INVITE":
            return False
        known = self.offers.get(dialog)
        if status >= 300 and known is not None and (known.cseq, known.by) == (response.cseq_number, by):
            return self._refused(dialog, known)
        if description is None or status >= 300 or (status < 200 and response.header("rseq") is None):
            return False
        if known is not None and (known.cseq, known.description) == (response.cseq_number, description):
            return False  # a retransmission
        self._offered(dialog, description, by, to, response.cseq_number)
        return True

    def _offered(
        self,
        key: OfferKey,
        description: SessionDescription,
        by: Party,
        to: Party,
        cseq: int | None,
        *,
        is_renewal: bool = False,
    ) -> None:
        self.made += 1
        self.offers[key] = Offer(description, by, to, self.made, cseq=cseq, is_renewal=is_renewal)

    def _bound_offers(self, *, is_strange: bool) -> None:
        """Forget the oldest of too many offers, first of those that anybody may have sent who knows the Call-ID, then
        of those that were answered: the answer to the INVITE may come after many UPDATEs."""
        if is_strange:
            newest = next(reversed(self.offers))
            self.offers[newest] = replace(self.offers[newest], is_strange=True)
        if len(self.offers) > _MAX_OFFERS:
            del self.offers[min(self.offers, key=lambda key: _worth(self.offers[key]))]

    def _refused(self, key: OfferKey, offer: Offer) -> bool:
        """Forget an offer, and what a provisional response answered to it: all stays as it was (RFC 3261 §14.1)."""
        del self.offers[key]
        for dialog, session in self.sessions.items():
            if session.offer.number == offer.number and session.before is not None:
                self.sessions[dialog] = session.before
        return True

    def _answered(self, dialog: DialogId, offer: Offer, answer: SessionDescription, by: Party) -> bool:
        known = self.sessions.get(dialog)
        if known is not None and (
            # The 2xx may say again what a 1xx said, after an UPDATE has changed it (RFC 6337 §3.1.1).
            known.offer.number > offer.number or (known.offer.number == offer.number and known.answer == answer)
        ):
            return False
        if known is None and len(self.sessions) >= _MAX_SESSIONS:
            # A queue asks one call taker after the other: the longest ago are those that will not answer any more.
            unanswered = (dialog for dialog in self.sessions if dialog in self.ringing)
            del self.sessions[next(unanswered, next(iter(self.sessions)))]
        if known is None:
            # After a restart nobody knows what a re-INVITE renews.
            self.sessions[dialog] = Session(offer, answer, by, offer.is_renewal)
        elif known.offer.number == offer.number:
            self.sessions[dialog] = Session(offer, answer, by, known.is_renewed, known.before)
        else:
            self.sessions[dialog] = Session(offer, answer, by, is_renewed=True, before=replace(known, before=None))
        return True


def description_of(message: Message) -> SessionDescription | None:
    """Return the session description in a message's body, however deep in a multipart body; None without one."""
    if not message.body or b"m=" not in message.body:
        return None
    for content in contents_of_type(message, "application/sdp"):
        return parse_sdp(content)
    return None


def _worth(offer: Offer) -> tuple[bool, bool]:
    return not offer.is_strange, not offer.is_final


def _key(message: Message) -> OfferKey | None:
    if message.cseq_number is None or message.cseq_method is None:
        return None
    return message.from_tag or NO_TAG, message.cseq_number, message.cseq_method
