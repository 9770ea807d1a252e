"""From the bytes of a policy file to a ``Policy``, or one sentence why not."""

import hashlib
import re
from typing import get_args

from firewall.errors import Place, shown
from firewall.net.address import Network
from firewall.net.datagram import MAX_PORT
from firewall.net.signalling import SIP_PORT
from firewall.ruleset.media_section import media_policy
from firewall.ruleset.network_set import merged
from firewall.ruleset.node_reader import (
    Section,
    choice,
    entries,
    fail,
    integer,
    items,
    name,
    scalar,
    some_items,
    stated,
    suggestion,
)
from firewall.ruleset.policy import (
    DEFAULT_FLOWS,
    DEFAULT_NUMBERS,
    EmergencyPolicy,
    ExceptionPolicies,
    ExceptionVerdict,
    Flow,
    Guard,
    MediaPolicy,
    NamedSet,
    NetworkSet,
    Policy,
    StringSet,
    Surge,
    Zone,
)
from firewall.ruleset.rule_loader import RuleLoader, Sources
from firewall.ruleset.schema import (
    EMERGENCY_KEYS,
    EXCEPTION_KEYS,
    MAX_CALL_RATE,
    NUMBER_TO_DIAL,
    POLICY_KEYS,
    SET_KEYS,
    SIGNALLING_KEYS,
    SURGE_KEYS,
    ZONE_KEYS,
)
from firewall.ruleset.yaml_nodes import Node, Scalar, read_text, read_yaml

__all__ = ["MAX_LIST_BYTES", "Sources", "load_policy"]

MAX_LIST_BYTES = 64 * 1024 * 1024
# Linux: dev_valid_name(); and what nft can quote: it has no escapes, and a * at the end is a wildcard.
_INTERFACE = re.compile(r'(?!\.{1,2}\Z)[^\s"*\\/:{}\0-\x1f\x7f]+')
_MAX_INTERFACE_BYTES = 15
_NUL = re.compile("\0")
_COMMENT = re.compile(r"(?<![^ \t])#.*")
_NUMBER = re.compile(NUMBER_TO_DIAL)


def load_policy(text: bytes, *, file: str, sources: Sources) -> Policy:
    """Read, check and compile a policy. ``file`` is the name that places are given in.

    Raises:
        PolicyError: anything wrong with it, or with a file it names.
    """
    root = read_yaml(text, file=file)
    top = Section(root, "the policy", POLICY_KEYS, required=("policy", "rules", "default"))
    zones = top.get("zones", _zones, ())
    zone_names = tuple(zone.name for zone in zones)
    sets = top.get("sets", lambda node, _: _sets(node, sources), ())
    loader = RuleLoader(file, sources, {each.name: each for each in sets}, zone_names)
    return Policy(
        name=name(top.node("policy"), "policy"),
        file=file,
        sha256=hashlib.sha256(text).hexdigest(),
        zones=zones,
        sets=sets,
        emergency=top.get(
            "emergency",
            lambda node, _: _emergency(node, zone_names),
            EmergencyPolicy(from_zones=zone_names, to_zones=zone_names),
        ),
        exceptions=top.get("exceptions", _exceptions, ExceptionPolicies()),
        rules=loader.rules(top.node("rules")),
        default=choice(get_args(ExceptionVerdict))(top.node("default"), "default"),
        default_place=top.key_place("default"),
        signalling_ports=top.get("signalling", _signalling, frozenset({SIP_PORT})),
        media=top.get("media", media_policy, MediaPolicy()),
        must=top.get("must", lambda node, _: loader.must(node), ()),
    )


def _zones(node: Node, _: str) -> tuple[Zone, ...]:
    return tuple(_zone(key, value) for key, value in entries(node, "zones"))


def _zone(key: Scalar, node: Node) -> Zone:
    what = f'zone "{shown(key.text)}"'
    section = Section(node, what, ZONE_KEYS)
    return Zone(
        name=name(key, "the name of a zone"),
        interfaces=section.get("interfaces", stated(_interfaces, "name them, or leave it out for any interface"), ()),
        networks=section.get("networks", stated(_networks, "name them, or leave it out for any address"), ()),
        on_daemon_down=section.get("on_daemon_down", choice(("bypass", "block")), "bypass"),
        place=key.place,
    )


def _interfaces(node: Node, what: str) -> tuple[str, ...]:
    found = []
    for item in items(node, what):
        interface = scalar(item, "an interface")
        if _INTERFACE.fullmatch(interface.text) is None or len(interface.text.encode()) > _MAX_INTERFACE_BYTES:
            fail(
                interface.place,
                f'"{shown(interface.text)}" cannot be the name of an interface',
                "name each as ip link does, without wildcards",
            )
        found.append(interface.text)
    return tuple(found)


