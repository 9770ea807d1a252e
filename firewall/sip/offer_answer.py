"""What an offer and its answer agree on: which media flow where (RFC 3264 §6)."""

from msgspec import Struct

from firewall.sip.sdp import MediaDescription, SessionDescription

_SENDS = ("sendrecv", "sendonly")
_RECEIVES = ("sendrecv", "recvonly")


class NegotiatedMedium(Struct, frozen=True, gc=False):
    """One medium as offered and as answered; both sides' ports are open only when neither rejected it.

    ``is_accepted``: neither side put port 0, and the answer did not turn it into another kind of medium.
    ``flows_to_offerer``: the answerer may send media to the offer's address and port; ``flows_to_answerer``: the
    offerer to the answer's.
    """

    offer: MediaDescription
    answer: MediaDescription | None
    """None where the answer has fewer ``m=`` sections than the offer, which RFC 3264 §6 does not allow."""
    is_accepted: bool = False
    flows_to_offerer: bool = False
    flows_to_answerer: bool = False

    @property
    def formats(self) -> tuple[str, ...]:
        """The formats that the answer accepts, in its order of preference."""
        return self.answer.formats if self.answer is not None and self.is_accepted else ()


def negotiate(offer: SessionDescription, answer: SessionDescription) -> tuple[NegotiatedMedium, ...]:
    """Pair the media of an offer with those of its answer, by their order (RFC 3264 §6).

    Sections that the answer has beyond the offer's were never offered and are left out.
    """
    offered, answered = offer.media, answer.media
    paired = list(map(_paired, offered, answered))
    if len(offered) > len(answered):
        paired += [NegotiatedMedium(medium, None) for medium in offered[len(answered) :]]
    return tuple(paired)


def _paired(offer: MediaDescription, answer: MediaDescription) -> NegotiatedMedium:
    if not offer.port or not answer.port or answer.media.lower() != offer.media.lower():
        return NegotiatedMedium(offer, answer)
    to_offerer = answer.direction in _SENDS and offer.direction in _RECEIVES
    to_answerer = offer.direction in _SENDS and answer.direction in _RECEIVES
    return NegotiatedMedium(offer, answer, True, to_offerer, to_answerer)
