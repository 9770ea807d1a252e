"""One direction of a negotiated medium, and why one may not be opened."""

from typing import Literal

from msgspec import Struct

from firewall.engine.negotiation import Party
from firewall.engine.pinhole import PinholeKey
from firewall.sip.media_endpoint import Formats, MediaProtocol
from firewall.sip.sdp import Direction

Refusal = Literal[
    "media_port_range",
    "media_family_gap",
    "media_third_party",
    "media_no_address",
    "media_signalling_port",
    "media_too_many_ways",
    "media_table_full",
]
NEVER_OPENED: frozenset[Refusal] = frozenset(
    {"media_no_address", "media_signalling_port", "media_too_many_ways", "media_table_full"}
)
"""What not even the guard opens: there is no address, signalling would go past the firewall, there is no end of it. The
table is full for ordinary calls only."""


Course = tuple[int, MediaProtocol, str, str]
"""Which medium and protocol, from which signalling address to which."""


class Way(Struct, frozen=True, gc=False):
    """One direction of a negotiated medium, toward one address and port.

    ``index`` is the medium's place in the description, ``direction`` what the sender agreed to do; ``is_expected``: RTP
    must come this way once the call is answered. ``refusal`` says why it may not be opened. ``latches``: what comes
    back may go to where this way's packets come from, too, as who sends them may have named another address or port
    than its NAT gives it; that way ``is_latched``, and ``is_back_expected`` says whether RTP must come by it.
    ``is_spare``: it is an ICE candidate that may not be opened, and there are other addresses that may.
    ``is_elsewhere``: it leads back into the sender's zone, by which its packets go without passing here.
    """

    key: PinholeKey
    kind: str
    protocol: MediaProtocol
    index: int
    formats: Formats
    direction: Direction
    src: Party
    dst: Party
    is_early: bool = False
    is_expected: bool = False
    refusal: Refusal | None = None
    latches: bool = False
    is_back_expected: bool = False
    is_latched: bool = False
    is_spare: bool = False
    is_elsewhere: bool = False

    @property
    def course(self) -> Course:
        """What it has in common with the other ways of its medium in this direction."""
        return self.index, self.protocol, self.src.ip, self.dst.ip

    @property
    def course_back(self) -> Course:
        """What the ways of its medium in the other direction have in common."""
        return self.index, self.protocol, self.dst.ip, self.src.ip
