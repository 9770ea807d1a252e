"""Is an answered emergency call heard? Calls with media, run through the engine as a capture would be."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from firewall.engine.engine import Engine
from firewall.engine.events import DatagramReceived, Event, MediaReceived
from firewall.engine.outputs import Write
from firewall.engine.record import RtpDecision, SipDecision
from firewall.errors import Place
from firewall.lint.bodies import CRLF, Body
from firewall.lint.endpoint import Endpoint, Pair, Side
from firewall.lint.finding import UNDECIDED, Finding, Sent
from firewall.lint.form import SOS
from firewall.lint.probe import MILLISECOND_NS, meet_deadlines
from firewall.lint.proof.context import plain_pair, zone_pairs
from firewall.lint.proof.kinds import UntoldError
from firewall.lint.proof.load import DEFAULT_SURGE
from firewall.lint.proof.sound import Refusal, RtpPacket, refusals
from firewall.lint.script import Script
from firewall.net.datagram import MAX_PORT, Datagram
from firewall.net.media_port import FIRST_MEDIA_PORT
from firewall.ruleset.policy import Flow, Policy
from firewall.sip.sdp import Direction

HOLD_S = 180
"""A caller on hold, or one who only listens, may be silent for this long without comfort noise."""
CALLS_AT_LEAST = 100
SURGE_S = 60
"""How long a call of the surge lasts at least: its ports must be free for so many at once."""
USUAL_PORTS: tuple[tuple[int, int, str], ...] = (
    (5004, 5005, "RFC 3551 §8"),
    (10000, 20000, "Asterisk"),
    (16384, 32768, "FreeSWITCH, Cisco's gateways"),
    (49152, MAX_PORT, "dynamic ports, RFC 6335 §6"),
)
"""From which ports programs send media where nobody set others."""
_MAX_PAIRS = 16
_SECOND_NS = 1_000_000_000
_OPPOSITE: dict[Direction, Direction] = {
    "sendrecv": "sendrecv",
    "sendonly": "recvonly",
    "recvonly": "sendonly",
    "inactive": "inactive",
}
_DYNAMIC_TYPES = range(96, 128)  # RFC 3551 §6
# What the policy says of media, as opposed to what a sender does wrong.
_OWN_REASONS = frozenset({"rule", "media_port_range", "media_family_gap", "media_third_party"})


@dataclass(frozen=True, slots=True)
class Medium:
    """One kind of media: what SDP calls it, the payload type sent, and what that is in words; others are agreed on."""

    name: str
    media: str
    payload_type: int
    lines: tuple[str, ...] = ()
    flows: tuple[Flow, ...] = ("voice", "media")
    others: tuple[int, ...] = ()

    def body(self, ip: str, port: int) -> Body:
        """Return the session description of an end that takes this medium."""
        family = "IP6" if ":" in ip else "IP4"
        lines = [
            "v=0", f"o=- 1 1 IN {family} {ip}", "s=-", f"c=IN {family} {ip}", "t=0 0",
            f"m={self.media} {port} RTP/AVP {' '.join(map(str, (self.payload_type, *self.others)))}", *self.lines,
        ]  # fmt: skip
        return Body("application/sdp", (CRLF.join(lines) + CRLF).encode())


@dataclass(frozen=True, slots=True)
class Changed:
    """A packet of an emergency call on which two policies decide otherwise, with the call before it."""

    sent: tuple[Sent, ...]
    before: RtpDecision
    after: RtpDecision


# RFC 3551 (static types), RFC 4733 (DTMF), RFC 3389 (comfort noise), RFC 4867 (VoLTE's codec), RFC 4103 (text).
MEDIA: tuple[Medium, ...] = (
    Medium("PCMU", "audio", 0),
    Medium("PCMA", "audio", 8),
    Medium("AMR-WB", "audio", 96, ("a=rtpmap:96 AMR-WB/16000",)),
    Medium("comfort noise", "audio", 13),
    Medium("DTMF digits", "audio", 101, ("a=rtpmap:101 telephone-event/8000",)),
    Medium("real-time text", "text", 98, ("a=rtpmap:98 t140/1000",), ("rtt",)),
    Medium("real-time text with redundancy", "text", 100, ("a=rtpmap:100 red/1000", "a=fmtp:100 98/98/98"), ("rtt",)),
)


def check(policy: Policy, at_ns: int = 1_767_225_600 * _SECOND_NS) -> list[Finding]:
    """Return one finding for each rule or setting that keeps an answered emergency call from being heard."""
    if policy.media.mode != "enforce":
        return []
    unguarded = replace(policy, emergency=replace(policy.emergency, guard="off"))
    findings: dict[tuple[str, str | None, str], Finding] = {}
    for pair in _pairs(policy):
        for medium in MEDIA:
            if any(flow in policy.emergency.flows for flow in medium.flows):
                for code, record in _blocked(unguarded, pair, medium, at_ns):
                    key = (code, record.decision.rule, record.decision.reason)
                    if key not in findings:
                        name = f"{medium.name} (payload type {medium.payload_type})"
                        findings[key] = _finding(policy, code, record, pair, name)
    told = {rule for _, rule, _ in findings}
    return [*findings.values(), *_proposed(policy, unguarded, told), *_port_range(policy)]


def _proposed(policy: Policy, unguarded: Policy, told: set[str | None]) -> Iterator[Finding]:
    """Yield a finding for each other rule that refuses some packet, as the formula has it and the engine then does."""
    kinds = ("audio", *(("text",) if "rtt" in policy.emergency.flows else ()))
    if not {"voice", "media", "rtt"} & {*policy.emergency.flows}:
        return
    try:
        proposed = [each for each in refusals(policy, _pairs(policy), kinds) if each.rule not in told]
    except UntoldError as error:
        message = f"it is not decided which media of an emergency call the rules drop: {error}"
        yield Finding.about(UNDECIDED, message, Place(policy.file))
        return
    for refusal in proposed:
        record = _refused(unguarded, refusal)
        if record is not None:
            yield _finding(policy, "SOS116", record, refusal.pair, refusal.packet.name)
        else:
            rule = next(rule for rule in policy.rules if rule.name == refusal.rule)
            message = f'it is not decided whether rule "{rule.name}" drops media of an emergency call'
            why = f"{refusal.packet.name} from {refusal.sender}: the engine lets it pass"
            yield Finding.about(UNDECIDED, message, rule, why)


def changes(old: Policy, new: Policy) -> Iterator[Changed]:
    """Yield what rules decide otherwise on media of an emergency call, each shown by a packet put to both engines.

    What is found is so; that nothing is found proves nothing.
    """
    before, after = (replace(each, emergency=replace(each.emergency, guard="off")) for each in (old, new))
    seen: set[tuple[str | None, str | None]] = set()
    for policy in (before, after):
        if policy.media.mode != "enforce":
            continue
        try:
            proposed = list(refusals(policy, _pairs(policy), ("audio", "text")))
        except UntoldError:
            continue
        for refusal in proposed:
            one, other = (decided(each, refusal) for each in (before, after))
            if one is None or other is None or one.decision.verdict == other.decision.verdict:
                continue
            if (one.decision.rule, other.decision.rule) not in seen:
                seen.add((one.decision.rule, other.decision.rule))
                yield Changed(call_of(refusal), one, other)


def call_of(refusal: Refusal) -> tuple[Sent, ...]:
    """Return the emergency call that a packet belongs to, and the packet at its end."""
    packet, pair = refusal.packet, refusal.pair
    ours, theirs = refusal.ports if refusal.sender == "caller" else refusal.ports[::-1]
    offer = _described(refusal, "caller", pair.caller.ip, ours)
    answer = _described(refusal, "psap", pair.psap.ip, theirs)
    call = _answered(pair, offer, answer, refusal.at_ns - 2 * _SECOND_NS)
    source, target = pair.ends(refusal.sender)
    payload = packet.payload(refusal.size_bytes)
    datagram = Datagram(source.ip, refusal.ports[0], target.ip, refusal.ports[1], payload, in_iface=source.interface)
    return (*call, Sent(refusal.at_ns, datagram, f"RTP {packet.name}" if not packet.beside else packet.name))


def decided(policy: Policy, refusal: Refusal) -> RtpDecision | None:
    """Put a packet and its call to an engine: what was last decided on the packet's flow, None where nothing was."""
    last = call_of(refusal)[-1].datagram
    of_flow = [
        record
        for record in _of_call(policy, refusal)
        if isinstance(record, RtpDecision)
        and record.rtp.protocol == "rtp"
        and (record.src_ip, record.dest_ip) == (last.src_ip, last.dst_ip)
    ]
    return of_flow[-1] if of_flow else None


