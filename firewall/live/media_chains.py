"""The part of the nftables table that media passes: the sets of negotiated flows, and what becomes of other packets.

A packet of a flow in a set never leaves the kernel: it is counted in its element and accepted. Some are copied to the
daemon on their way: the first ones of a flow, and a few of a long one now and then, for which its element sends
packets through a chain that copies; at other times the element itself accepts them. What no element fits is media that
nobody negotiated. It is copied, too, so that it can be told why, then dropped, but only while the daemon is alive: its
sign of life is an element that it puts into a set again and again. Without it, each zone's ``on_daemon_down`` decides
on what is not negotiated.
"""

from firewall.live.flow_sets import (
    CHAIN_OF,
    COPYING,
    DROP_CHAIN,
    FAMILIES,
    Family,
    kernel_set,
    plain_name,
    set_types,
    zone_set,
)
from firewall.live.zone_match import may_share, zone_matches
from firewall.net.media_port import FIRST_MEDIA_PORT
from firewall.ruleset.policy import Policy, Zone

COPY_GROUP = 505
SAMPLE_PREFIX = "sample"
REFUSED_PREFIX = "refused"
REFUSED_COUNTER = "media_refused"
ALIVE_SET = "daemon_alive"
ALIVE_KEYS = (b"\x02", b"\x0a")  # NFPROTO_IPV4, NFPROTO_IPV6
_COPIED_PACKETS = 5

_SAMPLED = {"media_copied": "==", "media_set_up": "!="}  # the set for RTP and RTCP, and that for what has no version 2
LIMITER_SETS = tuple(f"{name}{family}" for family in FAMILIES for name in (*_SAMPLED, "media_refused"))
"""What was copied of late: a new daemon has seen none of it."""

_FLOW_TYPE = "ipv{0}_addr . inet_service . ipv{0}_addr . inet_service"
_FLOW = "{0} saddr . udp sport . {0} daddr . udp dport"
_LIMITED_FLOWS = 65536
_SAMPLED_IN_ALL = "limit rate 2000/second burst 4000 packets"
_UNLESS_ALIVE = f"meta nfproto != @{ALIVE_SET} goto daemon_down"
_SAMPLE = f"limit rate 30/minute burst {_COPIED_PACKETS} packets"  # one in the time that a flow rests
_FIRST = f"limit rate 1/day burst {_COPIED_PACKETS} packets"
_REFUSED = "limit rate 6/minute burst 3 packets"
_REFUSED_IN_ALL = "limit rate 200/second burst 400 packets"
_KEYWORD: dict[Family, str] = {4: "ip", 6: "ip6"}


_SENDER = "{0} saddr . {0} daddr . udp dport"
_USUAL_COPIES = CHAIN_OF["sample"]
KNOWN_MEDIA_RULES = (
    *(f"{_SENDER.format(_KEYWORD[f])} vmap @media{f}" for f in FAMILIES),
    *(
        f"{_SENDER.format(_KEYWORD[f])} @{kernel_set(f'media{f}', _USUAL_COPIES)} goto {_USUAL_COPIES}"
        for f in FAMILIES
    ),
)
"""What nearly every packet of media fits, so it is asked first."""


def media_sets(policy: Policy) -> str:
    """Return the declarations of the sets, which a table keeps while its chains are replaced."""
    zones = tuple(zone.name for zone in policy.zones)
    lines = [
        f"  map {name} {{ type {kind} : verdict; flags timeout; counter; }}" for name, kind in set_types(zones).items()
    ]
    lines += [
        f"  set {kernel_set(name, chain)} {{ type {kind}; flags timeout; counter; }}"
        for name, kind in set_types(zones).items()
        for chain in COPYING
    ]
    lines += [
        f"  set {name} {{ type {_FLOW_TYPE.format(name[-1])}; flags dynamic,timeout; timeout 1m; "
        f"size {_LIMITED_FLOWS}; }}"
        for name in LIMITER_SETS
    ]
    lines.append(f"  set {ALIVE_SET} {{ type nf_proto; flags timeout; }}")
    lines.append(f"  counter {REFUSED_COUNTER} {{ }}")
    return "\n".join(lines)


