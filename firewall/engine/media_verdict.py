"""The verdict on media: what rules and settings say, what overrides it, whom it hurts."""

from firewall.engine.alarm import media_alarm
from firewall.engine.call import Call
from firewall.engine.decide import Decision, Rules
from firewall.engine.outputs import Output, Write
from firewall.engine.pinhole import MediaVerdict, Pinhole
from firewall.engine.tracking import Tracking
from firewall.engine.way import NEVER_OPENED, Way
from firewall.net.datagram import Datagram
from firewall.ruleset.facts import EmergencyMark, Facts, MediaFacts

_NEGOTIATED = Decision("allow", "media_negotiated")
_EARLY = Decision("allow", "media_early")


class MediaVerdicts:
    """The verdicts of one policy. ``are_by_packet``: a rule may decide on media, so packets must be looked at."""

    def __init__(self, rules: Rules, tracking: Tracking) -> None:
        self._policy = policy = rules.policy
        self._rules = rules
        self._tracking = tracking
        self._clock = tracking.clock
        self.are_by_packet = rules.about_media
        self._inspect = rules.media_inspect or policy.media.inspect
        self._timeout_ns = policy.media.timeout_ns

    def decide(self, way: Way, mark: EmergencyMark | None, datagram: Datagram | None) -> Decision:
        """Decide on a way, without a packet (None) or with one. What goes over TCP passes, whatever rules say."""
        if way.refusal is not None and datagram is None:
            return Decision("drop", way.refusal)
        if not self.are_by_packet or way.key.transport == "TCP":
            return _EARLY if way.is_early else _NEGOTIATED
        key = way.key
        datagram = datagram or Datagram(key.src_ip or "", key.src_port or 0, key.dst_ip, key.dst_port, b"")
        decision = self._rules.decide_media(media_facts(datagram, way, mark), self._clock.wall_ns, self._clock.now_ns)
        return _EARLY if decision.rule is None and way.is_early and not decision.shadow else decision

    def override(self, decision: Decision, way: Way, mark: EmergencyMark | None) -> str | None:
        """Return what lets media pass that a decision blocks: ``guard``, ``shadow``; None for neither.

        Where there is no address, the guard opens the way to where what comes back is sent from.
        """
        may_be_opened = decision.reason not in NEVER_OPENED
        is_guarding = mark is not None and self._policy.emergency.guard == "enforce" and not way.is_spare
        if is_guarding and (may_be_opened or decision.reason == "media_no_address"):
            return "guard"
        return "shadow" if may_be_opened and self._policy.media.mode == "shadow" else None

    def pinhole(
        self, call_id: str, way: Way, decision: Decision, override: str | None, mark: EmergencyMark | None
    ) -> Pinhole:
        """Return the pinhole that carries a decision out."""
        rule = decision.rule
        inspect = rule.inspect if rule is not None and rule.inspect is not None else self._inspect
        verdict: MediaVerdict = "allow" if decision.verdict == "allow" or override is not None else "drop"
        return Pinhole(
            way.key, way.protocol, call_id, self._timeout_ns, verdict, inspect, is_emergency=mark is not None
        )

    def hurt(self, call: Call, way: Way, decision: Decision, override: str | None) -> list[Output]:
        """Tell that media of an emergency call is blocked, or would have been. RTCP alone hurts no call, nor does what
        need not pass."""
        mark = call.emergency
        harmless = way.protocol == "rtcp" or way.is_spare or way.is_elsewhere
        if mark is None or harmless or override == "shadow" or self._policy.media.mode == "off":
            return []
        culprit = f"{decision.rule.name if decision.rule is not None else ''} {override or ''}"
        if not self._tracking.alarms.first(call.call_id, way.kind, way.dst.ip, culprit, decision.reason):
            return []
        alarm = media_alarm(
            call.call_id, mark, way, decision, self._policy, guarded=override == "guard", now_ns=self._clock.wall_ns
        )
        writes = self._tracking.ledger.media_blocked(call, way, decision, self._policy, guarded=override == "guard")
        return [Write(alarm, urgent=True), *writes]


def media_facts(datagram: Datagram, way: Way, mark: EmergencyMark | None) -> Facts:
    """Return what the rules see of a packet that comes this way."""
    about = MediaFacts(way.kind, way.protocol, way.formats.codecs, way.direction)
    return Facts(datagram, None, None, way.src.zone, way.dst.zone, mark, "none", True, about)


def media_mark(call: Call | None) -> EmergencyMark | None:
    """Return the mark of a call as its media carries it."""
    mark = call.emergency if call is not None else None
    return EmergencyMark("media", mark.service, mark.evidence) if mark is not None else None
