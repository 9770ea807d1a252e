"""Is an answered call heard in both directions? (NENA-STA-010.3: MediaLoss)"""

from collections.abc import Iterator

from msgspec.structs import replace

from firewall.engine.call import Call
from firewall.engine.call_media import CallMedia
from firewall.engine.deadlines import Deadlines
from firewall.engine.decide import Decision
from firewall.engine.media_flow import MediaFlow
from firewall.engine.media_record import culprit
from firewall.engine.outputs import Write
from firewall.engine.pinhole import PinholeKey
from firewall.engine.pinhole_table import Hole, PinholeTable
from firewall.engine.record import MediaLoss
from firewall.engine.recording import printable
from firewall.engine.tracking import Tracking
from firewall.engine.way import Course, Way
from firewall.ruleset.emergency import wire_text
from firewall.ruleset.policy import Policy

CHECK_NS = 4 * 1_000_000_000
"""How long after the answer each side must have been heard. The alarm is due within 5 s, and counts may be 1 s old."""

_QUIET_NS = 1_000_000_000
"""Who sent nothing for so long is silent: on mute, or by voice activity detection. Counts may be so old."""

# What a packet was refused for, in words that say what to look at.
_REFUSED = {
    "media_wrong_source": "its packets came from {src_ip} instead",
    "media_not_negotiated": "its packets went to {dst_ip} port {dst_port}, which was not negotiated",
    "media_closed": "its packets went to {dst_ip} port {dst_port}, which the call does not use any more",
}


class TwoWayChecks:
    """Which calls are to be asked when (``deadlines``)."""

    def __init__(self, tracking: Tracking, table: PinholeTable) -> None:
        self._tracking = tracking
        self._table = table
        self._calls, self._clock = tracking.observer.calls, tracking.clock
        self.deadlines = Deadlines[str]()

    def schedule(self, call: Call, media: CallMedia) -> None:
        """Ask some seconds after each answer of an emergency call whether both sides are heard."""
        if not _is_answered(call):
            return
        sessions = tuple(sorted(session.offer.number for session in media.negotiation.sessions.values()))
        if not sessions or sessions == media.checked:
            return
        before, media.expected = media.expected, tuple(key for key, way in media.held.items() if way.is_expected)
        is_asked = media.check_at_ns is not None and media.doubted_ns is None
        media.renewed = () if is_asked else tuple(key for key in media.expected if key in before)
        media.checked, media.doubted_ns = sessions, None
        self._begin(call, media)

    def doubt(self, call: Call, media: CallMedia) -> None:
        """Ask some seconds after packets of an emergency call were refused whether it is heard without them.

        A phone that goes into another network, or a gateway that another takes over from, may send from another
        address and not say so.
        """
        if media.check_at_ns is None and _is_answered(call):
            media.doubted_ns = self._clock.now_ns
            self._begin(call, media)

    def _begin(self, call: Call, media: CallMedia) -> None:
        media.check_at_ns = self._clock.now_ns + CHECK_NS
        self._note_heard(media)
        for hole in self._table.open_among(media.expected):
            self._table.change(hole, replace(hole.pinhole, watched_ns=CHECK_NS))
        self.deadlines.put(call.call_id, self._clock.now_ns)  # at once: the kernel's counts of this very instant
        self.deadlines.put(call.call_id, media.check_at_ns)

    def _note_heard(self, media: CallMedia) -> None:
        """Take note of what has come so far: what is heard from now on comes beside that."""
        media.heard_before = {hole.pinhole.key: hole.packets for hole in self._table.open_among(media.held)}
        media.quiet_before = tuple(
            hole.pinhole.key
            for hole in self._table.open_among(media.renewed)
            if hole.packets and hole.quiet_since_ns() < self._clock.now_ns - _QUIET_NS
        )

    def expire(self) -> list[Write]:
        """Ask the calls that are due."""
        writes: list[Write] = []
        while (due := self.deadlines.pop(self._clock.now_ns)) is not None:
            due_ns, call_ids = due
            for call_id in call_ids:
                call = self._calls.get(call_id)
                if call is None or call.media is None:
                    continue
                if call.media.check_at_ns == due_ns:
                    writes += self._check(call, call.media, due_ns - CHECK_NS)
                elif call.media.check_at_ns == due_ns + CHECK_NS and self._clock.now_ns == due_ns:
                    self._note_heard(call.media)
        return writes

    def due_keys(self, now_ns: int) -> Iterator[PinholeKey]:
        """Yield the pinholes whose counts ``expire`` will ask for at an instant."""
        for call_id in self.deadlines.until(now_ns):
            call = self._calls.get(call_id)
            if call is not None and call.media is not None:
                yield from call.media.held

    def _check(self, call: Call, media: CallMedia, since_ns: int) -> list[Write]:
        media.check_at_ns = None
        policy = self._tracking.policy
        is_off = policy.media.mode == "off"
        if is_off or not self._table.is_watched or "confirmed" not in call.dialogs.values():
            return []
        losses = one_way(call.call_id, media, since_ns, self._table, policy)
        media.doubted_ns = None
        if not losses or not self._tracking.alarms.first(call.call_id, "media_lost"):
            return []
        return list(self._tracking.ledger.media_lost(call, losses, policy))


