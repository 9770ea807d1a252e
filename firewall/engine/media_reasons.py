"""The reason codes of media: why a flow passes or does not, and what can be odd about its packets."""

# Title and page by code.
MEDIA_REASONS: dict[str, tuple[str, str]] = {
    "media_negotiated": (
        "Negotiated media",
        "No rule about media matched; an allowed offer and its answer name this address and port (RFC 3264 §6).",
    ),
    "media_early": (
        "Media that the offer alone announces",
        "No rule about media matched; who makes an offer must be ready to receive at once (RFC 3264 §5.1), so its "
        "address and port are open to the other side's zone until the answer says from where. `media.early: answer` "
        "waits.",
    ),
    "media_recovered": (
        "Media of a call that an earlier run let through",
        "The pinhole was open before the firewall was started again. It stays open until its call ends or its "
        "time-out passes without a packet.",
    ),
    "media_takeover": (
        "Media of a call that began unseen",
        "No call is known that negotiated it, but an earlier run of the firewall was here, or messages passed unseen: "
        "for one hour after that media whose destination nobody knows passes, as in-dialog messages do (`takeover`).",
    ),
    "media_not_negotiated": (
        "Media that no allowed call negotiated",
        "No session description of a call in progress names this address and port. Where the sender is a party of a "
        "call, `call_id` names the call: it sends to another port than the one agreed on, or its packet was faster "
        "than the answer. What is sent to where media comes from (symmetric RTP), behind a NAT that gave it another "
        "port, passes with `media.nat: latch`, and in emergency calls with the guard on.",
    ),
    "media_wrong_source": (
        "Media from somebody else than the negotiated party",
        "The port is open, but for another source: RTP injection, or a party that sends from another address than it"
        " named. `media.source` says what must fit: `port`, `address` (the default) or only the `zone`.",
    ),
    "media_closed": (
        "Media after its pinhole was closed",
        "`rtp.closed` says why it was closed (`bye`, `failed`, `renegotiated`, `expired`, `policy`), `rtp.ago_s` how"
        " many seconds before the packet. `media.grace` is how long a pinhole stays open after the end.",
    ),
    "media_timeout": (
        "Media after a silence longer than the time-out",
        "No packet came for longer than `media.timeout`, so the pinhole was closed, although its call goes on. A "
        "hold can be longer than that: raise the time-out. For an emergency call the guard keeps it open.",
    ),
    "media_port_range": (
        "Media negotiated outside the policy's port range",
        "The session description names a port that is not within `media.ports`. Use the range that both sides use.",
    ),
    "media_signalling_port": (
        "Media negotiated on a signalling port",
        "The session description names a port of `signalling`: what goes there is SIP, decided message by message. "
        "Not even the guard opens it for media.",
    ),
    "media_third_party": (
        "Media to an address outside the sender's zone",
        "A session description names an address that is neither in the zone of who sent it nor its own: opening it "
        "would let anybody point the other side's media at a stranger. Behind NAT `media.nat: latch` finds the true "
        "address; media relays belong into the zone's networks.",
    ),
    "media_family_gap": (
        "Media of an address family that the zone does not have",
        "The session description names an IPv6 address and the zone has only IPv4 networks, or the other way round. "
        "Add the zone's networks of that family.",
    ),
    "media_table_full": (
        "No room for another pinhole",
        "400 000 pinholes are open, as many as 100 000 calls have. Those of emergency calls always find a place; "
        "media of other new calls is not let through until some are closed. An alarm `table_full` is raised.",
    ),
    "media_too_many_ways": (
        "More addresses and ports than one call may have",
        "128 ways of the call are open, as one of four media with eight ICE candidates has; this one is beyond them."
        " Not even the guard opens it. `rtp.candidate` is true where the same medium has another way that is open. "
        "Have the endpoints offer fewer candidates, media or forks.",
    ),
    "media_no_address": (
        "Media to a host name, or to no address at all",
        "The session description names a host instead of an address (RFC 8866 §5.7 allows it), an IPv6 address with "
        "a zone (RFC 4007 §11.2), which only its own machine knows, or has no `c=`; packets carry addresses. In an "
        "emergency call with the guard on, and with `media.nat: latch`, such a party is sent media where its own "
        "comes from.",
    ),
}

MEDIA_ANOMALIES: dict[str, tuple[str, str]] = {
    "rtp_payload_type_not_negotiated": (
        "RTP payload type that was not negotiated",
        "A packet has a payload type that the receiver's session description does not name (RFC 3264 §6.1). It "
        "passes unless a rule on `rtp.p_type` drops it.",
    ),
    "rtp_ssrc_changed": (
        "RTP from another source on the same flow",
        "The synchronization source changed (RFC 3550 §8.2): another device, a transfer, or somebody who forges the "
        "address. Of video it is not told: one camera may have several (simulcast, RFC 8853).",
    ),
    "rtp_sequence_jump": (
        "RTP sequence numbers jump",
        "More than 3000 packets are missing between two that came (RFC 3550 A.1, MAX_DROPOUT): a restart, or "
        "injection.",
    ),
    "rtp_rate": (
        "More packets than a codec for speech sends",
        "More than 500 packets a second came on a flow of audio or text (RFC 3551 §4.2: 50 are usual): a flood, or "
        "packets sent in bursts. It passes unless a rule drops it.",
    ),
    "rtp_too_many_sources": (
        "More than eight RTP sources on one flow",
        "The figures of the sources that came first are forgotten. A mixer names its sources as CSRC, not as SSRC.",
    ),
    "media_not_rtp": (
        "Neither RTP nor what goes with it",
        "A packet on a negotiated RTP port is neither RTP nor RTCP, STUN, ZRTP, DTLS or TURN (RFC 7983 §7).",
    ),
}
