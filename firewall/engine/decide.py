"""The decision on one message: the rules (first match decides), what the message belongs to, the exceptions."""

from collections.abc import Callable
from typing import Literal

import msgspec

from firewall.engine.call import NOWHERE, Call, Place
from firewall.engine.limits import Bans, Buckets, Key, shortened
from firewall.engine.record import ShadowVerdict
from firewall.net.datagram import Datagram
from firewall.ruleset.expression import Field, named_fields
from firewall.ruleset.facts import Facts
from firewall.ruleset.fields import FIELDS, reader_of
from firewall.ruleset.policy import Inspect, Policy, Rule, Verdict
from firewall.sip.message import Request
from firewall.sip.start_line import KNOWN_METHODS

_MOST_FIRST: tuple[Inspect, ...] = ("all", "sample", "first")
# What no session description tells of a packet to come.
_FIELDS_OF_PACKETS = frozenset(name for name in FIELDS if name.startswith(("rtp", "rtcp")) or name == "frame.len")
_FIELDS_OF_SOURCE_PORT = frozenset({"udp.srcport", "udp.port"})
_FIELDS_OF_SOURCE = frozenset(
    {"net.src", "net.addr", *(name for name in FIELDS if name.partition(".")[0] in ("ip", "ipv6"))}
)


_Compiled = tuple[Rule, Callable[[Facts], bool], bool]
"""A rule, what tells whether its condition is met, and whether it has a schedule or a limit besides."""


class Decision(msgspec.Struct, frozen=True, gc=False):
    """What happens to a message and why. ``rule`` is None where no rule decided."""

    verdict: Verdict
    reason: str
    rule: Rule | None = None
    shadow: tuple[ShadowVerdict, ...] = ()

    @property
    def is_block(self) -> bool:
        """Whether somebody loses a message by it: not so by the ACK to a reject of ours, which is for us."""
        return self.verdict != "allow" and self.reason != "reject_ack"


class Reading(msgspec.Struct, frozen=True, gc=False):
    """One datagram as read: the facts for the rules, the call it belongs to if known, and where it stands there.

    ``is_untracked``: its call is unknown and the table of calls has no place left. ``is_takeover``: an earlier run was
    here not long ago. ``log_failing``: records are being lost.
    """

    facts: Facts
    call: Call | None = None
    place: Place = NOWHERE
    is_untracked: bool = False
    is_takeover: bool = False
    log_failing: bool = False

    @property
    def is_stray(self) -> bool:
        """Whether it is a response or an in-dialog request of a call nobody knows."""
        message = self.facts.message
        if message is None or self.place.follows is not None:
            return False
        return message.to_tag is not None or not isinstance(message, Request)


