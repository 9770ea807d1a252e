"""What a policy says beside the rules' verdicts: the settings of two policies that are not the same, in words."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import TypeVar

from firewall.lint.proof.canonical import canonical
from firewall.net.address import Network
from firewall.ruleset.expression import Condition
from firewall.ruleset.network_set import merged
from firewall.ruleset.policy import Limit, MediaPolicy, Policy, Rule, Zone

T = TypeVar("T")

_NONE = "none"
_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting that changes: what it is, its value before and after, both in words."""

    what: str
    before: str
    after: str


def settings(old: Policy, new: Policy) -> list[Setting]:
    """Return every setting that differs. What something is called is none."""
    found = [
        *_of_emergency(old, new),
        *_of_exceptions(old, new),
        *_of_zones(old, new),
        *_changed("signalling.ports", _numbers(old.signalling_ports), _numbers(new.signalling_ports)),
        *_of_media(old.media, new.media),
        *_of_limits(old, new),
        *_of_shadows(old, new),
        *_of_promises(old, new),
    ]
    return list(found)


def renamed_rules(old: Policy, new: Policy) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of rules that only the old policy has, and those that only the new one has."""
    before, after = ([rule.name for rule in policy.rules] for policy in (old, new))
    gone, added = (
        tuple(name for name in ours if name not in theirs) for ours, theirs in ((before, after), (after, before))
    )
    return gone, added


def renamed_zones(old: Policy, new: Policy) -> dict[str, str]:
    """Return the zones that are the same but for their names: the old name, the new one."""
    gone, added = (
        {zone.name: _zone(zone) for zone in ours.zones if zone.name not in {each.name for each in theirs.zones}}
        for ours, theirs in ((old, new), (new, old))
    )
    found: dict[str, str] = {}
    for name, content in gone.items():
        same = [other for other, of_other in added.items() if of_other == content and other not in found.values()]
        if same:
            found[name] = same[0]
    return found


def duration(ns: int) -> str:
    """Return a time as a policy writes it: ``10m``."""
    for unit, size in (("h", 3600 * _NS), ("m", 60 * _NS), ("s", _NS)):
        if ns % size == 0:
            return f"{ns // size}{unit}"
    return f"{ns // 1_000_000}ms"


def _changed(what: str, before: str, after: str) -> Iterator[Setting]:
    if before != after:
        yield Setting(what, before, after)


def _of_emergency(old: Policy, new: Policy) -> Iterator[Setting]:
    before, after = old.emergency, new.emergency
    for name in ("numbers", "test_numbers", "dial_prefixes", "flows"):
        yield from _changed(f"emergency.{name}", _sorted(getattr(before, name)), _sorted(getattr(after, name)))
    now = renamed_zones(old, new)
    for name, zones, new_zones in (
        ("from", before.from_zones, after.from_zones),
        ("to", before.to_zones, after.to_zones),
    ):
        yield from _changed(f"emergency.{name}", _sorted(tuple(now.get(z, z) for z in zones)), _sorted(new_zones))
    surges = [
        f"{surge.calls_per_second} calls per second, {surge.per_source} per source" if surge else "the default"
        for surge in (before.surge, after.surge)
    ]
    yield from _changed("emergency.surge", *surges)
    yield from _changed("emergency.guard", before.guard, after.guard)


def _of_exceptions(old: Policy, new: Policy) -> Iterator[Setting]:
    for each in fields(old.exceptions):
        before, after = (getattr(policy.exceptions, each.name) for policy in (old, new))
        yield from _changed(f"exceptions.{each.name}", before, after)


def _of_media(before: MediaPolicy, after: MediaPolicy) -> Iterator[Setting]:
    for name in ("mode", "source", "early", "nat", "inspect"):
        yield from _changed(f"media.{name}", getattr(before, name), getattr(after, name))
    yield from _changed("media.ports", *(f"{media.ports[0]}-{media.ports[1]}" for media in (before, after)))
    yield from _changed("media.other_ports", *(_numbers(media.other_ports) or _NONE for media in (before, after)))
    yield from _changed("media.grace", duration(before.grace_ns), duration(after.grace_ns))
    yield from _changed("media.timeout", duration(before.timeout_ns), duration(after.timeout_ns))


def _of_zones(old: Policy, new: Policy) -> Iterator[Setting]:
    now = renamed_zones(old, new)
    for name, before, after in _both({now.get(z.name, z.name): z for z in old.zones}, {z.name: z for z in new.zones}):
        if before is None or after is None:
            yield from _changed(f"zone {name}", *(_NONE if zone is None else _zone(zone) for zone in (before, after)))
            continue
        yield from _changed(f"zone {name}: networks", _networks(before.networks), _networks(after.networks))
        yield from _changed(f"zone {name}: interfaces", _sorted(before.interfaces), _sorted(after.interfaces))
        yield from _changed(f"zone {name}: on_daemon_down", before.on_daemon_down, after.on_daemon_down)


def _of_limits(old: Policy, new: Policy) -> Iterator[Setting]:
    """Limits by the rules' names; one that only moved to a rule of another name is no change of numbers."""
    before, after = ({r.name: r.limit for r in policy.rules if r.limit is not None} for policy in (old, new))
    gone, added = ([a[name] for name in a if name not in b] for a, b in ((before, after), (after, before)))
    for name, one, other in _both(before, after):
        same = [other] if one is not None and other is not None else gone if one is None else added
        if not any(_numbers_of(each) == _numbers_of(one or other) for each in same):
            yield Setting(
                f'limit of rule "{name}"', *(_NONE if limit is None else limit.text for limit in (one, other))
            )


def _numbers_of(limit: Limit | None) -> Limit | None:
    return replace(limit, text="") if limit is not None else None


def _of_shadows(old: Policy, new: Policy) -> Iterator[Setting]:
    shadows = ({r.name: r for r in policy.rules if r.shadow} for policy in (old, new))
    for name, before, after in _both(*shadows):
        told = [_NONE if rule is None else _shadow(rule) for rule in (before, after)]
        yield from _changed(f'shadow rule "{name}"', *told)


def _shadow(rule: Rule) -> str:
    limit = f" above {rule.limit.text}" if rule.limit is not None else ""
    return f"would {rule.action}{limit}"


def _of_promises(old: Policy, new: Policy) -> Iterator[Setting]:
    def promises(policy: Policy) -> dict[tuple[Condition, str], str]:
        return {(canonical(must.when, {}), must.verdict): f"{must.verdict}: {must.when_text}" for must in policy.must}

    for _, before, after in _both(promises(old), promises(new)):
        if before is None or after is None:
            yield Setting("must", before or _NONE, after or _NONE)


K = TypeVar("K")


def _both(old: Mapping[K, T], new: Mapping[K, T]) -> Iterator[tuple[K, T | None, T | None]]:
    for key in dict.fromkeys((*old, *new)):
        yield key, old.get(key), new.get(key)


def _sorted(values: tuple[str, ...]) -> str:
    return ", ".join(sorted(set(values))) or _NONE


def _numbers(values: frozenset[int]) -> str:
    return ", ".join(str(value) for value in sorted(values))


def _networks(networks: tuple[Network, ...]) -> str:
    return ", ".join(str(network) for network in merged(networks)) or "any"


def _zone(zone: Zone) -> str:
    interfaces = ", ".join(zone.interfaces) or "any"
    return f"networks {_networks(zone.networks)}; interfaces {interfaces}; on_daemon_down {zone.on_daemon_down}"
