"""The media of one call: what it negotiated, which pinholes it holds, what was refused of it."""

from msgspec import Struct, field

from firewall.engine.media_flow import MediaFlow
from firewall.engine.negotiation import Negotiation
from firewall.engine.pinhole import PinholeKey
from firewall.engine.way import Way
from firewall.sip.media_endpoint import Endpoint

MAX_REFUSED = 32

RefusedFlow = tuple[str, str, Endpoint]
"""Reason, source address, destination."""


class CallMedia(Struct, eq=False, gc=False):
    """``held`` are the open ways, ``refused`` those that may not be opened, ``refused_flows`` what came all the same.

    ``is_recovered``: the session descriptions that opened the held ones are not known any more, or an earlier run's.
    ``check_at_ns`` is when both directions must have been heard; ``heard_before`` how much of each way was before.
    ``expected`` are the ways by which media is to come, ``renewed`` those of them by which it was before the last
    answer, too, and ``quiet_before`` those of these by which nothing came then. ``doubted_ns``: since then packets are
    refused, and whether it is heard without them is to be asked. ``is_emergency``: its ways are those of an emergency
    call.
    """

    negotiation: Negotiation = field(default_factory=Negotiation)
    held: dict[PinholeKey, Way] = field(default_factory=dict)
    refused: dict[PinholeKey, Way] = field(default_factory=dict)
    refused_flows: dict[RefusedFlow, MediaFlow] = field(default_factory=dict)
    is_recovered: bool = False
    checked: tuple[int, ...] = ()
    check_at_ns: int | None = None
    heard_before: dict[PinholeKey, int] = field(default_factory=dict)
    expected: tuple[PinholeKey, ...] = ()
    renewed: tuple[PinholeKey, ...] = ()
    quiet_before: tuple[PinholeKey, ...] = ()
    doubted_ns: int | None = None
    is_emergency: bool = False

    def forget_descriptions(self) -> None:
        """Go on without them, as if an earlier run had opened what is open."""
        self.negotiation = Negotiation(made=self.negotiation.made)
        self.is_recovered = True

    def note_refused(self, reason: str, flow: MediaFlow) -> None:
        """Take note of packets that are refused."""
        ends = flow.ends
        self.refused_flows[reason, ends.src_ip, (ends.dst_ip, ends.dst_port)] = flow
        if len(self.refused_flows) > MAX_REFUSED:
            del self.refused_flows[next(iter(self.refused_flows))]
