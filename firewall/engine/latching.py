"""Latching: a party behind a NAT is sent media where its own comes from.

It may have named another address than its NAT gives it, or another port, or none at all.
"""

from msgspec.structs import replace

from firewall.engine.call import Call
from firewall.engine.call_media import CallMedia
from firewall.engine.media_flow import Ends
from firewall.engine.pinhole import PinholeKey
from firewall.engine.pinhole_table import Hole, PinholeTable
from firewall.engine.way import Way
from firewall.ruleset.policy import Policy

MAX_LATCHED = 16
"""Of one call, so that nobody fills the table who sends from ever other ports."""
_LEFT_NS = 10_000_000_000
"""Where nothing came from for so long makes room for another; live a few seconds pass between two copies of a flow."""


def may_latch(way: Way, hole: Hole, ends: Ends, policy: Policy) -> bool:
    """Tell whether there may be a way back to where a packet came from.

    The guard knows nothing but the address that was named, and the one where the signalling comes from.
    """
    is_known = policy.media.nat == "latch" or ends.src_ip in (way.src.ip, hole.pinhole.key.src_ip)
    return way.latches and is_known and ends.src_port not in policy.signalling_ports


def is_reached(call: Call, ends: Ends, table: PinholeTable, now_ns: int) -> bool:
    """Tell whether a call has a way back to where a packet came from, or had one and left it for another."""
    source = ends.src_ip, ends.src_port
    for hole in table.toward(source):
        if hole.pinhole.key.src_ip in (None, ends.dst_ip):
            is_left = hole.closes_at_ns is not None and not hole.way.is_latched
            if call.call_id in hole.owners or (is_left and hole.pinhole.call_id == call.call_id):
                return True
    shut = table.shut(source, now_ns)
    if shut is None or shut.call_id != call.call_id or shut.way.is_early:
        return False
    return shut.reason == "renegotiated" and not shut.way.is_latched


def way_back(way: Way, ends: Ends) -> Way:
    """Return the way to where a packet came from by another one."""
    return replace(
        way,
        key=PinholeKey("UDP", None, ends.dst_ip, None, ends.src_ip, ends.src_port),
        src=way.dst,
        dst=way.src,
        is_expected=way.is_back_expected,
        refusal=None,
        latches=False,
        is_latched=True,
    )


def room_for_another(media: CallMedia, table: PinholeTable, now_ns: int) -> list[PinholeKey] | None:
    """Return which latched ways of a call are to be closed for another one, None where there is no room for it."""
    if len([way for way in media.refused.values() if way.is_latched]) >= MAX_LATCHED:
        return None
    latched = [key for key, way in media.held.items() if way.is_latched]
    if len(latched) < MAX_LATCHED:
        return []
    last_ns = {key: _last_from(key, media, table) for key in latched}
    left = min(latched, key=last_ns.__getitem__)
    return [left] if now_ns - last_ns[left] >= _LEFT_NS else None


def _last_from(latched: PinholeKey, media: CallMedia, table: PinholeTable) -> int:
    """Return when the last packet of a call came from where a latched way leads."""
    source = latched.dst_ip, latched.dst_port
    flows = [hole.flows[source] for hole in table.open_among(media.held) if source in hole.flows]
    return max((flow.last_ns for flow in flows), default=0)


def expected_as(latched: Way, latching: list[Way]) -> Way:
    """Return a latched way, expected as what its call has negotiated by now says of it."""
    answered = [way for way in latching if way.course == latched.course_back]
    return replace(latched, is_expected=any(way.is_back_expected for way in answered))
