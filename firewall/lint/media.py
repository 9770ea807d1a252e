"""Is an answered emergency call heard? Calls with media, run through the engine as a capture would be."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from firewall.engine.engine import Engine
from firewall.engine.events import DatagramReceived, Event, MediaReceived
from firewall.engine.outputs import Write
from firewall.engine.record import RtpDecision
from firewall.errors import Place
from firewall.lint.bodies import Body, sdp
from firewall.lint.endpoint import Pair, Side
from firewall.lint.finding import UNDECIDED, Finding, Sent
from firewall.lint.form import SOS
from firewall.lint.probe import MILLISECOND_NS, meet_deadlines
from firewall.lint.proof.compare import Change, Verdict
from firewall.lint.proof.context import plain_pair, zone_pairs
from firewall.lint.proof.kinds import UntoldError
from firewall.lint.proof.load import DEFAULT_SURGE
from firewall.lint.proof.sound import MARK, Refusal, refusals
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
_PROMISED_BY: dict[str, frozenset[Flow]] = {
    "audio": frozenset({"voice", "media", "rtt"}),
    "text": frozenset({"rtt"}),
}
"""Each kind of media, and the flows of emergency calls that have it."""


def check(policy: Policy) -> list[Finding]:
    """Return one finding for each rule or setting that keeps an answered emergency call from being heard."""
    if policy.media.mode != "enforce":
        return []
    flows = {*policy.emergency.flows}
    kinds = [kind for kind, promised in _PROMISED_BY.items() if flows & promised]
    return [*_refused_by_rules(policy, kinds), *(_short_timeout(policy) if kinds else ()), *_port_range(policy)]


def _refused_by_rules(policy: Policy, kinds: Sequence[str]) -> Iterator[Finding]:
    """Yield a finding for each rule that refuses some packet, as the formula has it and the engine then does."""
    unguarded = replace(policy, emergency=replace(policy.emergency, guard="off"))
    try:
        proposed = list(refusals(policy, _pairs(policy), kinds))
    except UntoldError as error:
        message = f"it is not decided which media of an emergency call the rules drop: {error}"
        yield Finding.about(UNDECIDED, message, Place(policy.file))
        return
    for refusal in proposed:
        rule, packet, pair = refusal.rule, refusal.packet, refusal.pair
        record = _refused(unguarded, refusal)
        if record is not None:
            way = f"{record.zone_src or record.src_ip} to {record.zone_dst or record.dest_ip}"
            message = f'rule "{rule.name}" drops {packet.name} of an emergency call from {way}'
            ends = f"{pair.caller.ip} calls {pair.psap.ip}: the call connects, and nobody is heard"
            yield Finding.about("SOS116", message, rule, ends)
        else:
            message = f'it is not decided whether rule "{rule.name}" drops media of an emergency call'
            why = f"{packet.name} from {refusal.sender}: the engine lets one such packet pass"
            yield Finding.about(UNDECIDED, message, rule, why)


def _short_timeout(policy: Policy) -> Iterator[Finding]:
    timeout_s = policy.media.timeout_ns / _SECOND_NS
    if timeout_s < HOLD_S:
        message = (
            f"media.timeout {timeout_s:g}s is shorter than a hold of {HOLD_S} s: "
            "what is said after it in an emergency call is not heard"
        )
        yield Finding.about("SOS117", message, Place(policy.file, policy.media.line("timeout")))


def changes(old: Policy, new: Policy) -> Iterator[Change]:
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
                yield _change(call_of(refusal), one, other)


def _change(sent: tuple[Sent, ...], before: RtpDecision, after: RtpDecision) -> Change:
    was, is_now = (
        Verdict(each.verdict, None, None, each.reason, each.rule, each.line)
        for each in (before.decision, after.decision)
    )
    way = f"the packet goes from {after.zone_src or after.src_ip} to {after.zone_dst or after.dest_ip}"
    flow = "media of an emergency call"
    return Change(flow, True, sent, was, is_now, MARK, 0, [sent[-1].label], [(way,)], is_all=False)


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
    of_flow = [each for each in _rtp(policy, refusal) if (each.src_ip, each.dest_ip) == (last.src_ip, last.dst_ip)]
    return of_flow[-1] if of_flow else None


def _refused(policy: Policy, refusal: Refusal) -> RtpDecision | None:
    """Return the rule's decision against the packet that the formula proposes, None where the engine lets it pass."""
    against = (each for each in _rtp(policy, refusal) if each.decision.verdict != "allow")
    return next((each for each in against if each.decision.rule == refusal.rule.name), None)


def _rtp(policy: Policy, refusal: Refusal) -> Iterator[RtpDecision]:
    for record in _of_call(policy, refusal):
        if isinstance(record, RtpDecision) and record.rtp.protocol == "rtp":
            yield record


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
        sender, receiver = pair.ends(step.sender)
        datagram = Datagram(sender.ip, sender.port, receiver.ip, receiver.port, step.payload, in_iface=sender.interface)
        yield Sent(at_ns + step.at_ms * MILLISECOND_NS, datagram, step.label)


def _described(refusal: Refusal, side: Side, ip: str, port: int) -> Body:
    """Return one side's session description: the sender's direction is the packet's, the other's its opposite."""
    packet = refusal.packet
    direction = packet.direction if side == refusal.sender else _OPPOSITE[packet.direction]
    free = (number for number in _DYNAMIC_TYPES if number != packet.payload_type)
    mapped = {packet.payload_type: packet.codecs[0], **dict(zip(free, packet.codecs[1:], strict=False))}
    return sdp(
        ip,
        f"m={packet.kind} {port} RTP/AVP {' '.join(map(str, mapped))}",
        *(f"a=rtpmap:{number} {codec}/8000" for number, codec in mapped.items()),
        f"a={direction}",
        "a=rtcp-mux",
    )


def _pairs(policy: Policy) -> list[Pair]:
    """A plain pair of ends for each two zones and each family."""
    families = (4, 6)
    found = (plain_pair(policy, *zones, (family,)) for zones in zone_pairs(policy) for family in families)
    return [pair for pair in found if pair is not None][:_MAX_PAIRS]


def _told(engine: Engine, event: Event, now_ns: int) -> Iterator[object]:
    meet_deadlines(engine, now_ns)
    for output in engine.handle(event, now_ns):
        if isinstance(output, Write):
            yield output.record


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