def _refused(policy: Policy, refusal: Refusal) -> RtpDecision | None:
    """Return the rule's decision against the packet that the formula proposes, None where the engine lets it pass."""
    against = _decided_against(_of_call(policy, refusal))
    return next((each for each in against if each.decision.rule == refusal.rule), None)


def _of_call(policy: Policy, refusal: Refusal) -> list[object]:
    """Set up the call that a packet belongs to, send the packet, and return all records."""
    *signalling, packet = call_of(refusal)
    engine = Engine(policy)
    told: list[object] = []
    for each in signalling:
        told += _told(engine, DatagramReceived(each.datagram), each.at_ns)
    told += _told(engine, MediaReceived(packet.datagram), packet.at_ns)
    return told


def _answered(pair: Pair, offer: Body, answer: Body, at_ns: int) -> Iterator[Sent]:
    """Yield an emergency call with these session descriptions, up to its ACK."""
    script = Script(pair, "media")
    dialog = script.dialog("caller", SOS.request_uri, SOS.to, SOS.style)
    invite = script.request(dialog, "caller", "INVITE", "initial", begins=True, headers=SOS.headers, body=offer)
    script.answer(invite, 200, "mid_call", body=answer)
    script.request(dialog, "caller", "ACK", "mid_call", of=invite)
    for step in script.steps:
        datagram = _datagram(*pair.ends(step.sender), step.payload)
        yield Sent(at_ns + step.at_ms * MILLISECOND_NS, datagram, step.label)


