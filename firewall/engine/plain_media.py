"""The plan of what nearly every call negotiates: RTP and RTCP with one address of its own zone on each side. It is made
at once, without the questions that ``media_plan.py`` asks of everything else; the ways are the same.
"""

from collections.abc import Callable
from functools import lru_cache

from msgspec import Struct

from firewall.engine.negotiation import Negotiation, Offer, Party, Session
from firewall.engine.pinhole import PinholeKey
from firewall.engine.way import Way
from firewall.ruleset.policy import Policy
from firewall.sip.media_endpoint import Endpoint, Formats, endpoints, has_other_addresses, medium_kind, plain_address
from firewall.sip.media_endpoint import formats as formats_of
from firewall.sip.offer_answer import negotiate
from firewall.sip.sdp import Direction, MediaDescription

_PROTOCOLS = frozenset({"RTP/AVP", "RTP/AVPF", "RTP/SAVP", "RTP/SAVPF", "UDP/TLS/RTP/SAVP", "UDP/TLS/RTP/SAVPF"})
_MAX_MEDIA = 16  # far below what would be too many ways of one call
REMEMBERED_ADDRESSES = 4096
_LONGEST_ADDRESS = 45  # ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255


class _Plain(Struct, frozen=True, gc=False):
    """What is needed of a plain medium; ``rtcp`` is where it takes RTCP, at most one endpoint of the same address."""

    ip: str
    port: int
    rtcp: tuple[Endpoint, ...]
    kind: str
    formats: Formats
    direction: Direction
    is_muxed: bool


class PlainPlanner:
    """Plans by one policy. ``is_of_zone`` tells whether whoever is in a zone may have media at an address, ``latches``
    whether the ways of sessions do."""

    def __init__(self, policy: Policy, is_of_zone: Callable[[str, str | None], bool], *, latches: bool) -> None:
        self._is_of_zone = is_of_zone
        self._comparable = frozenset(zone.name for zone in policy.zones if zone.networks)
        self._latches = latches
        self._address = lru_cache(maxsize=REMEMBERED_ADDRESSES)(self._find_address)
        self._is_by_address = policy.media.source == "address"
        self._are_offers_open = policy.media.early == "offer"
        self._ports = range(policy.media.ports[0], policy.media.ports[1] + 1)
        self._signalling_ports = policy.signalling_ports

    def ways(self, negotiation: Negotiation) -> dict[PinholeKey, Way] | None:
        """Return the ways of a call that has one session or one open offer, all of it plain, or neither; None else."""
        sessions, offers = [*negotiation.sessions.values()], [*negotiation.offers.values()]
        offers = [each for each in offers if not each.is_final] if self._are_offers_open else []
        if len(sessions) + len(offers) > 1 or negotiation.ringing or negotiation.candidates or negotiation.early:
            return None
        ways = self._session_ways(sessions[0]) if sessions else self._offer_ways(offers[0]) if offers else []
        if ways is None:
            return None
        by_key = {way.key: way for way in ways}
        return by_key if len(by_key) == len(ways) else None  # media that share a way

    def _session_ways(self, session: Session) -> list[Way] | None:
        offerer, answerer = session.offer.by, session.answerer
        media = negotiate(session.offer.description, session.answer)
        if not self._is_by_address or len(media) > _MAX_MEDIA:
            return None
        ways: list[Way] = []
        for index, medium in enumerate(media):
            if not medium.is_accepted or medium.answer is None:
                continue
            offer, answer = self._plain(medium.offer, offerer), self._plain(medium.answer, answerer)
            if offer is None or answer is None or (":" in offer.ip) != (":" in answer.ip):
                return None
            to_offerer, to_answerer = medium.flows_to_offerer, medium.flows_to_answerer
            is_muxed = offer.is_muxed and answer.is_muxed
            is_silent = medium.offer.media.lower() not in ("audio", "video")
            if is_silent or (session.is_renewed and not (to_offerer and to_answerer)):
                to_offerer = to_answerer = False
            latches = self._latches
            for sender, receiver, src, dst, is_expected, is_back in (
                (answer, offer, answerer, offerer, to_offerer, to_answerer and latches),
                (offer, answer, offerer, answerer, to_answerer, to_offerer and latches),
            ):
                kind, formats, direction = receiver.kind, receiver.formats, sender.direction
                key = PinholeKey("UDP", None, sender.ip, None, receiver.ip, receiver.port)
                ways.append(
                    Way(
                        key, kind, "rtp", index, formats, direction, src, dst,
                        is_expected=is_expected, latches=latches, is_back_expected=is_back,
                    )
                )  # fmt: skip
                for endpoint in () if is_muxed else receiver.rtcp:
                    key = PinholeKey("UDP", None, sender.ip, None, *endpoint)
                    latches_rtcp = latches and bool(sender.rtcp)
                    ways.append(Way(key, kind, "rtcp", index, formats, direction, src, dst, latches=latches_rtcp))
        return ways

    def _offer_ways(self, offer: Offer) -> list[Way] | None:
        media, src, dst = offer.description.media, offer.to, offer.by
        zone = src.zone if src.zone in self._comparable else None
        plain = [each for medium in media if (each := self._plain(medium, dst)) is not None]
        if len(plain) < len(media) or len(media) > _MAX_MEDIA:
            return None
        ways: list[Way] = []
        for index, each in enumerate(plain):
            key = PinholeKey("UDP", zone, None, None, each.ip, each.port)
            ways.append(Way(key, each.kind, "rtp", index, each.formats, "sendrecv", src, dst, is_early=True))
            for endpoint in each.rtcp:
                key = PinholeKey("UDP", zone, None, None, *endpoint)
                ways.append(Way(key, each.kind, "rtcp", index, each.formats, "sendrecv", src, dst, is_early=True))
        return ways

    def _plain(self, medium: MediaDescription, party: Party) -> _Plain | None:
        port, attributes, address = medium.port, medium.own.by_name, medium.address
        ip = self._address(address, party.zone) if address is not None and len(address) <= _LONGEST_ADDRESS else None
        if ip is None or medium.number_of_ports != 1 or has_other_addresses(medium) or medium.proto not in _PROTOCOLS:
            return None
        rtcp_ip, rtcp_port = ip, port + 1
        rtcp: tuple[Endpoint, ...] = ((ip, rtcp_port),)
        if "rtcp" in attributes:
            rtcp = endpoints(medium, "rtcp")
            rtcp_ip, rtcp_port = rtcp[0] if rtcp else (ip, port)
        if rtcp_ip != ip or port not in self._ports or rtcp_port not in self._ports:
            return None
        if port in self._signalling_ports or rtcp_port in self._signalling_ports:
            return None
        is_muxed = "rtcp-mux" in attributes
        return _Plain(ip, port, rtcp, medium_kind(medium), formats_of(medium), medium.direction, is_muxed)

    def _find_address(self, text: str, zone: str | None) -> str | None:
        """The address of a medium as packets have it; None where it is none, or not one of its party's zone."""
        ip = plain_address(text)
        return ip if ip is not None and self._is_of_zone(ip, zone) else None
