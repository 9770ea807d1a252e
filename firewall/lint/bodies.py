"""Bodies of emergency calls: SDP offers and answers, PIDF-LO, additional data, CAP, and multiparts of them."""

from collections.abc import Callable
from dataclasses import dataclass, replace

CRLF = "\r\n"


@dataclass(frozen=True, slots=True)
class Body:
    """A body with its media type, and the headers that refer to it (``Geolocation: <cid:…>``)."""

    content_type: str
    content: bytes
    headers: tuple[tuple[str, str], ...] = ()


BodyMaker = Callable[[str], Body]
"""Makes a body for an endpoint whose media address is given."""


def audio(ip: str) -> Body:
    """SDP with one G.711 stream (RFC 8866, RFC 3264)."""
    return sdp(ip, "m=audio 49170 RTP/AVP 0 8 101", "a=rtpmap:101 telephone-event/8000", "a=ptime:20", "a=sendrecv")


def hold(ip: str) -> Body:
    """SDP that puts the other side on hold (RFC 3264 §8.4)."""
    return sdp(ip, "m=audio 49170 RTP/AVP 0 8 101", "a=sendonly")


def audio_and_text(ip: str) -> Body:
    """SDP with real-time text beside the voice (RFC 4103, T.140)."""
    return sdp(
        ip,
        "m=audio 49170 RTP/AVP 0 101",
        "m=text 49172 RTP/AVP 98 100",
        "a=rtpmap:98 t140/1000",
        "a=rtpmap:100 red/1000",
        "a=fmtp:100 98/98/98",
    )


def text_only(ip: str) -> Body:
    """SDP of a real-time text call without voice (RFC 4103)."""
    return sdp(ip, "m=text 49172 RTP/AVP 98", "a=rtpmap:98 t140/1000")


def msrp(ip: str) -> Body:
    """SDP of a message session (RFC 4975 §8)."""
    host = f"[{ip}]" if ":" in ip else ip
    return sdp(
        ip,
        "m=message 7654 TCP/MSRP *",
        "a=accept-types:message/cpim text/plain",
        f"a=path:msrp://{host}:7654/2s93i9ek2a;tcp",
    )


def location(ip: str) -> Body:
    """SDP and a PIDF-LO by value in one multipart (RFC 6442 §4.1, RFC 5139)."""
    return _multipart(
        "sosgate-lo", (audio(ip).content_type, None, audio(ip).content), ("application/pidf+xml", "target", position())
    )


def location_without_end(ip: str) -> Body:
    """The same as senders of templates write it: the boundary that ends it is forgotten (RFC 2046 §5.1.1)."""
    body = location(ip)
    return replace(body, content=body.content[: body.content.rindex(b"--sosgate-lo--")])


def everything(ip: str) -> Body:
    """A multipart of 10 KB inside a multipart: SDP, PIDF-LO, additional data (RFC 7852), the largest usual size."""
    inner = _multipart(
        "sosgate-inner",
        ("application/pidf+xml", "target", position()),
        ("application/EmergencyCallData.ProviderInfo+xml", "provider", _additional_data("ProviderInfo", 2800)),
        ("application/EmergencyCallData.ServiceInfo+xml", "service", _additional_data("ServiceInfo", 1800)),
        ("application/EmergencyCallData.DeviceInfo+xml", "device", _additional_data("DeviceInfo", 1800)),
        ("application/EmergencyCallData.SubscriberInfo+xml", "subscriber", _additional_data("SubscriberInfo", 1800)),
    )
    outer = _multipart(
        "sosgate-outer", (audio(ip).content_type, None, audio(ip).content), (inner.content_type, None, inner.content)
    )
    purposes = ("ProviderInfo", "ServiceInfo", "DeviceInfo", "SubscriberInfo")
    references = ("provider", "service", "device", "subscriber")
    call_info = tuple(
        ("Call-Info", f"<cid:{reference}@caller.example>;purpose=EmergencyCallData.{purpose}")
        for reference, purpose in zip(references, purposes, strict=True)
    )
    return Body(outer.content_type, outer.content, (*outer.headers, *_geolocation(), *call_info))


def picture(ip: str) -> Body:
    """SDP and 60 KB of an embedded picture: the largest message one UDP datagram carries."""
    return _multipart(
        "sosgate-picture",
        (audio(ip).content_type, None, audio(ip).content),
        ("application/pidf+xml", "target", position()),
        ("image/jpeg", "picture", b"\xff\xd8\xff\xe0" + bytes(range(256)) * 225 + b"\xff\xd9"),
    )


