"""What an emergency call carries in its body beside the session: location, alerts, data about call and caller.

PIDF-LO (RFC 4119, RFC 6442), the Common Alerting Protocol (RFC 8876), Additional Data (RFC 7852). None of it is read
here: it is told where it stands, and which header points to it.
"""

from dataclasses import dataclass
from typing import Literal

from firewall.sip.body import BodyPart, body_parts
from firewall.sip.message import Message
from firewall.sip.uri import unescape

EmergencyDataKind = Literal["location", "alert", "additional_data"]

# RFC 8876 §5.1, and the name its drafts had.
_ALERT_TYPES = ("application/emergencycalldata.cap+xml", "application/common-alerting-protocol+xml")
_LOCATION_TYPE = "application/pidf+xml"
_ADDITIONAL_DATA_PREFIX = "application/emergencycalldata."
_REFERRING_HEADERS = ("geolocation", "call-info")


@dataclass(frozen=True, slots=True)
class EmergencyData:
    """One part of a body that is emergency data."""

    kind: EmergencyDataKind
    part: BodyPart
    index: int
    """Which of the message's parts it is, from 0."""
    referred_by: str | None
    """The header whose ``cid:`` URI names it (RFC 2392): ``geolocation`` or ``call-info``."""


def emergency_data(message: Message) -> tuple[EmergencyData, ...]:
    """Return the parts of a message's body that are emergency data, in order."""
    found = []
    for index, part in enumerate(body_parts(message)):
        kind = _kind(part.content_type)
        if kind is not None:
            found.append(EmergencyData(kind, part, index, _referring_header(message, part.content_id)))
    return tuple(found)


def _kind(content_type: str) -> EmergencyDataKind | None:
    if content_type == _LOCATION_TYPE:
        return "location"
    if content_type in _ALERT_TYPES:
        return "alert"
    return "additional_data" if content_type.startswith(_ADDITIONAL_DATA_PREFIX) else None


def _referring_header(message: Message, content_id: str | None) -> str | None:
    if content_id is None:
        return None
    for name in _REFERRING_HEADERS:
        for value in message.header_values(name):
            if f"cid:{content_id}".lower() in unescape(value).lower():
                return name
    return None
