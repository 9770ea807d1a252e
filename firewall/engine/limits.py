"""Rate limits and bans: the state behind ``limit:`` and ``ban:`` of a rule, bounded."""

from collections import OrderedDict
from hashlib import blake2b

import msgspec

from firewall.ruleset.policy import Limit, Rule

MAX_KEYS = 65_536
"""Buckets of one limit, and banned addresses: beyond it the one longest unused is forgotten."""

Key = tuple[object, ...]

_LONGEST_KEY = 256
_MOST_PARTS = 16


def shortened(key: Key) -> Key:
    """Return a key that takes little room: of long texts, or of many values, a digest, as their sender chooses both."""
    if len(key) <= _MOST_PARTS and sum([len(part) for part in key if isinstance(part, str)]) <= _LONGEST_KEY:
        return key
    return (blake2b(repr(key).encode(), digest_size=16).digest(),)


class Buckets:
    """The token buckets of one limit, one for each key.

    Exact integer arithmetic, in nanoseconds times ``count``: a bucket is the instant at which it would be full again
    (the "theoretical arrival time" of the generic cell rate algorithm, ITU-T I.371), so live and replay cannot differ.
    """

    def __init__(self, limit: Limit) -> None:
        self.limit = limit
        self._full_at: OrderedDict[Key, int] = OrderedDict()

    def above(self, key: Key, now_ns: int) -> bool:
        """Take one token for a message; True when there was none: the message is above the limit."""
        limit = self.limit
        now = now_ns * limit.count
        full_at = max(self._full_at.pop(key, now), now)
        is_above = full_at - now > (limit.burst - 1) * limit.period_ns
        if not is_above:
            full_at += limit.period_ns
        if len(self._full_at) >= MAX_KEYS:
            self._full_at.popitem(last=False)
        self._full_at[key] = full_at  # taken out and put in again: the order of the keys is that of their last use
        return is_above


class Ban(msgspec.Struct, frozen=True, gc=False):
    """Until when an address is banned, and by which rule. The garbage collector would look at each tuple of the two."""

    until_ns: int
    rule: Rule


class Bans:
    """The ``banned`` source addresses, for others to read: each with its ban."""

    def __init__(self) -> None:
        self.banned: OrderedDict[str, Ban] = OrderedDict()

    def add(self, src_ip: str, rule: Rule, until_ns: int) -> None:
        """Ban an address until an instant; a later ban takes the place of an earlier one."""
        self.banned.pop(src_ip, None)
        if len(self.banned) >= MAX_KEYS:
            self.banned.popitem(last=False)
        self.banned[src_ip] = Ban(until_ns, rule)

    def rule_for(self, src_ip: str, now_ns: int) -> Rule | None:
        """Return the rule that banned this address, None when it is not banned (any more)."""
        ban = self.banned.get(src_ip)
        if ban is None:
            return None
        if ban.until_ns <= now_ns:
            del self.banned[src_ip]
            return None
        return ban.rule
