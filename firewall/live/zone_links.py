"""Interfaces of zones by which nothing comes in (not there, there by another name, or ports of one that no zone has),
those whose packets the kernel does not forward or hand over, and ports of peers that another program has taken.
"""

from collections.abc import Callable

from firewall.live import links, nftables, routing
from firewall.live.sender import can_send_from
from firewall.net.address import family
from firewall.ruleset.policy import Policy


class ZoneLinks:
    """Tells ``say`` which are missing, not forwarded or taken, and which interfaces are there again, each once."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._missing: set[str] = set()
        self._warned: set[str] = set()

    def look(self, policy: Policy) -> None:
        """Look at those that zones name as they are now."""
        warnings = _forwarding_switched_off(policy) | _bridges_that_lose(policy) | _ports_taken(policy)
        for warning in sorted(warnings - self._warned):
            self._say(f"warning: {warning}")
        self._warned = warnings
        wanted = set(nftables.zone_interfaces(policy) or ())
        taken_by = {port: master for port, master in links.ports().items() if port in wanted and master not in wanted}
        missing = (wanted - set(links.interface_names().values())) | taken_by.keys()
        for name in sorted(missing - self._missing):
            self._say(f"warning: {_why_unseen(name, taken_by.get(name))}")
        for name in sorted((self._missing & wanted) - missing):
            self._say(f'there is an interface "{name}" now; its traffic is looked at')
        self._missing = missing


def _forwarding_switched_off(policy: Policy) -> set[str]:
    versions = {family(network.first) for zone in policy.zones for network in zone.networks} or {4}
    names = nftables.zone_interfaces(policy) or ("all",)
    asked = [f"ipv4/conf/{name}/forwarding" for name in names if 4 in versions]
    if 6 in versions and not routing.is_switched_off(6):
        # The kernel asks for IPv6 as a whole; since Linux 6.17 the interface may say so by itself.
        forced = all(links.setting(f"ipv6/conf/{name}/force_forwarding") == "1" for name in names)
        asked += [] if forced else ["ipv6/conf/all/forwarding"]
    return {
        f"{links.SETTINGS / setting} is 0: signalling goes on, but calls have no media until it is 1"
        for setting in asked
        if links.setting(setting) == "0"
    }


def _bridges_that_lose(policy: Policy) -> set[str]:
    asked = [f"bridge/bridge-nf-call-{tables}" for tables in ("iptables", "ip6tables")]
    switched_on = [name for name in asked if links.setting(name) == "1"]
    wanted = nftables.zone_interfaces(policy)
    return {
        f'{links.SETTINGS / name} is 1: messages that come in by the bridge "{bridge}" are lost until it is 0'
        for name in switched_on
        for bridge in links.bridges()
        if wanted is None or bridge in wanted
    }


def _ports_taken(policy: Policy) -> set[str]:
    return {
        f"another program has UDP port {port} on every address: messages of peers from that port cannot be sent on; "
        f'have it listen on its own address ("ss -lunp sport = :{port}" names it)'
        for port in policy.signalling_ports
        if not can_send_from(port)
    }


def _why_unseen(interface: str, master: str | None) -> str:
    if master is not None:
        return (
            f'the interface "{interface}" is a port of "{master}", by which its traffic comes in: that is in no zone, '
            "so it passes unseen"
        )
    name = links.name_of_alternative(interface)
    if name is not None:
        return (
            f'"{interface}" is another name of the interface "{name}": its traffic passes unseen until a zone has that'
        )
    return f'there is no interface "{interface}" here; its traffic is looked at once there is'
