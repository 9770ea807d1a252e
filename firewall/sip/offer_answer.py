"""What an offer and its answer agree on: which media flow where (RFC 3264 §6)."""

from collections import deque

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


def negotiate(offer: SessionDescription, answer: SessionDescription) -> tuple[NegotiatedMedium, ...]:
    """Pair the media of an offer with those of its answer, by their order (RFC 3264 §6).

    An answer that has another order, or leaves out what it rejects, is wrong, but what it says of an audio is meant for
    one: what the order does not pair is paired by the kind. Sections that the answer has beyond that were never offered
    and are left out.
    """
    offered, answered = offer.media, answer.media
    paired = list(map(_paired, offered, answered))
    if len(offered) > len(answered):
        paired += [NegotiatedMedium(medium, None) for medium in offered[len(answered) :]]
    if len(offered) > 1 or len(answered) > 1:
        _pair_by_kind(paired, offered, answered)
        paired = [_bundled(pair, paired, answered) for pair in paired]
    return tuple(paired)


def _bundled(
    pair: NegotiatedMedium, paired: list[NegotiatedMedium], answered: tuple[MediaDescription, ...]
) -> NegotiatedMedium:
    """A medium that offer and answer bundle with another goes where that one goes, whatever port stands in its own
    section, 0 of ``a=bundle-only`` included (RFC 9143 §7.3)."""
    answer = pair.answer
    if answer is None or answer.tagged is None or pair.offer.tagged is None:
        return pair
    tag = answered[answer.tagged]
    tagged = next((each for each in paired if each.answer is tag), pair)
    if tagged is pair or tagged.answer is None:
        return pair
    return _paired(pair.offer.sharing(tagged.offer), answer.sharing(tagged.answer))


def _pair_by_kind(
    paired: list[NegotiatedMedium], offered: tuple[MediaDescription, ...], answered: tuple[MediaDescription, ...]
) -> None:
    kinds, said = [_kind(medium) for medium in offered], [_kind(medium) for medium in answered]
    if kinds == said:
        return
    unpaired: dict[str, deque[MediaDescription]] = {}
    for number, kind in enumerate(said):
        if kind not in kinds[number : number + 1]:
            unpaired.setdefault(kind, deque()).append(answered[number])
    for number, kind in enumerate(kinds):
        if kind not in said[number : number + 1] and unpaired.get(kind):
            paired[number] = _paired(offered[number], unpaired[kind].popleft())


def _kind(medium: MediaDescription) -> str:
    return medium.media.lower()


def _paired(offer: MediaDescription, answer: MediaDescription) -> NegotiatedMedium:
    if not offer.port or not answer.port or answer.media.lower() != offer.media.lower():
        return NegotiatedMedium(offer, answer)
    to_offerer = answer.direction in _SENDS and offer.direction in _RECEIVES
    to_answerer = offer.direction in _SENDS and answer.direction in _RECEIVES
    return NegotiatedMedium(offer, answer, True, to_offerer, to_answerer)