def one_way(
    call_id: str, media: CallMedia, since_ns: int, table: PinholeTable, policy: Policy
) -> tuple[MediaLoss, ...]:
    """Return each direction in which media was agreed on and none came since then, when ``heard_before`` was noted.

    A camera that is off sends nothing, whatever was agreed on, nor does who speaks one language of two (RFC 8373), and
    the call is heard all the same: video beside audio, and what is beside a voice of that side which is heard, is lost
    only where some came and was refused. Who was silent before an answer that has the media come by the same way (a
    session refresh, RFC 4028) may go on so. Where both ends are in one zone and nothing of either comes, their media
    goes another way: a proxy of the other zone, or a B2BUA, sent only the signalling back. In shadow mode what is
    refused passes, so only silence is lost.
    """
    directions: dict[Course, list[Way]] = {}
    ways = (*media.held.values(), *media.refused.values())
    for way in ways:
        if way.is_expected:
            directions.setdefault(way.course, []).append(way)
    silent = {there: each for there, each in directions.items() if not _is_heard(each, call_id, media, since_ns, table)}
    is_spoken = any(way.kind == "audio" for way in ways)
    heard = [each[0] for there, each in directions.items() if there not in silent]
    voices = {(way.src, way.dst) for way in heard if way.kind == "audio"}
    losses: list[MediaLoss] = []
    for each in silent.values():
        loss = _loss(each, media, since_ns, table, policy)
        if loss.reason is not None:
            if policy.media.mode != "shadow":
                losses.append(loss)
            continue
        back = silent.get(each[0].course_back, [])
        goes_elsewhere = bool(back) and any(map(_is_in_one_zone, (*each, *back)))
        may_be_mute = media.doubted_ns is not None or any(way.key in media.quiet_before for way in each)
        may_be_off = (each[0].kind == "video" and is_spoken) or (each[0].src, each[0].dst) in voices
        if not (goes_elsewhere or may_be_mute or may_be_off):
            losses.append(loss)
    return tuple(losses)


def _is_answered(call: Call) -> bool:
    """Tell whether it is an emergency call that goes on."""
    return call.emergency is not None and call.attempt is not None and "confirmed" in call.dialogs.values()


def _is_in_one_zone(way: Way) -> bool:
    return way.is_elsewhere or (way.src.zone is not None and way.src.zone == way.dst.zone)


def _is_heard(ways: list[Way], call_id: str, media: CallMedia, since_ns: int, table: PinholeTable) -> bool:
    used = [hole for way in ways if (hole := _used(way, media, table)) is not None]
    return any(_may_be_heard(call_id, hole, since_ns, table) for hole in used)


def _used(way: Way, media: CallMedia, table: PinholeTable) -> Hole | None:
    """Return the pinhole of a way if packets passed by it since ``media.heard_before`` was noted."""
    hole = table.holes.get(way.key)
    if hole is None or hole.pinhole.verdict != "allow" or way.key not in media.held:
        return None
    return hole if hole.packets > media.heard_before.get(way.key, 0) else None