def media_chains(policy: Policy) -> str:
    """Return the chains; ``media`` is where a packet begins that is no signalling and no known media, unless the
    policy does not filter media."""
    others = ", ".join(str(port) for port in sorted(policy.media.other_ports))
    chains = {
        "media_sample": [*_copies(_SAMPLE), "accept"],
        "media_first": [*_copies(_FIRST), "accept"],
        "media_all": [_log(SAMPLE_PREFIX), "accept"],
        DROP_CHAIN: [*_copies(_SAMPLE), _UNLESS_ALIVE, "drop"],
        "media_refused": [
            *(
                f"{_limited('media_refused', family, _REFUSED)} {_REFUSED_IN_ALL} {_log(REFUSED_PREFIX)}"
                for family in FAMILIES
            ),
            _UNLESS_ALIVE,
            f"counter name {REFUSED_COUNTER}",
            "accept" if policy.media.mode == "shadow" else "drop",
        ],
        **_zone_chains(policy.zones),
        "media": [
            *(rule for f in FAMILIES for rule in _copied(_SENDER.format(_KEYWORD[f]), f"media{f}")),
            f"udp sport < {FIRST_MEDIA_PORT} accept",
            f"udp dport < {FIRST_MEDIA_PORT} accept",
            *((f"udp sport {{ {others} }} accept", f"udp dport {{ {others} }} accept") if others else ()),
            *(rule for f in FAMILIES for rule in _looked_up(_FLOW.format(_KEYWORD[f]), f"media{f}_port")),
            *(
                f"{match}goto {_chain('from', zone.name)}"
                for zone in policy.zones
                for match in zone_matches(zone, "source")
            ),
            f"goto {_chain('from' if policy.zones else 'toward', None)}",
        ],
    }
    return "\n".join(
        f"  chain {name} {{\n" + "".join(f"    {rule}\n" for rule in rules) + "  }" for name, rules in chains.items()
    )


def _zone_chains(zones: tuple[Zone, ...]) -> dict[str, list[str]]:
    """Return, for each zone a packet may come from, what leaves it at all and which of that is let through.

    The first zone listed that fits is the one an address is in, so those before it that may fit, too, are asked first.
    """
    chains = {}
    for index, zone in enumerate(zones):
        toward = _chain("toward", zone.name)
        earlier = [
            f"{match}goto {toward}"
            for other in zones[:index]
            if may_share(other, zone)
            for match in zone_matches(other, "destination")
        ]
        inside = [f"{match}accept" for match in zone_matches(zone, "destination")]
        chains[toward] = _open(zone.name)
        chains[_chain("from", zone.name)] = [*earlier, *inside, f"goto {toward}"]
    chains[_chain("toward", None)] = _open(None)
    if zones:
        toward = _chain("toward", None)
        chains[_chain("from", None)] = [
            *(f"{match}goto {toward}" for zone in zones for match in zone_matches(zone, "destination")),
            "accept",
        ]
    return chains


def _open(zone: str | None) -> list[str]:
    lookups = (_looked_up(f"{_KEYWORD[f]} daddr . udp dport", zone_set(f, zone)) for f in FAMILIES)
    return [*(rule for rules in lookups for rule in rules), "goto media_refused"]


def _looked_up(key: str, set_name: str) -> list[str]:
    return [f"{key} vmap @{set_name}", *_copied(key, set_name)]


def _copied(key: str, set_name: str) -> list[str]:
    return [f"{key} @{kernel_set(set_name, chain)} goto {chain}" for chain in COPYING]


def _chain(way: str, zone: str | None) -> str:
    return f"media_{way}" if zone is None else f"media_{way}_{plain_name(zone)}"


def _copies(limit: str) -> list[str]:
    """RTP and what asks for it (STUN, DTLS) are copied each for itself: so copies tell that none of it came."""
    return [
        f"@th,64,2 {is_rtp} 2 {_limited(name, family, limit)} {_SAMPLED_IN_ALL} {_log(SAMPLE_PREFIX)}"
        for family in FAMILIES
        for name, is_rtp in _SAMPLED.items()
    ]


def _limited(name: str, family: Family, limit: str) -> str:
    return f"update @{name}{family} {{ {_FLOW.format(_KEYWORD[family])} {limit} }}"


def _log(prefix: str) -> str:
    return f'log prefix "{prefix}" group {COPY_GROUP}'