def _networks(node: Node, what: str) -> tuple[Network, ...]:
    found = []
    for item in items(node, what):
        network = scalar(item, "a network")
        try:
            found.append(Network.parse(network.text))
        except ValueError as error:
            fail(network.place, str(error), "write it as 192.0.2.0/24 or 2001:db8::/32")
    return tuple(found)


def _sets(node: Node, sources: Sources) -> tuple[NamedSet, ...]:
    return tuple(_set(key, value, sources) for key, value in entries(node, "sets"))


def _set(key: Scalar, node: Node, sources: Sources) -> NamedSet:
    set_name = name(key, "the name of a set")
    section = Section(node, f'set "{set_name}"', SET_KEYS)
    given = [kind for kind in SET_KEYS if kind in section]
    if len(given) != 1:
        cause = f"has both {given[0]} and {given[1]}" if given else "is empty"
        fail(key.place, f'set "{set_name}" {cause}', "give it one of file, networks, values")
    if "networks" in section:
        return NetworkSet(set_name, merged(section.get("networks", _networks, ())), key.place)
    if "values" in section:
        values = [scalar(item, "a value").text for item in items(section.node("values"), "values")]
        return StringSet(set_name, frozenset(values), key.place)
    lines = _list_file(scalar(section.node("file"), "file"), sources)
    return StringSet(set_name, frozenset(text for text, _ in lines), key.place, lines)


def _list_file(path: Scalar, sources: Sources) -> tuple[tuple[str, Place], ...]:
    try:
        data = sources.read(path.text)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        fail(
            path.place,
            f'cannot read the list file "{shown(path.text)}": {reason}',
            "its path is relative to the policy",
        )
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


def _emergency(node: Node, zone_names: tuple[str, ...]) -> EmergencyPolicy:
    section = Section(node, "emergency", EMERGENCY_KEYS)

    def zones(value: Node, what: str) -> tuple[str, ...]:
        found = []
        for item in some_items(value, f"emergency.{what}", "leave it out for all zones"):
            zone = scalar(item, "a zone")
            if zone.text not in zone_names:
                fail(
                    zone.place,
                    f'emergency.{what} names no zone: "{shown(zone.text)}"',
                    suggestion(zone.text, zone_names),
                )
            found.append(zone.text)
        return tuple(dict.fromkeys(found))

    usual = " and ".join(DEFAULT_NUMBERS)
    numbers = stated(_numbers, f"name them, write [] for none, or leave it out for {usual}")
    return EmergencyPolicy(
        numbers=section.get("numbers", numbers, DEFAULT_NUMBERS),
        test_numbers=section.get("test_numbers", _numbers, ()),
        dial_prefixes=section.get("dial_prefixes", _numbers, ()),
        from_zones=section.get("from", zones, zone_names),
        to_zones=section.get("to", zones, zone_names),
        flows=section.get("flows", _flows, DEFAULT_FLOWS),
        surge=section.get("surge", _surge, None),
        guard=section.get("guard", choice(get_args(Guard)), "enforce"),
    )


def _numbers(node: Node, what: str) -> tuple[str, ...]:
    found = []
    for item in items(node, what):
        number = scalar(item, "a number")
        if _NUMBER.fullmatch(number.text) is None:
            advice = "use at most 32 digits, *, # and a leading +"
            fail(number.place, f'{what}: "{shown(number.text)}" is no number to dial', advice)
        found.append(number.text)
    return tuple(dict.fromkeys(found))


def _flows(node: Node, what: str) -> tuple[Flow, ...]:
    read = choice(get_args(Flow))
    flows = some_items(node, f"emergency.{what}", "leave it out for the usual ones")
    return tuple(dict.fromkeys(read(item, "a flow") for item in flows))


def _surge(node: Node, _: str) -> Surge:
    section = Section(node, "surge", SURGE_KEYS, required=SURGE_KEYS)
    rate = integer(1, MAX_CALL_RATE)
    surge = Surge(
        calls_per_second=rate(section.node("calls_per_second"), "calls_per_second"),
        per_source=rate(section.node("per_source"), "per_source"),
    )
    if surge.per_source > surge.calls_per_second:
        fail(
            section.key_place("per_source"),
            f"per_source {surge.per_source} is more than calls_per_second {surge.calls_per_second} in all",
        )
    return surge


def _exceptions(node: Node, _: str) -> ExceptionPolicies:
    section = Section(node, "exceptions", EXCEPTION_KEYS)
    read = choice(get_args(ExceptionVerdict))
    return ExceptionPolicies(**{key: read(section.node(key), key) for key in EXCEPTION_KEYS if key in section})


def _signalling(node: Node, _: str) -> frozenset[int]:
    section = Section(node, "signalling", SIGNALLING_KEYS, required=SIGNALLING_KEYS)
    read = integer(1, MAX_PORT)
    ports = some_items(section.node("ports"), "ports", f"leave signalling out for [{SIP_PORT}]")
    return frozenset(read(item, "a port") for item in ports)
