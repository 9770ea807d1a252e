"""The section ``media`` of a policy: from a YAML node to a ``MediaPolicy``."""

import re
from typing import get_args

from firewall.errors import shown
from firewall.net.datagram import MAX_PORT
from firewall.net.media_port import FIRST_MEDIA_PORT
from firewall.ruleset.node_reader import Section, choice, duration_ns, fail, integer, items, scalar
from firewall.ruleset.policy import Inspect, MediaEarly, MediaMode, MediaNat, MediaPolicy, MediaSource
from firewall.ruleset.schema import MEDIA_KEYS, PORT_RANGE
from firewall.ruleset.yaml_nodes import Node

_RANGE = re.compile(PORT_RANGE)


def media_policy(node: Node, _: str) -> MediaPolicy:
    """Read the section ``media``.

    Raises:
        PolicyError: anything wrong with it.
    """
    section = Section(node, "media", MEDIA_KEYS)
    default = MediaPolicy()
    return MediaPolicy(
        mode=section.get("mode", choice(get_args(MediaMode)), default.mode),
        source=section.get("source", choice(get_args(MediaSource)), default.source),
        early=section.get("early", choice(get_args(MediaEarly)), default.early),
        nat=section.get("nat", choice(get_args(MediaNat)), default.nat),
        ports=section.get("ports", _ports, default.ports),
        other_ports=section.get("other_ports", _other_ports, default.other_ports),
        grace_ns=section.get("grace", duration_ns, default.grace_ns),
        timeout_ns=section.get("timeout", duration_ns, default.timeout_ns),
        inspect=section.get("inspect", choice(get_args(Inspect)), default.inspect),
        places=tuple((key, section.key_place(key)) for key in MEDIA_KEYS if key in section),
    )


def _ports(node: Node, what: str) -> tuple[int, int]:
    found = scalar(node, what)
    match = _RANGE.fullmatch(found.text)
    if match is None:
        fail(found.place, f'{what} "{shown(found.text)}" is no range of ports', "write it as 10000-20000")
    first, last = int(match[1]), int(match[2])
    if first > last:
        fail(found.place, f"{what} {found.text} is reversed", f"write it as {last}-{first}")
    if first < FIRST_MEDIA_PORT or last > MAX_PORT:
        fail(found.place, f"{what} {found.text} is outside {FIRST_MEDIA_PORT}-{MAX_PORT}, where media is")
    return first, last


def _other_ports(node: Node, what: str) -> frozenset[int]:
    read = integer(1, MAX_PORT)
    return frozenset(read(item, f"a port of {what}") for item in items(node, what))