def _may_be_heard(call_id: str, hole: Hole, since_ns: int, table: PinholeTable) -> bool:
    """Tell whether some of what passed by a pinhole since then is RTP, and may be of a call.

    STUN, DTLS and the like (RFC 7983) ask for media that perhaps does not come. A gateway may have one port for all its
    calls: one pinhole, and the kernel's count is of all of them. Where a flow begins tells whose it is, if that call
    receives there (symmetric RTP, RFC 4961); else, and where no packets were copied, nobody can tell.
    """
    if hole.is_sampled and hole.pinhole.inspect == "first":
        return True  # those were perhaps copied before the answer
    came = [flow for flow in hole.flows.values() if flow.last_ns >= since_ns]
    return not came or any(flow.rtp_ns >= since_ns and _may_be_of(call_id, flow, hole, table) for flow in came)


def _may_be_of(call_id: str, flow: MediaFlow, hole: Hole, table: PinholeTable) -> bool:
    receivers = tuple(table.receivers(hole, (flow.ends.src_ip, flow.ends.src_port)))
    return call_id in receivers if receivers else not flow.is_call_known or flow.call_id == call_id


def _loss(ways: list[Way], media: CallMedia, since_ns: int, table: PinholeTable, policy: Policy) -> MediaLoss:
    way = ways[0]
    cause, reason = _cause(ways, media, since_ns, table, policy)
    of_this_call = [way.key for way in ways if _used(way, media, table) is None]
    return MediaLoss(
        way.src.zone or way.src.ip,
        wire_text(way.key.src_ip or way.src.ip),
        wire_text(way.key.dst_ip),
        way.key.dst_port,
        sum([hole.packets for hole in table.open_among(of_this_call)]),
        cause,
        reason,
    )


def _cause(
    ways: list[Way], media: CallMedia, since_ns: int, table: PinholeTable, policy: Policy
) -> tuple[str, str | None]:
    """Return why nothing is heard: what we dropped, then what was refused, then that nothing came."""
    is_latched, is_open = any(way.is_latched for way in ways), any(way.key in media.held for way in ways)
    for way in ways:
        hole = table.holes.get(way.key)
        if hole is not None and hole.pinhole.verdict == "drop":
            return f"dropped by {culprit(hole.decision, way, policy)}", hole.decision.reason
        is_replaced = is_latched or (is_open and way.refusal == "media_no_address")  # a host, perhaps the one there
        is_harmless = is_replaced or way.is_spare or way.is_elsewhere or way.key in media.held
        if way.refusal is not None and not is_harmless:
            decision = Decision("drop", way.refusal)
            return f"dropped by {culprit(decision, way, policy)}", way.refusal
    targets = {(way.key.dst_ip, way.key.dst_port) for way in ways}
    senders = {way.key.src_ip or way.src.ip for way in ways}
    for (reason, src_ip, target), flow in media.refused_flows.items():
        concerns = target in targets or (src_ip in senders and media.doubted_ns is None)
        passes_now = any(hole.pinhole.key.takes(src_ip, flow.ends.src_port) for hole in table.toward(target))
        if reason in _REFUSED and concerns and not passes_now and _is_media(flow, media.doubted_ns):
            what = _REFUSED[reason].format(src_ip=printable(src_ip), dst_ip=target[0], dst_port=target[1])
            by = culprit(Decision("drop", reason), ways[0], policy)
            count = f"{'at least ' if flow.is_sampled else ''}{flow.packets}"  # live only some are copied
            return f"{what} ({count} packets refused by {by})", reason
    used = [hole for way in ways if (hole := _used(way, media, table)) is not None]
    if any(flow.rtp_ns >= since_ns for hole in used for flow in hole.flows.values()):
        return "only packets of other calls came, which have the same port", None
    if used:
        return "no RTP came, only what sets media up or tells of it (STUN, DTLS, RTCP)", None
    return "nothing came", None


def _is_media(refused: MediaFlow, doubted_ns: int | None) -> bool:
    """Tell whether what is refused is media that the call lacks since then: anybody may send a packet, and who is on
    mute keeps its binding alive with others (RFC 6263)."""
    if doubted_ns is None:
        return True
    streams = refused.streams.values()
    return refused.last_ns >= doubted_ns and sum(stream.packets for stream in streams) > 1
