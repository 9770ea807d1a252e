"""From what a call negotiated to the pinholes it needs: which may be opened, and why the others may not."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import islice

from msgspec.structs import replace

from firewall.engine.negotiation import Negotiation, Offer, Party, Session
from firewall.engine.pinhole import PinholeKey
from firewall.engine.plain_media import REMEMBERED_ADDRESSES, PlainPlanner
from firewall.engine.way import Course, Refusal, Way
from firewall.net.address import address_number, family
from firewall.ruleset.policy import MediaPolicy, Policy, Zone
from firewall.ruleset.zones import zone_fit
from firewall.sip.media_endpoint import (
    NOWHERE,
    Endpoint,
    MediaProtocol,
    endpoints,
    formats,
    has_other_addresses,
    is_rtp_medium,
    medium_kind,
    named_address,
)
from firewall.sip.offer_answer import NegotiatedMedium, negotiate
from firewall.sip.sdp import MediaDescription

MAX_WAYS = 128  # of one call: a hostile description must not fill the kernel's sets
_MAX_LOOKED_AT = 2048  # with those that are wanted again and again: 256 media may share a port and its candidates
MAX_CUT = 32  # so many of those beyond are told
_DISCARD = 9  # there is no port yet, or none any more (RFC 8829 §5.2.1)
_HIDDEN = ("media_third_party", "media_no_address")
_LARGEST = {4: 1 << 24, 6: 1 << 120}  # addresses of one network: a /8
_MAX_SOURCES = 4  # more addresses than these (ICE) are taken as any of the zone, more ports as any of their addresses


class Planner:
    """Plans by one policy.

    ``is_guarding``: for calls that the guard keeps heard. Who named an address that is not its own, behind a NAT or
    by mistake, may then send from where its signalling comes from, too, and is sent media there, whatever ``nat`` says.
    Where ways latch, a NAT may have given another port than was named, so no source's port is asked for.
    """

    def __init__(self, policy: Policy, *, is_guarding: bool = False) -> None:
        self._media: MediaPolicy = policy.media
        self._is_guarding = is_guarding
        self._signalling_ports = policy.signalling_ports
        self._zones: dict[str, Zone] = {zone.name: zone for zone in policy.zones}
        self._is_inside = lru_cache(maxsize=REMEMBERED_ADDRESSES)(self._find_inside)
        self._latches = is_guarding or policy.media.nat == "latch"
        self._are_ports_asked = policy.media.source == "port" and not self._latches
        self._plain = PlainPlanner(policy, self._is_of_zone, latches=self._latches)

    def ways(self, negotiation: Negotiation) -> dict[PinholeKey, Way]:
        """Return the ways that a call needs now, one for each key; the last of too many with that for a refusal."""
        plain = self._plain.ways(negotiation)
        return plain if plain is not None else self.uncommon_ways(negotiation)

    def uncommon_ways(self, negotiation: Negotiation) -> dict[PinholeKey, Way]:
        """Return the same without looking whether all of it is plain."""
        ways: dict[PinholeKey, Way] = {}
        has_room: set[Course] = set()
        for way in islice(self._wanted(negotiation), _MAX_LOOKED_AT):
            if len(ways) < MAX_WAYS or way.key in ways:
                _add(ways, way)
                if way.refusal is None:
                    has_room.add(way.course)
            elif len(ways) < MAX_WAYS + MAX_CUT:
                is_spare = way.is_spare or way.course in has_room
                ways[way.key] = replace(way, refusal="media_too_many_ways", is_spare=is_spare)
            else:
                break
        return ways

    def _wanted(self, negotiation: Negotiation) -> Iterator[Way]:
        # Where there are too many ways, those of who answered come first, then those of who was asked last.
        latest_first = reversed(negotiation.sessions)
        for key in sorted(latest_first, key=lambda each: each in negotiation.ringing):
            is_ringing = key in negotiation.ringing
            session = negotiation.with_candidates(key) if negotiation.candidates else negotiation.sessions[key]
            for way in self._session_ways(session):
                yield _unexpected(way) if is_ringing else way
        if self._media.early == "offer":
            for offer in negotiation.offers.values():
                if not offer.is_final:
                    yield from self._offer_ways(offer)
        if negotiation.early is not None:
            yield from map(_unexpected, self._wanted(negotiation.early))

    def _session_ways(self, session: Session) -> Iterator[Way]:
        offerer, answerer = session.offer.by, session.answerer
        for index, medium in enumerate(negotiate(session.offer.description, session.answer)):
            if medium.is_accepted and medium.answer is not None:
                to_offerer = self._medium_ways(index, medium.answer, medium.offer, answerer, offerer, medium)
                to_answerer = self._medium_ways(index, medium.offer, medium.answer, offerer, answerer, medium)
                ways = self._with_latches(to_offerer, to_answerer)
                # Who puts a call on hold may send music, or nothing at all (RFC 3264 §8.4).
                is_held = session.is_renewed and not (medium.flows_to_offerer and medium.flows_to_answerer)
                yield from map(_unexpected, ways) if is_held else ways

    def _medium_ways(
        self,
        index: int,
        sender: MediaDescription,
        receiver: MediaDescription,
        src: Party,
        dst: Party,
        medium: NegotiatedMedium,
    ) -> list[Way]:
        flows = medium.flows_to_offerer if receiver is medium.offer else medium.flows_to_answerer
        flows = flows and (sender.address not in NOWHERE or has_other_addresses(sender))
        is_media = flows and receiver.media.lower() in ("audio", "video") and is_rtp_medium(receiver)
        is_muxed = "rtcp-mux" in sender.own.by_name and "rtcp-mux" in receiver.own.by_name
        kind, accepted, rtp_sources = medium_kind(receiver), formats(receiver), endpoints(sender, "rtp")
        ways: list[Way] = []
        for protocol in _protocols(receiver):
            # RTCP may come from the RTP port where only one side shares it (RFC 5761 §5.1.1).
            sources = rtp_sources if protocol == "rtp" else (*rtp_sources, *endpoints(sender, protocol))
            judged: list[Way] = []
            for endpoint in self._endpoints(receiver, dst, protocol, is_muxed=is_muxed):
                is_expected = is_media and protocol == "rtp" and endpoint[0] not in NOWHERE
                for key in self._keys(endpoint, sources, src, protocol):
                    way = Way(
                        key, kind, protocol, index, accepted, sender.direction, src, dst, is_expected=is_expected
                    )  # fmt: skip
                    judged += self._judged(way, endpoint)
            ways += _with_spares(judged, receiver)
        return ways

    def _offer_ways(self, offer: Offer) -> Iterator[Way]:
        for index, medium in enumerate(offer.description.media):
            kind, offered = medium_kind(medium), formats(medium)
            for protocol in _protocols(medium):
                judged: list[Way] = []
                for endpoint in self._endpoints(medium, offer.by, protocol):
                    key = _key(protocol, self._comparable(offer.to), None, None, endpoint)
                    way = Way(key, kind, protocol, index, offered, "sendrecv", offer.to, offer.by, is_early=True)
                    judged += self._judged(way, endpoint)
                yield from (way for way in _with_spares(judged, medium) if not self._may_latch(way))

    def _endpoints(
        self, medium: MediaDescription, party: Party, protocol: MediaProtocol, *, is_muxed: bool = False
    ) -> Iterator[Endpoint]:
        """Where a party takes packets. The host that it names is perhaps where its signalling comes from."""
        for address, port in endpoints(medium, protocol, is_muxed=is_muxed):
            yield address, port
            if self._latches and protocol != "msrp" and address == named_address(medium) and _number(address) is None:
                yield party.ip, port

    def _keys(
        self, endpoint: Endpoint, sources: Sequence[Endpoint], src: Party, protocol: MediaProtocol
    ) -> Iterator[PinholeKey]:
        """The keys of a way: one for each source that the policy wants to fit."""
        known = [source for source in sources if _number(source[0]) is not None and source[0] not in NOWHERE]
        same_family = [source for source in known if (":" in source[0]) == (":" in endpoint[0])]
        if not any(self._fits(source[0], src) for source in same_family):
            own = [(src.ip, 0)] if (":" in src.ip) == (":" in endpoint[0]) else []
            if self._media.nat == "latch" and any(ip not in NOWHERE for ip, _ in sources):
                same_family = own
            elif self._is_guarding and same_family:
                same_family += own
        ports = dict.fromkeys(same_family)
        are_ports_known = len(ports) <= _MAX_SOURCES and all(port for _, port in ports)
        if self._media.source == "zone" or not same_family or len({ip for ip, _ in same_family}) > _MAX_SOURCES:
            yield _key(protocol, self._comparable(src), None, None, endpoint)
        elif self._are_ports_asked and are_ports_known and protocol != "msrp":
            for ip, port in ports:
                yield _key(protocol, None, ip, port, endpoint)
        else:
            for ip in dict.fromkeys(ip for ip, _ in same_family):
                yield _key(protocol, None, ip, None, endpoint)

    def _comparable(self, party: Party) -> str | None:
        """The zone that sources are compared with; None where only interfaces tell it from others, which SDP cannot."""
        zone = self._zones.get(party.zone or "")
        return zone.name if zone is not None and zone.networks else None

    def _judged(self, way: Way, endpoint: Endpoint) -> Iterator[Way]:
        """The way with the reason why it may not be opened, if there is one; none for media on hold.

        TCP passes in any case, so nothing is refused of it; to a host that has only a name there is no way to tell of.
        """
        address, port = endpoint
        if address in NOWHERE or port == _DISCARD:
            return
        refusal: Refusal | None = None
        is_elsewhere = False
        number = _number(address)
        if way.key.transport == "TCP":
            if number is not None:
                yield way
            return
        if number is None:
            refusal = "media_no_address"
        elif port in self._signalling_ports:
            refusal = "media_signalling_port"
        elif not self._fits(address, way.dst):
            zone = self._zones.get(way.dst.zone or "")
            is_gap = zone is not None and zone_fit(zone, number) == "other_family"
            refusal = "media_family_gap" if is_gap else "media_third_party"
            is_elsewhere = self._leads_back(number, way.src)
        elif not self._media.ports[0] <= port <= self._media.ports[1]:
            refusal = "media_port_range"
        yield replace(way, refusal=refusal, is_elsewhere=is_elsewhere) if refusal is not None else way

    def _with_latches(self, to_offerer: list[Way], to_answerer: list[Way]) -> Iterator[Way]:
        """Both sides' ways; who named an address or a port that is not its own, or none, brings the true one with its
        packets, where there is a way for these."""
        for ways, back in ((to_offerer, to_answerer), (to_answerer, to_offerer)):
            is_back_shut = bool(back) and all(way.refusal is not None for way in back)
            for way in ways:
                if self._may_latch(way) and not is_back_shut:
                    continue
                yield _with_latch(way, back) if self._latches else way

    def _may_latch(self, way: Way) -> bool:
        """Tell whether the policy finds another way for what would take this one, once its receiver sends something."""
        return way.refusal in _HIDDEN and self._media.nat == "latch"

    def _leads_back(self, number: int, sender: Party) -> bool:
        """Tell whether an address is in the sender's zone, by a network that somebody may have: where the zone is all
        the world, a private address behind the receiver's NAT is in it, too."""
        zone = self._zones.get(sender.zone or "")
        networks = zone.networks if zone is not None else ()
        return any(number in each and each.last - each.first < _LARGEST[family(number)] for each in networks)

    def _fits(self, address: str, party: Party) -> bool:
        """Tell whether an address is where a party may have its media: its own, or one of its zone."""
        return address == party.ip or self._is_of_zone(address, party.zone)

    def _is_of_zone(self, address: str, zone_name: str | None) -> bool:
        if not self._zones:
            return True
        number = _number(address)
        return number is not None and self._is_inside(number, zone_name)

    def _find_inside(self, number: int, zone_name: str | None) -> bool:
        zone = self._zones.get(zone_name or "")
        return zone is not None and zone_fit(zone, number) == "inside"