def plain_text(_ip: str) -> Body:
    """The text of a page-mode message (RFC 3428)."""
    return Body("text/plain;charset=utf-8", b"Fire at 12 Main St. Please hurry.")


def cap_alert(_ip: str) -> Body:
    """A Common Alerting Protocol alert without a call (RFC 8876 §5)."""
    alert = CRLF.join(
        (
            '<?xml version="1.0" encoding="UTF-8"?>',
            '<alert xmlns="urn:oasis:names:tc:emergency:cap:1.1">',
            "  <identifier>S-1</identifier><sender>sip:sensor1@alarm.example</sender>",
            "  <sent>2026-06-15T12:00:00-00:00</sent><status>Actual</status><msgType>Alert</msgType>",
            "  <scope>Private</scope><incidents>abc1234</incidents>",
            "  <info><category>Security</category><event>BURGLARY</event><urgency>Expected</urgency>",
            "    <certainty>Likely</certainty><severity>Moderate</severity><senderName>SENSOR 1</senderName></info>",
            "</alert>",
        )
    )
    return Body("application/EmergencyCallData.cap+xml", alert.encode())


def cap_alert_and_text(ip: str) -> Body:
    """The alert in one part, what a person reads in the other."""
    text, alert = plain_text(ip), cap_alert(ip)
    return _multipart("alert", (text.content_type, None, text.content), (alert.content_type, None, alert.content))


def sdp(ip: str, *media: str) -> Body:
    """A session description with these lines about media (RFC 8866)."""
    family = "IP6" if ":" in ip else "IP4"
    lines = ("v=0", f"o=- 2890844526 2890844526 IN {family} {ip}", "s=-", f"c=IN {family} {ip}", "t=0 0", *media)
    return Body("application/sdp", "".join(line + CRLF for line in lines).encode())


def _multipart(boundary: str, *parts: tuple[str, str | None, bytes]) -> Body:
    content = b""
    for content_type, content_id, part in parts:
        reference = f"Content-ID: <{content_id}@caller.example>{CRLF}" if content_id else ""
        content += f"--{boundary}{CRLF}Content-Type: {content_type}{CRLF}{reference}{CRLF}".encode() + part
        content += b"" if part.endswith(b"\r\n") else b"\r\n"
    content += f"--{boundary}--{CRLF}".encode()
    located = any(content_id == "target" for _, content_id, _ in parts)
    return Body(f"multipart/mixed;boundary={boundary}", content, _geolocation() if located else ())


def _geolocation() -> tuple[tuple[str, str], ...]:
    return ("Geolocation", "<cid:target@caller.example>"), ("Geolocation-Routing", "yes")


def position() -> bytes:
    """Return a PIDF-LO document with a point and a street address (RFC 4119, RFC 5491, RFC 5139)."""
    return CRLF.join(
        (
            '<?xml version="1.0" encoding="UTF-8"?>',
            '<presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model"',
            '  xmlns:gp="urn:ietf:params:xml:ns:pidf:geopriv10" xmlns:gml="http://www.opengis.net/gml"',
            '  xmlns:ca="urn:ietf:params:xml:ns:pidf:geopriv10:civicAddr" entity="pres:caller@caller.example">',
            '  <dm:device id="target"><gp:geopriv><gp:location-info>',
            '    <gml:Point srsName="urn:ogc:def:crs:EPSG::4326"><gml:pos>42.3601 -71.0589</gml:pos></gml:Point>',
            '    <ca:civicAddress xml:lang="en"><ca:country>US</ca:country><ca:A1>MA</ca:A1><ca:A3>Boston</ca:A3>',
            "      <ca:RD>Main</ca:RD><ca:STS>St</ca:STS><ca:HNO>12</ca:HNO></ca:civicAddress>",
            "    </gp:location-info><gp:usage-rules/><gp:method>DHCP</gp:method></gp:geopriv>",
            "    <dm:timestamp>2026-06-15T12:00:00Z</dm:timestamp></dm:device>",
            "</presence>",
            "",
        )
    ).encode()


def _additional_data(block: str, size_bytes: int) -> bytes:
    opening = (
        f'<?xml version="1.0" encoding="UTF-8"?>{CRLF}'
        f'<{block} xmlns="urn:ietf:params:xml:ns:EmergencyCallData:{block}">{CRLF}'
        f"<DataProviderReference>ref-1@caller.example</DataProviderReference>{CRLF}"
    )
    line = f"<!-- field of {block}: as long as carriers make it -->{CRLF}"
    closing = f"</{block}>{CRLF}"
    filling = line * max(0, (size_bytes - len(opening) - len(closing)) // len(line))
    return (opening + filling + closing).encode()
