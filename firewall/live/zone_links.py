"""Interfaces of zones by which nothing comes in (not there, there by another name, or ports of one that no zone has),
and those whose packets the kernel does not forward.
"""

from collections.abc import Callable
from pathlib import Path

from firewall.live import nftables, routing
from firewall.net.address import family
from firewall.ruleset.policy import Policy

_SETTINGS = Path("/proc/sys/net")


class ZoneLinks:
    """Tells ``say`` which are missing or not forwarded, and which are there again, each once."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._missing: set[str] = set()
        self._switched_off: set[Path] = set()

    def look(self, policy: Policy) -> None:
        """Look at those that zones name as they are now."""
        switched_off = _forwarding_switched_off(policy)
        for setting in sorted(switched_off - self._switched_off):
            self._say(f"warning: {setting} is 0: signalling goes on, but calls have no media until it is 1")
        self._switched_off = switched_off
        wanted = set(nftables.zone_interfaces(policy) or ())
        taken_by = {port: master for port, master in routing.ports().items() if port in wanted and master not in wanted}
        missing = (wanted - set(routing.interface_names().values())) | taken_by.keys()
        for name in sorted(missing - self._missing):
            self._say(f"warning: {_why_unseen(name, taken_by.get(name))}")
        for name in sorted((self._missing & wanted) - missing):
            self._say(f'there is an interface "{name}" now; its traffic is looked at')
        self._missing = missing


def _forwarding_switched_off(policy: Policy) -> set[Path]:
    versions = {family(network.first) for zone in policy.zones for network in zone.networks} or {4}
    if routing.is_switched_off(6):
        versions.discard(6)
    names = {4: nftables.zone_interfaces(policy) or ("all",), 6: ("all",)}  # the kernel asks for IPv6 as a whole
    settings = {
        _SETTINGS / f"ipv{version}" / "conf" / name / "forwarding" for version in versions for name in names[version]
    }
    return {setting for setting in settings if _is_zero(setting)}


def _is_zero(setting: Path) -> bool:
    try:
        return setting.read_text() == "0\n"
    except OSError:  # there is no such interface, or no IPv6
        return False


def _why_unseen(interface: str, master: str | None) -> str:
    if master is not None:
        return (
            f'the interface "{interface}" is a port of "{master}", by which its traffic comes in: that is in no zone, '
            "so it passes unseen"
        )
    name = routing.name_of_alternative(interface)
    if name is not None:
        return (
            f'"{interface}" is another name of the interface "{name}": its traffic passes unseen until a zone has that'
        )
    return f'there is no interface "{interface}" here; its traffic is looked at once there is'
