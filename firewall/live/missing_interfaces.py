"""Interfaces of zones by which nothing comes in: not there, there by another name, or ports of one that no zone has."""

from collections.abc import Callable

from firewall.live import nftables, routing
from firewall.ruleset.policy import Policy


class MissingInterfaces:
    """Tells ``say`` which are missing, and which are there again, each once."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._missing: set[str] = set()

    def look(self, policy: Policy) -> None:
        """Look which of those that zones name are there now."""
        wanted = set(nftables.zone_interfaces(policy) or ())
        taken_by = {port: master for port, master in routing.ports().items() if port in wanted and master not in wanted}
        missing = (wanted - set(routing.interface_names().values())) | taken_by.keys()
        for name in sorted(missing - self._missing):
            self._say(f"warning: {_why_unseen(name, taken_by.get(name))}")
        for name in sorted((self._missing & wanted) - missing):
            self._say(f'there is an interface "{name}" now; its traffic is looked at')
        self._missing = missing


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