def _unexpected(way: Way) -> Way:
    return replace(way, is_expected=False, is_back_expected=False) if way.is_expected or way.is_back_expected else way


def _with_latch(way: Way, back: list[Way]) -> Way:
    """Return a way that latches if there is any way back, or nowhere to send it, expected as these are."""
    alike = [each for each in back if each.protocol == way.protocol]
    return replace(way, latches=bool(alike) or not back, is_back_expected=any(each.is_expected for each in alike))


def _add(ways: dict[PinholeKey, Way], way: Way) -> None:
    """Media that share a way (BUNDLE, RFC 9143) have the formats of all; of the rest, the voice's word counts, then
    that of other RTP, then the first one's. Of forks that share one, one that is to be heard is enough."""
    first = ways.setdefault(way.key, way)
    other = way
    if (way.kind != "audio", way.protocol == "udp") < (first.kind != "audio", first.protocol == "udp"):
        first, other = way, first
    if first.formats != other.formats:
        first = replace(first, formats=first.formats.and_those_of(other.formats))
    if other.is_expected and not first.is_expected and other.index == first.index:
        first = replace(first, is_expected=True)
    ways[way.key] = first


def _key(
    protocol: MediaProtocol, src_zone: str | None, src_ip: str | None, src_port: int | None, endpoint: Endpoint
) -> PinholeKey:
    return PinholeKey("TCP" if protocol == "msrp" else "UDP", src_zone, src_ip, src_port, *endpoint)


def _protocols(medium: MediaDescription) -> tuple[MediaProtocol, ...]:
    if medium.is_msrp:
        return ("msrp",)
    return ("rtp", "rtcp") if is_rtp_medium(medium) else ("udp",)


def _with_spares(ways: list[Way], receiver: MediaDescription) -> list[Way]:
    """The ways of one medium and protocol. Where one of its addresses may be opened, ICE does without other candidates:
    hosts behind a NAT name private addresses, and names that only their own network knows (RFC 8445 §5.1.1)."""
    if all(way.refusal is not None for way in ways):
        return ways
    named = named_address(receiver)
    return [replace(way, is_spare=True) if way.refusal is not None and way.key.dst_ip != named else way for way in ways]


def _number(address: str) -> int | None:
    if "%" in address:
        return None  # with a zone, which says something on the sender's own machine only (RFC 4007 §11.2)
    try:
        return address_number(address)
    except ValueError:
        return None
