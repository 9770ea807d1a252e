"""What an emergency call carries beside the session: location, alerts, data about call and caller.

PIDF-LO (RFC 4119, RFC 6442), the Common Alerting Protocol (RFC 8876), Additional Data (RFC 7852), in its body or, of
the first and the last, elsewhere, where a header refers to it. None of it is read here: it is told what there is.
"""

from collections.abc import Iterator
from typing import Literal

import msgspec

from firewall.sip.body import body_parts
from firewall.sip.limits import MAX_BODY_PARTS
from firewall.sip.message import Message
from firewall.sip.uri import unescape

EmergencyDataKind = Literal["location", "alert", "additional_data"]
ReferringHeader = Literal["geolocation", "call-info"]

ALERT_SUBTYPES = ("emergencycalldata.cap+xml", "common-alerting-protocol+xml")
"""The end of a media type that says that a body is an alert (RFC 8876 §5.1, and the name that its drafts had)."""
_LOCATION_TYPE = "application/pidf+xml"
_ADDITIONAL_DATA_TYPES = "application/emergencycalldata."
_ADDITIONAL_DATA_PURPOSE = "emergencycalldata."
_HEADERS: tuple[ReferringHeader, ...] = ("geolocation", "call-info")


class EmergencyData(msgspec.Struct, frozen=True):
    """One piece of it: the media type of its part of the body (None where it is elsewhere), and the header that
    refers to it, to a part by its Content-ID (RFC 2392); None where none does."""

    kind: EmergencyDataKind
    content_type: str | None
    referred_by: ReferringHeader | None


def emergency_data(message: Message) -> tuple[EmergencyData, ...]:
    """Return what a message carries and refers to, the parts of its body first, at most ``MAX_BODY_PARTS``."""
    found: list[EmergencyData] = []
    referring: dict[str, ReferringHeader] = {}
    for header, uri in _references(message):
        scheme, _, content_id = uri.partition(":")
        if scheme.lower() == "cid":
            referring.setdefault(unescape(content_id), header)
        else:
            found.append(EmergencyData("location" if header == "geolocation" else "additional_data", None, header))
    parts = [(part, _kind(part.content_type)) for part in body_parts(message)]
    carried = [
        EmergencyData(kind, part.content_type, referring.get(part.content_id or "")) for part, kind in parts if kind
    ]
    return (*carried, *found)[:MAX_BODY_PARTS]


def _kind(content_type: str) -> EmergencyDataKind | None:
    if content_type == _LOCATION_TYPE:
        return "location"
    if content_type.endswith(ALERT_SUBTYPES):
        return "alert"
    is_additional = content_type.startswith(_ADDITIONAL_DATA_TYPES) and content_type.isascii()
    return "additional_data" if is_additional else None


def _references(message: Message) -> Iterator[tuple[ReferringHeader, str]]:
    """Yield the URIs that Geolocation has, and Call-Info for the purpose of an emergency (RFC 7852 §4.1)."""
    for header in _HEADERS:
        for to in message.name_addrs(header):
            purpose = (to.params.get("purpose") or "").lower()
            if to.uri and (header == "geolocation" or purpose.startswith(_ADDITIONAL_DATA_PURPOSE)):
                yield header, to.uri
