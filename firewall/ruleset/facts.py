"""Facts: everything a rule may look at, for one message."""

from typing import Literal

import msgspec

from firewall.net.datagram import Datagram
from firewall.sip.message import Message
from firewall.sip.unreadable import call_id_in

DialogState = Literal["none", "early", "confirmed", "terminated"]
EmergencyClass = Literal["call", "callback", "test", "text", "registration", "media"]


class EmergencyMark(msgspec.Struct, frozen=True, gc=False, rename={"emergency_class": "class"}):
    """That a message belongs to an emergency call, and why sosgate thinks so.

    ``service`` is the service URN asked for, lower case (``urn:service:sos``), also where a number was dialled.
    ``evidence`` names what was recognised, one phrase each, for example ``request_uri urn:service:sos (RFC 5031)``.
    """

    emergency_class: EmergencyClass
    service: str
    evidence: tuple[str, ...]


class MediaFacts(msgspec.Struct, frozen=True):
    """What the session descriptions say of the flow that a media packet belongs to.

    ``kind`` is the medium (``audio``, ``text`` …), ``protocol`` what its port is for, ``codecs`` the encodings agreed
    on, in lower case, ``direction`` whether who sends the packet agreed to send and to receive.
    """

    kind: str
    protocol: Literal["rtp", "rtcp", "msrp", "udp"]
    codecs: tuple[str, ...] = ()
    direction: Literal["sendrecv", "sendonly", "recvonly", "inactive"] = "sendrecv"


class Facts(msgspec.Struct, frozen=True, gc=False):
    """One message as the rules see it.

    ``message`` is None for what is no SIP message; ``malformed`` then holds the reason code, and is None for a packet
    that was never taken for signalling. ``dialog_state`` is the state in which the message finds its dialog. ``media``
    is there for a packet of a negotiated flow.
    """

    datagram: Datagram
    message: Message | None = None
    malformed: str | None = None
    zone_src: str | None = None
    zone_dst: str | None = None
    emergency: EmergencyMark | None = None
    dialog_state: DialogState = "none"
    media_negotiated: bool = False
    media: MediaFacts | None = None

    @property
    def call_id(self) -> str | None:
        """The Call-ID, also of a message that cannot be read but shows one; None without."""
        if self.message is not None:
            return self.message.call_id
        return call_id_in(self.datagram.payload) if self.malformed is not None else None
