"""The log's records of media flows, and the words for what happened to them."""

from functools import lru_cache

from msgspec.structs import replace

from firewall.engine.decide import Decision, decision_line
from firewall.engine.media_flow import MediaAnomaly, MediaFlow
from firewall.engine.pinhole import Pinhole
from firewall.engine.pinhole_table import Cause, Hole
from firewall.engine.record import FlowState, RtpDecision, RtpFields, StreamFields
from firewall.engine.recording import decision_fields, flow_id
from firewall.engine.timestamp import timestamp
from firewall.engine.way import Way
from firewall.net.datagram import Datagram
from firewall.net.rtp_stream import RtpStream
from firewall.ruleset.emergency import wire_text
from firewall.ruleset.facts import EmergencyMark
from firewall.ruleset.policy import MediaPolicy, Policy

CAUSES: dict[Cause, str] = {
    "bye": "its call ended",
    "failed": "its call failed",
    "renegotiated": "the call uses another address or port now",
    "timeout": "no packet came for media.timeout",
    "expired": "its call was forgotten",
    "stopped": "the firewall stopped",
    "policy": "a new policy does not allow it",
}
# Which key of the section media decides about a reason.
SETTINGS = {
    "media_port_range": "ports",
    "media_timeout": "timeout",
    "media_wrong_source": "source",
    "media_third_party": "nat",
}


def closed_records(hole: Hole, policy: Policy, now_ns: int) -> list[RtpDecision]:
    """Return the last record of a pinhole, of each flow one where several passed by it and every packet was seen.

    A gateway that has one port for all calls takes the flows of all of them by one pinhole.
    """
    if hole.is_sampled or len(hole.flows) < 2:
        return [flow_record("closed", hole, policy, now_ns)]
    call_ids = [flow.call_id or hole.pinhole.call_id for flow in hole.flows.values()]
    records = [
        _record("closed", hole, [flow], (flow.packets, flow.octets), call_id, policy, now_ns)
        for call_id, flow in zip(call_ids, hole.flows.values(), strict=True)
    ]
    if hole.counted or hole.pinhole.call_id not in call_ids:
        rest = hole.counted, hole.counted_octets
        records.append(_record("closed", hole, [], rest, hole.pinhole.call_id, policy, now_ns))
    return records


def flow_record(
    state: FlowState, hole: Hole, policy: Policy, now_ns: int, datagram: Datagram | None = None
) -> RtpDecision:
    """Return the record of a pinhole; ``datagram`` is the packet that gave cause to it."""
    counts = hole.packets, hole.octets
    return _record(state, hole, list(hole.flows.values()), counts, hole.pinhole.call_id, policy, now_ns, datagram)


def _record(
    state: FlowState,
    hole: Hole,
    flows: list[MediaFlow],
    counts: tuple[int, int],
    call_id: str,
    policy: Policy,
    now_ns: int,
    datagram: Datagram | None = None,
) -> RtpDecision:
    way, key = hole.way, hole.pinhole.key
    src_ip, src_port = key.src_ip or way.src.ip, key.src_port or 0
    streams: tuple[StreamFields, ...] = ()
    anomalies: dict[MediaAnomaly, None] = {}
    if len(flows) == 1:
        src_ip, src_port = flows[0].ends.src_ip, flows[0].ends.src_port
    if flows and not hole.is_sampled and state != "opened":  # those of others, where calls share a port
        streams = tuple(stream_fields(stream) for flow in flows for stream in flow.streams.values())
    for flow in flows:
        anomalies |= flow.anomalies
    if hole.is_flooded:
        anomalies["rtp_rate"] = None
    fields = RtpFields(
        wire_text(way.kind),
        way.protocol,
        _codecs(way.formats.codecs),
        way.direction,
        *counts,
        streams,
        hole.cause if state == "closed" else None,
        any_source=key.src_ip is None,
        any_source_port=key.src_port is None,
        candidate=way.is_spare,
    )
    return RtpDecision(
        timestamp(now_ns),
        flow_id(src_ip, src_port, key.dst_ip, key.dst_port),
        datagram.in_iface if datagram is not None else None,
        datagram.frame_number if datagram is not None else None,
        src_ip,
        src_port,
        key.dst_ip,
        key.dst_port,
        key.transport,
        state,
        wire_text(call_id) or None,
        fields,
        decision_fields(hole.decision, hole.override, policy, media_line(hole.decision, policy, way.dst.zone)),
        hole.emergency,
        way.src.zone,
        way.dst.zone,
        tuple(anomalies),
    )


def refused_way_record(
    call_id: str, way: Way, decision: Decision, emergency: EmergencyMark | None, policy: Policy, now_ns: int
) -> RtpDecision:
    """Return the record of a way that was negotiated, but is not opened: that of the pinhole it would have been."""
    key = replace(way.key, dst_ip=wire_text(way.key.dst_ip))  # anything may stand in a description
    hole = Hole(Pinhole(key, way.protocol, call_id, 0), way, decision, 0, 0, emergency=emergency)
    return flow_record("refused", hole, policy, now_ns)


def media_line(decision: Decision, policy: Policy, zone: str | None = None) -> int | None:
    """Return the line of the policy that a media decision comes from; None where a default does. ``zone`` is where it
    should arrive."""
    if decision.rule is not None:
        return decision_line(decision, policy)
    if decision.reason == "media_family_gap":
        return next((each.place.line for each in policy.zones if each.name == zone), None)
    setting = SETTINGS.get(decision.reason)
    return policy.media.line(setting) if setting is not None else None


def culprit(decision: Decision, way: Way, policy: Policy) -> str:
    """Name what decided against media, with the place to mend."""
    if decision.rule is not None:
        return f'rule "{decision.rule.name}" ({policy.file}:{decision.rule.place.line})'
    line = media_line(decision, policy, way.dst.zone)
    place = f"({policy.file}:{line})" if line is not None else f"(the default, {policy.file})"
    media = policy.media
    match decision.reason:
        case "media_port_range":
            return f"media.ports {media.ports[0]}-{media.ports[1]} {place}, which port {way.key.dst_port} is outside of"
        case "media_family_gap":
            family = "IPv6" if ":" in way.key.dst_ip else "IPv4"
            return f'the networks of zone "{way.dst.zone}" {place}, which have no {family}'
        case "media_third_party":
            return f'the networks of zone "{way.dst.zone}" ({policy.file}), which {way.key.dst_ip} is not in'
        case "media_timeout":
            return f"media.timeout {_seconds(media)} {place}"
        case "media_wrong_source":
            return f"media.source {media.source} {place}"
        case reason:
            return f"reason {reason} ({policy.file})"


def _seconds(media: MediaPolicy) -> str:
    return f"{media.timeout_ns / 1e9:g}s"


@lru_cache(maxsize=64)  # as in ``sip/media_endpoint.py``
def _codecs(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(map(wire_text, names))


def stream_fields(stream: RtpStream) -> StreamFields:
    """Return what the log tells of an RTP source."""
    return StreamFields(
        stream.ssrc,
        stream.payload_type,
        stream.packets,
        stream.octets,
        stream.lost,
        round(stream.max_jitter_ms, 3),
        round(stream.mean_jitter_ms, 3),
        stream.reordered,
    )
