"""How much room the session descriptions of all calls take: bounded, as those who call choose how long they are."""

from collections import OrderedDict

from firewall.engine.call import Call

MAX_OCTETS = 1 << 30
"""Of all calls. 100 000 of them with descriptions of 600 bytes take as much."""
_MUCH = 1 << 18
"""No honest call keeps more: 16 renewals with long descriptions."""


class DescriptionMemory:
    """Which calls keep how many octets of descriptions, those first that changed theirs the longest ago.

    Where all keep too much, ordinary calls lose theirs before emergency calls do, and who keeps much before others. A
    call goes on without them, as after a restart of the firewall: what is open stays open until it ends.
    """

    def __init__(self, most_octets: int = MAX_OCTETS) -> None:
        self._most_octets = most_octets
        self._octets = 0
        self._ordinary: OrderedDict[str, int] = OrderedDict()
        self._emergency: OrderedDict[str, int] = OrderedDict()

    def note(self, call: Call) -> list[str]:
        """Take note of what a call keeps now; return the calls whose descriptions must be forgotten."""
        self.remove(call.call_id)
        octets = call.media.negotiation.octets if call.media is not None else 0
        if not octets:
            return []
        keeping = self._ordinary if call.emergency is None else self._emergency
        keeping[call.call_id] = octets
        self._octets += octets
        too_many: list[str] = []
        while self._octets > self._most_octets:
            keeping = self._ordinary or self._emergency
            is_much = octets > _MUCH and call.call_id in keeping
            too_many.append(call.call_id if is_much else next(iter(keeping)))
            self.remove(too_many[-1])
        return too_many

    def remove(self, call_id: str) -> None:
        """Take note that a call keeps nothing any more."""
        self._octets -= self._ordinary.pop(call_id, 0) + self._emergency.pop(call_id, 0)
