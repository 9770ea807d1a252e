"""Facts: everything a rule may look at, for one message."""

from typing import Literal

import msgspec

from firewall.net.datagram import Datagram
from firewall.sip.message import Message

DialogState = Literal["none", "early", "confirmed", "terminated"]
EmergencyClass = Literal["call", "callback", "test", "text", "registration", "media"]


class EmergencyMark(msgspec.Struct, frozen=True, rename={"emergency_class": "class"}):
    """That a message belongs to an emergency call, and why sosgate thinks so.

    ``service`` is the service URN asked for, lower case (``urn:service:sos``), also where a number was dialled.
    ``evidence`` names what was recognised, one phrase each, for example ``request_uri urn:service:sos (RFC 5031)``.
    """

    emergency_class: EmergencyClass
    service: str
    evidence: tuple[str, ...]


class Facts(msgspec.Struct, frozen=True):
    """One message as the rules see it.

    ``message`` is None for what is no SIP message; ``malformed`` then holds the reason code, and is None for a packet
    that was never taken for signalling. ``dialog_state`` is the state in which the message finds its dialog.
    """

    datagram: Datagram
    message: Message | None = None
    malformed: str | None = None
    zone_src: str | None = None
    zone_dst: str | None = None
    emergency: EmergencyMark | None = None
    dialog_state: DialogState = "none"
    media_negotiated: bool = False
