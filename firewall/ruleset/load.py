"""From the bytes of a policy file to a ``Policy``, or one sentence why not."""

import hashlib
import re

from firewall.errors import Place, fail, shown
from firewall.ruleset.kind import NAME, Section, entries, suggestion
from firewall.ruleset.network_set import merged
from firewall.ruleset.policy import (
    EmergencyPolicy,
    ExceptionPolicies,
    MediaPolicy,
    NamedSet,
    NetworkSet,
    Policy,
    StringSet,
)
from firewall.ruleset.rule_loader import RuleLoader, Sources
from firewall.ruleset.schema import POLICY_KEYS, SET_KEYS
from firewall.ruleset.yaml_nodes import Node, Scalar, read_text, read_yaml

__all__ = ["MAX_LIST_BYTES", "Sources", "load_policy"]

MAX_LIST_BYTES = 64 * 1024 * 1024
_NUL = re.compile("\0")
_COMMENT = re.compile(r"(?<![^ \t])#.*")


def load_policy(text: bytes, *, file: str, sources: Sources) -> Policy:
    """Read, check and compile a policy. ``file`` is the name that places are given in.

    Raises:
        PolicyError: anything wrong with it, or with a file it names.
    """
    top = Section(read_yaml(text, file=file), "the policy", POLICY_KEYS)
    zones = top.get("zones", ())
    zone_names = tuple(zone.name for zone in zones)
    sets = tuple(_set(key, node, sources) for key, node in entries(top.get("sets"), "sets")) if "sets" in top else ()
    loader = RuleLoader(sources, {each.name: each for each in sets}, zone_names)
    return Policy(
        name=top.get("policy"),
        file=file,
        sha256=hashlib.sha256(text).hexdigest(),
        zones=zones,
        sets=sets,
        emergency=_emergency(top.get("emergency"), zone_names),
        exceptions=top.get("exceptions", ExceptionPolicies()),
        rules=loader.rules(top.get("rules")),
        default=top.get("default"),
        default_place=top.key_place("default"),
        media=top.get("media", MediaPolicy()),
        must=loader.must(top.get("must", ())),
        **({"signalling_ports": top.get("signalling")} if "signalling" in top else {}),
    )


def _set(key: Scalar, node: Node, sources: Sources) -> NamedSet:
    name = NAME.read(key, "the name of a set")
    given = Section(node, f'set "{name}"', SET_KEYS).values()
    if len(given) != 1:
        cause = f"has both {' and '.join(list(given)[:2])}" if given else "is empty"
        fail(key.place, f'set "{name}" {cause}', "give it one of file, networks, values")
    if "networks" in given:
        return NetworkSet(name, merged(given["networks"]), key.place)
    if "values" in given:
        return StringSet(name, frozenset(value.text for value in given["values"]), key.place)
    lines = _list_file(given["file"], sources)
    return StringSet(name, frozenset(text for text, _ in lines), key.place, lines)


def _list_file(path: Scalar, sources: Sources) -> tuple[tuple[str, Place], ...]:
    try:
        data = sources.read(path.text)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        cause = f'cannot read the list file "{shown(path.text)}": {reason}'
        fail(path.place, cause, "its path is relative to the policy")
    if len(data) > MAX_LIST_BYTES:
        fail(path.place, f'the list file "{shown(path.text)}" is larger than {MAX_LIST_BYTES // 1024 // 1024} MiB')
    lines = []
    text = read_text(data, path.text, _NUL.search, "a list is a text file in UTF-8")
    for number, line in enumerate(text.split("\n"), start=1):
        entry = _without_comment(line).strip()
        if entry:
            lines.append((entry, Place(path.text, number, len(line) - len(line.lstrip()) + 1)))
    return tuple(lines)


def _without_comment(line: str) -> str:
    """Cut a comment: a # at the beginning or after a blank (one inside an entry belongs to it)."""
    return _COMMENT.sub("", line) if "#" in line else line


def _emergency(section: Section | None, zone_names: tuple[str, ...]) -> EmergencyPolicy:
    """Read the section, or none: ``from`` and ``to`` are all zones unless they are named."""
    named = section.values(**{"from": "from_zones", "to": "to_zones"}) if section is not None else {}
    for end in ("from", "to"):
        zones = named.get(f"{end}_zones")
        for zone in zones or ():
            if zone.text not in zone_names:
                cause = f'emergency.{end} names no zone: "{shown(zone.text)}"'
                fail(zone.place, cause, suggestion(zone.text, zone_names))
        named[f"{end}_zones"] = zone_names if zones is None else tuple(dict.fromkeys(zone.text for zone in zones))
    return EmergencyPolicy(**named)
