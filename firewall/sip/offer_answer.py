"""What an offer and its answer agree on: which media flow where (RFC 3264 §6)."""

from dataclasses import dataclass

from firewall.sip.sdp import MediaDescription, SessionDescription

_SENDS = ("sendrecv", "sendonly")
_RECEIVES = ("sendrecv", "recvonly")


@dataclass(frozen=True, slots=True)
class NegotiatedMedium:
    """One medium as offered and as answered; both sides' ports are open only when neither rejected it."""

    offer: MediaDescription
    answer: MediaDescription | None
    """None where the answer has fewer ``m=`` sections than the offer, which RFC 3264 §6 does not allow."""

    @property
    def is_accepted(self) -> bool:
        """Neither side put port 0, and the answer did not turn it into another kind of medium."""
        answer = self.answer
        return (
            answer is not None
            and not self.offer.is_rejected
            and not answer.is_rejected
            and answer.media.lower() == self.offer.media.lower()
        )

    @property
    def flows_to_offerer(self) -> bool:
        """The answerer may send media to the offer's address and port."""
        return self._flows(self.answer, self.offer)

    @property
    def flows_to_answerer(self) -> bool:
        """The offerer may send media to the answer's address and port."""
        return self._flows(self.offer, self.answer)

    @property
    def formats(self) -> tuple[str, ...]:
        """The formats that the answer accepts, in its order of preference."""
        return self.answer.formats if self.answer is not None and self.is_accepted else ()

    def _flows(self, sender: MediaDescription | None, receiver: MediaDescription | None) -> bool:
        if sender is None or receiver is None or not self.is_accepted:
            return False
        return sender.direction in _SENDS and receiver.direction in _RECEIVES


def negotiate(offer: SessionDescription, answer: SessionDescription) -> tuple[NegotiatedMedium, ...]:
    """Pair the media of an offer with those of its answer, by their order (RFC 3264 §6).

    Sections that the answer has beyond the offer's were never offered and are left out.
    """
    answered = answer.media
    return tuple(
        NegotiatedMedium(medium, answered[index] if index < len(answered) else None)
        for index, medium in enumerate(offer.media)
    )