class Rules:
    """A policy's rules with the state they keep: token buckets and bans."""

    def __init__(self, policy: Policy, earlier: "Rules | None" = None) -> None:
        """Take over from what ``policy`` replaces: the buckets of unchanged limits, and bans where it is the same.

        What another policy has banned, this one might not: whoever it would ban is banned again by the next message.
        """
        self.policy = policy
        self.bans: Bans = earlier.bans if earlier and earlier.policy == policy else Bans()
        kept: dict[str, Buckets] = earlier._buckets if earlier else {}
        self._buckets: dict[str, Buckets] = {}
        self._key_readers: dict[str, Callable[[Facts], Key]] = {}
        self._rules = tuple(
            (rule, rule.matches, rule.schedule is not None or rule.limit is not None) for rule in policy.rules
        )
        self._rules_by_method, self._rules_without_method = _by_method(self._rules)
        self._media_rules = tuple(
            (rule, frozenset(named_fields(rule.when)))
            for rule in policy.rules
            if rule.about_media and rule.when is not None
        )
        for rule in policy.rules:
            if rule.limit is not None:
                old = kept.get(rule.name)
                self._buckets[rule.name] = old if old and old.limit == rule.limit else Buckets(rule.limit)
                self._key_readers[rule.name] = key_reader(rule.limit.per)

    def decide(self, reading: Reading, wall_ns: int, now_ns: int) -> Decision:
        """Decide on a message received at ``wall_ns`` by the wall clock (schedules), ``now_ns`` by one nobody sets."""
        facts = reading.facts
        banned_by = self.bans.rule_for(facts.datagram.src_ip, now_ns) if self.bans.banned else None
        if banned_by is not None:
            return Decision("drop", "banned", banned_by)
        if reading.place.follows == "reject_ack":
            return Decision("drop", "reject_ack")
        shadow: tuple[ShadowVerdict, ...] = ()
        message, rules = facts.message, self._rules_without_method
        if isinstance(message, Request):
            rules = self._rules_by_method.get(message.method, self._rules)
        for rule, matches, has_more in rules:
            if not matches(facts) or (has_more and not self._holds(rule, facts, wall_ns, now_ns)):
                continue
            if rule.shadow:
                shadow = (*shadow, ShadowVerdict(rule.name, rule.action, rule.place.line or 0))
                continue
            if rule.ban_ns is not None:
                self.bans.add(facts.datagram.src_ip, rule, now_ns + rule.ban_ns)
            action = rule.action if rule.action != "reject" else _rejection(facts)
            decision = Decision(action, "rule", rule, shadow)
            break
        else:
            decision = self._without_rule(reading, shadow)
        return self._excepted(decision, reading) if reading.log_failing or reading.is_untracked else decision

    @property
    def about_media(self) -> bool:
        """Whether a rule may decide on media."""
        return bool(self._media_rules)

    @property
    def media_inspect(self) -> Inspect | None:
        """How much of each flow the rules that decide on media ask to see; None where none asks."""
        asked = {rule.inspect for rule, _ in self._media_rules if rule.inspect is not None}
        return next((most for most in _MOST_FIRST if most in asked), None)

    def decide_media(self, facts: Facts, wall_ns: int, now_ns: int) -> Decision:
        """Decide on a negotiated media flow by the rules about media, without a packet or with one.

        Without one, a rule that looks at what session descriptions do not tell has no say yet: its time comes with the
        first packet. What no rule matches passes (reason ``media_negotiated``).
        """
        shadow: tuple[ShadowVerdict, ...] = ()
        unknown = _unknown_fields(facts.datagram)
        for rule, named in self._media_rules:
            if not unknown.isdisjoint(named):
                break
            if not rule.matches(facts) or not self._holds(rule, facts, wall_ns, now_ns):
                continue
            if rule.shadow:
                shadow = (*shadow, ShadowVerdict(rule.name, rule.action, rule.place.line or 0))
                continue
            return Decision("allow" if rule.action == "allow" else "drop", "rule", rule, shadow)
        return Decision("allow", "media_negotiated", None, shadow)

    def _holds(self, rule: Rule, facts: Facts, wall_ns: int, now_ns: int) -> bool:
        """Tell whether a rule whose condition is met matches: it is active, and the message is above its limit."""
        if rule.schedule is not None and not rule.schedule.active(wall_ns):
            return False
        if rule.limit is None:
            return True
        return self._buckets[rule.name].above(self._key_readers[rule.name](facts), now_ns)

    def _without_rule(self, reading: Reading, shadow: tuple[ShadowVerdict, ...]) -> Decision:
        facts, follows, exceptions = reading.facts, reading.place.follows, self.policy.exceptions
        if follows is not None:
            return Decision("allow", follows, None, shadow)
        if facts.malformed is not None:
            return Decision(exceptions.malformed, facts.malformed, None, shadow)
        if facts.message is None:
            return Decision("allow", "keep_alive", None, shadow)
        if reading.is_takeover and reading.is_stray:
            return Decision("allow", "takeover", None, shadow)
        if reading.is_untracked and exceptions.table_full == "allow" and reading.is_stray:
            return Decision("allow", "table_full", None, shadow)
        return Decision(self.policy.default, "default", None, shadow)

    def _excepted(self, decision: Decision, reading: Reading) -> Decision:
        """Let the exception policies have the last word on what would pass, but never on an emergency call."""
        if decision.verdict != "allow" or reading.facts.emergency is not None:
            return decision
        exceptions = self.policy.exceptions
        dropped: Literal["log_unwritable", "table_full"] | None = None
        if reading.log_failing and exceptions.log_unwritable == "drop":
            dropped = "log_unwritable"
        elif reading.is_untracked and exceptions.table_full == "drop":
            dropped = "table_full"
        return Decision("drop", dropped, None, decision.shadow) if dropped else decision


def _by_method(compiled: tuple[_Compiled, ...]) -> tuple[dict[str, tuple[_Compiled, ...]], tuple[_Compiled, ...]]:
    """Return the rules that can match a request of each known method, and those that can match what is no request."""
    by_method = {
        method: tuple([each for each in compiled if each[0].methods is None or method in each[0].methods])
        for method in KNOWN_METHODS
    }
    return by_method, tuple([each for each in compiled if each[0].methods is None])


def _unknown_fields(datagram: Datagram) -> frozenset[str]:
    """Return the fields that only a packet tells; where there is none, port and address of its source may be open."""
    if datagram.payload:
        return frozenset()
    unknown = _FIELDS_OF_PACKETS
    if not datagram.src_port:
        unknown |= _FIELDS_OF_SOURCE_PORT
    return unknown if datagram.src_ip else unknown | _FIELDS_OF_SOURCE


def _rejection(facts: Facts) -> Verdict:
    """Return what becomes of a message to be rejected: what nobody may answer (RFC 3261 §17: a response, an ACK) is
    dropped."""
    return "reject" if isinstance(facts.message, Request) and facts.message.method != "ACK" else "drop"


def decision_line(decision: Decision, policy: Policy) -> int | None:
    """Return the line of the policy that a decision comes from, None where no line decided."""
    if decision.rule is not None:
        return decision.rule.place.line
    return policy.default_place.line if decision.reason == "default" else None


def key_reader(per: tuple[str, ...]) -> Callable[[Facts], Key]:
    """Return the function that reads the bucket's key, the values of a limit's ``per`` fields, from a message."""
    readers = [reader_of(Field(name)) for name in per]

    def read_all(facts: Facts) -> Key:
        return tuple(value for read in readers for value in (*read(facts), None))

    read_key = readers[0] if len(readers) == 1 else read_all
    is_short = all(FIELDS[name].type in ("address", "flag") for name in per)
    return read_key if is_short else lambda facts: shortened(read_key(facts))
