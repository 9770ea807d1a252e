"""What a policy says beside the rules' verdicts: the settings of two policies that are not the same, in words."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import TypeVar

from firewall.lint.proof.canonical import canonical
from firewall.ruleset.expression import Condition
from firewall.ruleset.network_set import merged
from firewall.ruleset.policy import Limit, Policy, Rule, Zone

K = TypeVar("K")
T = TypeVar("T")

_NONE = "none"
_NS = 1_000_000_000
_LISTS = ("numbers", "test_numbers", "dial_prefixes", "flows")


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting that changes: what it is, its value before and after, both in words."""

    what: str
    before: str
    after: str


def settings(old: Policy, new: Policy) -> list[Setting]:
    """Return every setting that differs. What something is called is none."""
    said = _both(_said(old, renamed_zones(old, new)), _said(new, {}))
    return [
        *(Setting(what, before or _NONE, after or _NONE) for what, before, after in said if before != after),
        *_of_limits(old, new),
        *_of_promises(old, new),
    ]


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


def _said(policy: Policy, now: Mapping[str, str]) -> dict[str, str]:
    """Return every setting in words but limits and promises; ``now`` says what zones are called now."""
    emergency, media, surge = policy.emergency, policy.media, policy.emergency.surge
    said = {f"emergency.{name}": _sorted(getattr(emergency, name)) for name in _LISTS}
    for name, zones in (("from", emergency.from_zones), ("to", emergency.to_zones)):
        said[f"emergency.{name}"] = _sorted(now.get(zone, zone) for zone in zones)
    rates = f"{surge.calls_per_second} calls per second, {surge.per_source} per source" if surge else "the default"
    said |= {"emergency.surge": rates, "emergency.guard": emergency.guard}
    said |= {f"exceptions.{each.name}": getattr(policy.exceptions, each.name) for each in fields(policy.exceptions)}
    for zone in policy.zones:
        name = now.get(zone.name, zone.name)
        said |= {f"zone {name}: {what}": text for what, text in _zone(zone).items()}
    said["signalling.ports"] = _numbers(policy.signalling_ports)
    said |= {f"media.{name}": getattr(media, name) for name in ("mode", "source", "early", "nat", "inspect")}
    said |= {"media.ports": f"{media.ports[0]}-{media.ports[1]}", "media.other_ports": _numbers(media.other_ports)}
    said |= {"media.grace": duration(media.grace_ns), "media.timeout": duration(media.timeout_ns)}
    return said | {f'shadow rule "{rule.name}"': _shadow(rule) for rule in policy.rules if rule.shadow}


def _zone(zone: Zone) -> dict[str, str]:
    networks = ", ".join(str(network) for network in merged(zone.networks)) or "any"
    return {
        "networks": networks,
        "interfaces": ", ".join(sorted(set(zone.interfaces))) or "any",
        "on_daemon_down": zone.on_daemon_down,
    }


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


def _shadow(rule: Rule) -> str:
    limit = f" above {rule.limit.text}" if rule.limit is not None else ""
    return f"would {rule.action}{limit}"


def _of_promises(old: Policy, new: Policy) -> Iterator[Setting]:
    def promises(policy: Policy) -> dict[tuple[Condition, str], str]:
        return {(canonical(must.when, {}), must.verdict): f"{must.verdict}: {must.when_text}" for must in policy.must}

    for _, before, after in _both(promises(old), promises(new)):
        if before is None or after is None:
            yield Setting("must", before or _NONE, after or _NONE)


def _both(old: Mapping[K, T], new: Mapping[K, T]) -> Iterator[tuple[K, T | None, T | None]]:
    for key in dict.fromkeys((*old, *new)):
        yield key, old.get(key), new.get(key)


def _sorted(values: Iterable[str]) -> str:
    return ", ".join(sorted(set(values))) or _NONE


def _numbers(values: Iterable[int]) -> str:
    return ", ".join(str(value) for value in sorted(values)) or _NONE