def _described(refusal: Refusal, side: Side, ip: str, port: int) -> Body:
    """Return one side's session description: the sender's direction is the packet's, the other's its opposite."""
    packet = refusal.packet
    direction = packet.direction if side == refusal.sender else _OPPOSITE[packet.direction]
    free = (number for number in _DYNAMIC_TYPES if number != packet.payload_type)
    others = dict(zip(free, packet.codecs[1:], strict=False))
    mapped = {packet.payload_type: packet.codecs[0], **others}
    lines = (*(f"a=rtpmap:{number} {codec}/8000" for number, codec in mapped.items()), f"a={direction}", "a=rtcp-mux")
    return Medium("", packet.kind, packet.payload_type, lines, others=tuple(others)).body(ip, port)


def _pairs(policy: Policy) -> list[Pair]:
    """A plain pair of ends for each two zones and each family."""
    families = (4, 6)
    found = (plain_pair(policy, *zones, (family,)) for zones in zone_pairs(policy) for family in families)
    return [pair for pair in found if pair is not None][:_MAX_PAIRS]


def _blocked(policy: Policy, pair: Pair, medium: Medium, at_ns: int) -> Iterator[tuple[str, RtpDecision]]:
    """The decisions against the media of one call: while it goes on, and after a silence as long as a hold."""
    engine = Engine(policy)
    port = policy.media.ports[0] + (policy.media.ports[1] - policy.media.ports[0]) // 4 * 2
    offer, answer = medium.body(pair.caller.ip, port), medium.body(pair.psap.ip, port)
    for sent in _answered(pair, offer, answer, at_ns):
        told = list(_told(engine, DatagramReceived(sent.datagram), sent.at_ns))
        if any(isinstance(record, SipDecision) and record.decision.verdict != "allow" for record in told):
            return  # a call that is not set up has other findings
        yield from (("SOS116", record) for record in _decided_against(told))
    for after_s in (1, 1 + HOLD_S):
        for sender, receiver in ((pair.caller, pair.psap), (pair.psap, pair.caller)):
            for sequence in range(3):
                number = after_s * 50 + sequence
                packet = RtpPacket(medium.payload_type, sequence_number=number, timestamp=number * 160)
                datagram = _datagram(sender, receiver, packet.payload(), port)
                told = list(_told(engine, MediaReceived(datagram), at_ns + number * 20_000_000 + _SECOND_NS))
                if after_s == 1:
                    yield from (("SOS116", record) for record in _decided_against(told))
                yield from (
                    ("SOS117", record)
                    for record in told
                    if isinstance(record, RtpDecision) and record.decision.reason == "media_timeout"
                )


def _decided_against(told: list[object]) -> Iterator[RtpDecision]:
    for record in told:
        if (
            isinstance(record, RtpDecision)
            and record.rtp.protocol == "rtp"
            and record.decision.verdict != "allow"
            and record.decision.reason in _OWN_REASONS
        ):
            yield record


def _told(engine: Engine, event: Event, now_ns: int) -> Iterator[object]:
    meet_deadlines(engine, now_ns)
    for output in engine.handle(event, now_ns):
        if isinstance(output, Write):
            yield output.record


def _datagram(sender: Endpoint, receiver: Endpoint, payload: bytes, media_port: int | None = None) -> Datagram:
    source_port, target_port = (sender.port, receiver.port) if media_port is None else (media_port, media_port)
    return Datagram(sender.ip, source_port, receiver.ip, target_port, payload, in_iface=sender.interface)


def _finding(policy: Policy, code: str, record: RtpDecision, pair: Pair, name: str) -> Finding:
    rule = policy.rule_named(record.decision.rule)
    way = f"{record.zone_src or record.src_ip} to {record.zone_dst or record.dest_ip}"
    if code == "SOS117":
        place = Place(policy.file, policy.media.line("timeout"))
        message = (
            f"media.timeout {policy.media.timeout_ns / 1e9:g}s is shorter than a hold of {HOLD_S} s: "
            f"{name} of an emergency call from {way} is refused after it"
        )
        return Finding.about(code, message, place)
    what = f'rule "{rule.name}" drops' if rule is not None else f"{record.decision.reason} keeps back"
    message = f"{what} {name} of an emergency call from {way}"
    ends = f"{pair.caller.ip} calls {pair.psap.ip}: the call connects, and nobody is heard"
    return Finding.about(code, message, rule or Place(policy.file, record.decision.line), ends)


def _port_range(policy: Policy) -> list[Finding]:
    """The port range has too little room; or it has room, and leaves out what endpoints use."""
    first, last = policy.media.ports
    surge = policy.emergency.surge or DEFAULT_SURGE
    calls = max(CALLS_AT_LEAST, surge.calls_per_second * SURGE_S)
    room = (last - first + 1) // 2  # RTP and RTCP each take one
    place = Place(policy.file, policy.media.line("ports"))
    if room < calls:
        message = (
            f"media.ports {first}-{last} has room for {room} calls of one gateway; {calls} must find a place at once: "
            f"{surge.calls_per_second} a second (emergency.surge), {SURGE_S} s each"
        )
        return [Finding.about("SOS118", message, place)]
    left_out = [f"{low}-{high} ({who})" for low, high, who in USUAL_PORTS if low < first or high > last]
    if not left_out:
        return []
    refused = [f"{low}-{high}" for low, high in ((FIRST_MEDIA_PORT, first - 1), (last + 1, MAX_PORT)) if low <= high]
    message = (
        f"media.ports {first}-{last} refuses media on ports {' and '.join(refused)}: "
        "every endpoint that may use one of them must be known"
    )
    usual = f"usual ports that are not all within: {', '.join(left_out)}"
    return [Finding.about("SOS231", message, place, usual)]
