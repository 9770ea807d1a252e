"""What an emergency call can look like in its first request: every form of DESIGN section 6."""

from dataclasses import dataclass, replace
from itertools import chain
from typing import Literal

from firewall.lint import bodies
from firewall.lint.bodies import CRLF, BodyMaker
from firewall.ruleset.policy import EmergencyPolicy

FormFlow = Literal["voice", "rtt", "text", "registration"]
Headers = tuple[tuple[str, str], ...]

# IANA "sos Sub-Services" registry (RFC 5031 §4.2, RFC 7163, RFC 8147).
SUB_SERVICES = (
    "ambulance",
    "animal-control",
    "ecall.automatic",
    "ecall.manual",
    "fire",
    "gas",
    "marine",
    "mountain",
    "physician",
    "poison",
    "police",
)
# A number nobody takes for an emergency: what marks such a call stands in another header.
_ORDINARY = "sip:+16175551212@{host}"


@dataclass(frozen=True, slots=True)
class Style:
    """How one make of phone or switch writes its requests. ``{host}`` is its own address, ``{port}`` its own port.

    ``spelling`` gives header names their other spelling or compact form; ``folded`` folds the From header.
    """

    name: str = ""
    from_: str = "<sip:+16175550142@{host}>"
    contact: str = "<sip:+16175550142@{host}:{port}>"
    user_agent: str | None = "sosgate-probe"
    headers: Headers = ()
    spelling: tuple[tuple[str, str], ...] = ()
    has_branch: bool = True
    has_max_forwards: bool = True
    folded: bool = False
    via_parameters: str = ""
    line_end: str = CRLF

    @property
    def odd_headers(self) -> frozenset[str]:
        """The headers that a broken style may write as no grammar has them, by their names in lower case."""
        if all(self.name != each.name for each in BROKEN_STYLES):
            return frozenset()
        own = {header.lower() for header, _ in self.headers}
        return frozenset(own | ({"from"} if self.from_ != PLAIN.from_ else set()))


PLAIN = Style()


@dataclass(frozen=True, slots=True)
class Form:
    """The first request of an emergency call: what it asks for, who asks and how. ``{host}`` is the called address."""

    name: str
    request_uri: str
    to: str
    flow: FormFlow = "voice"
    headers: Headers = ()
    body: BodyMaker | None = bodies.audio
    style: Style = PLAIN
    is_test: bool = False
    odd_targets: frozenset[str] = frozenset()
    """Where its target is none that RFC 3261 §25.1 allows: ``r-uri``, ``to``."""

    @property
    def odd_carriers(self) -> frozenset[str]:
        """The parts of its first request that may be written as no grammar has them: ``r-uri``, headers by their names.

        What rules say of them is asked of the text as it stands (``proof/context.py``).
        """
        return self.odd_targets | self.style.odd_headers


def _target(uri: str, *, is_test: bool = False) -> Form:
    """Return the form that asks for a URI in the usual way."""
    return Form(uri.replace("{host}", "psap"), uri, f"<{uri}>", is_test=is_test)


SOS = _target("urn:service:sos")


def base_forms(definition: EmergencyPolicy) -> tuple[Form, ...]:
    """Return the two plainest forms: the service URN and the first number dialled."""
    first_number = [_target(f"sip:{number}@{{host}}") for number in definition.numbers[:1]]
    return (SOS, *first_number)


def forms(definition: EmergencyPolicy) -> tuple[Form, ...]:
    """Return every form that a network with this definition of emergency must let pass, the plainest first."""
    every = chain(
        base_forms(definition),
        chain.from_iterable(_number_forms(number, definition) for number in definition.numbers),
        _urn_forms(),
        _marked_forms(),
        _broken_forms(definition),
        _styled_forms(definition),
        _body_forms(),
        _text_forms(definition),
        _registration_forms(),
        _test_forms(definition),
    )
    return tuple({(form.flow, form.name): form for form in every}.values())


def _number_forms(number: str, definition: EmergencyPolicy) -> list[Form]:
    prefixes = () if number.startswith("+") else definition.dial_prefixes
    dialled = [number, *(f"{prefix}{number}" for prefix in prefixes)]
    plain = [
        _target(f"{scheme}{digits}{rest}")
        for digits in dialled
        for scheme, rest in (
            ("sip:", "@{host}"),
            ("sip:", "@{host};user=phone"),
            ("sip:", "@{host}:5060"),
            ("sips:", "@{host}"),
            ("tel:", ""),
            ("tel:", ";phone-context=+1"),
            ("tel:", ";phone-context=caller.example"),
        )
    ]
    escaped = "".join(f"%{ord(digit):02x}" for digit in number)
    special = [
        _target(f"sip:{spelled}@{{host}}")
        for spelled in (f"+1{number}", "-".join(number), ".".join(number), escaped, f"{number};phone-context=+1")
    ]
    return [
        *plain,
        *special,
        _target(f"SIP:{number}@{{host}}"),
        _target(f"tel:{'-'.join(number)}"),
        _target(f"tel:+1{number}"),
        Form(f"To <sip:{number}@psap>;user=phone", f"sip:{number}@{{host}}", f"<sip:{number}@{{host}}>;user=phone"),
        Form(f"To sip:{number}@psap without brackets", f"sip:{number}@{{host}}", f"sip:{number}@{{host}}"),
        Form(f"To only: {number}", _ORDINARY, f"<sip:{number}@{{host}};user=phone>"),
        Form(f"To only: tel:{number}", _ORDINARY, f"<tel:{number}>"),
    ]


def _urn_forms() -> list[Form]:
    return [
        *(_target(f"urn:service:sos.{label}") for label in SUB_SERVICES),
        _target("URN:SERVICE:SOS"),
        _target("urn:Service:Sos.Police"),
        Form("To urn:service:sos without brackets", "urn:service:sos", "urn:service:sos"),
        Form("To only: urn:service:sos", _ORDINARY, "<urn:service:sos>"),
        Form("To only, without brackets", _ORDINARY, "urn:service:sos"),
        Form("Route: <urn:service:sos>", _ORDINARY, f"<{_ORDINARY}>", headers=(("Route", "<urn:service:sos>"),)),
        *(
            _target(f"urn:{space}:service:{label}")
            for space in ("nena", "emergency")  # as NENA-STA-010 named it before version 3, and since
            for label in ("sos.psap", "sos.level_2_esrp", "sos.call_taker", "responder.police")
        ),
    ]


def _marked_forms() -> list[Form]:
    """Ordinary targets, marked as an emergency by one header."""
    call_id = "urn:emergency:uid:callid:a1b2c3d4e5f6:bcf.psap.example"
    incident_id = "urn:emergency:uid:incidentid:f6e5d4c3b2a1:bcf.psap.example"
    marks: list[tuple[str, str, str]] = [
        *((f"Resource-Priority: esnet.{n}", "Resource-Priority", f"esnet.{n}") for n in range(5)),
        ("Resource-Priority among others", "Resource-Priority", "wps.3, esnet.1"),
        ("Priority: emergency", "Priority", "emergency"),
        ("Call-Info: emergency-CallId", "Call-Info", f"<{call_id}>;purpose=emergency-CallId"),
        ("Call-Info: emergency-IncidentId", "Call-Info", f"<{incident_id}>;purpose=emergency-IncidentId"),
    ]
    return [Form(name, _ORDINARY, f"<{_ORDINARY}>", headers=((header, value),)) for name, header, value in marks]


def _broken_forms(definition: EmergencyPolicy) -> list[Form]:
    """No valid URI at all, but an i3 border must let them pass (NENA-STA-010.3 §3.1.1)."""
    return [
        *(Form(f"INVITE {n} SIP/2.0", n, f"<sip:{n}@{{host}}>") for n in definition.numbers),
        *(Form(f"sip:{n} without a user", f"sip:{n}", f"<sip:{n}>") for n in definition.numbers[:1]),
        Form("INVITE urn:service:911 SIP/2.0", "urn:service:911", "<urn:service:911>"),
        Form("INVITE urn:services:sos SIP/2.0", "urn:services:sos", "<urn:services:sos>"),
        Form("INVITE sip:urn:service:sos@psap SIP/2.0", "sip:urn:service:sos@{host}", "<sip:urn:service:sos@{host}>"),
        *(
            Form(f"INVITE {uri} SIP/2.0", uri, "<urn:service:sos>", odd_targets=frozenset({"r-uri"}))
            for uri in ("<urn:service:sos>", "sip:urn:service:sos")
        ),
        Form("To only: sip:urn:service:sos", _ORDINARY, "<sip:urn:service:sos>", odd_targets=frozenset({"to"})),
    ]


_COMPACT = (
    ("Via", "v"),
    ("From", "f"),
    ("To", "t"),
    ("Call-ID", "i"),
    ("Contact", "m"),
    ("Content-Type", "c"),
    ("Content-Length", "l"),
    ("Supported", "k"),
)
_UPPER = tuple((name, name.upper()) for name in ("Via", "From", "To", "Call-ID", "CSeq", "Contact", "Content-Length"))
_ANONYMOUS = "<sip:anonymous@anonymous.invalid>"

_USUAL_STYLES: tuple[Style, ...] = (
    Style("anonymous caller", from_=_ANONYMOUS),
    Style("anonymous caller with a name and Privacy", from_=f'"Anonymous" {_ANONYMOUS}', headers=(("Privacy", "id"),)),
    Style("anonymous@localhost", from_="<sip:anonymous@localhost>", contact="<sip:{host}>"),
    Style("caller without number", from_="<sip:{host}>", contact="<sip:{host}>"),
    Style("caller number 911", from_="<sip:911@{host}>"),
    Style("tel: caller", from_="<tel:+16175550142>"),
    Style("caller's domain is a name", from_="<sip:alice@caller.example>"),
    Style("foreign caller", from_="<sip:+4930555012@{host};user=phone>"),
    Style("From without brackets", from_="sip:+16175550142@{host}"),
    Style("no branch in Via", has_branch=False),
    Style("no Max-Forwards", has_max_forwards=False),
    Style("Cseq spelled so", spelling=(("CSeq", "Cseq"),)),
    Style("compact headers", spelling=_COMPACT),
    Style("upper-case headers", spelling=_UPPER),
    Style("folded header", folded=True),
    Style("rport in Via", via_parameters=";rport"),
    Style("no User-Agent", user_agent=None),
    Style("Kamailio", user_agent="kamailio (5.6.3 (x86_64/linux))"),
    Style("Asterisk", user_agent="Asterisk PBX 20.5.0"),
    Style("FreeSWITCH", user_agent="FreeSWITCH-mod_sofia/1.10.10"),
    Style("Cisco gateway", user_agent="Cisco-SIPGateway/IOS-16.9.4"),
    Style("a border function", user_agent="bcf/2.136.11"),
    Style("a handset", user_agent="iOS/17.5 iPhone"),
    Style("Yealink phone", user_agent="Yealink SIP-T46U 108.86.0.20"),
    Style("SIPp", user_agent="SIPp/3.7"),
    Style("display name", from_='"Smith, Jane \\"JJ\\"" <sip:+16175550142@{host}>'),
    Style("display name in UTF-8", from_='"Zoë Åström" <sip:+16175550142@{host}>'),
    Style(
        "STIR and asserted identity",
        headers=(
            ("P-Asserted-Identity", "<tel:+16175550142;verstat=TN-Validation-Passed>"),
            ("Identity", "eyJhbGciOiJFUzI1NiJ9.e30.c2ln;info=<https://cert.example/p.pem>;alg=ES256;ppt=shaken"),
        ),
    ),
    Style("verification failed", headers=(("P-Asserted-Identity", "<tel:+16175550142;verstat=TN-Validation-Failed>"),)),
    Style(
        "headers few know",
        headers=(
            ("P-Charging-Vector", "icid-value=1234bc9876e;orig-ioi=caller.example"),
            ("P-Access-Network-Info", "3GPP-E-UTRAN-FDD;utran-cell-id-3gpp=31026008050012b01"),
            ("History-Info", "<sip:+16175550199@caller.example>;index=1"),
            ("Accept-Contact", '*;+g.3gpp.icsi-ref="urn%3Aurn-7%3A3gpp-service.ims.icsi.mmtel"'),
            ("Session-Expires", "1800;refresher=uac"),
            ("Require", "100rel"),
            ("X-Unknown-Vendor", "yes"),
        ),
    ),
    Style("a long way", headers=tuple(("Record-Route", f"<sip:p{n}.caller.example;lr>") for n in range(1, 9))),
)


BROKEN_STYLES: tuple[Style, ...] = (
    Style("display name without quotes", from_="Smith, Jane <sip:+16175550142@{host}>"),
    Style("From with a blank in the brackets", from_="< sip:+16175550142@{host}>"),
    Style("a Date of its own", headers=(("Date", "yesterday"),)),
    Style("Expires without a number", headers=(("Expires", "soon"),)),
    Style(
        "an empty item in a list", headers=(("Supported", "timer,,replaces"), ("Route", "<sip:p1.psap.example;lr>,,"))
    ),
    Style("a control character", headers=(("Subject", "help\x07"),)),
    Style("a blank in a header's name", headers=(("X Location", "Boston"),)),
    Style("only the cookie for a branch", has_branch=False, via_parameters=";branch=z9hG4bK"),
    Style("display name in Latin-1", from_='"Zo\udce9" <sip:+16175550142@{host}>'),
    Style("Max-Forwards twice", headers=(("Max-Forwards", "70"),)),
    Style("lines that end with LF", line_end="\n"),
    Style("a quote left open", from_='"Jane <sip:+16175550142@{host}>'),
)
"""Broken as phones and gateways in the field break it: an i3 element must let it pass (NENA-STA-010.3 §3.1.1)."""

STYLES = (*_USUAL_STYLES, *BROKEN_STYLES)
ODD_CARRIERS = frozenset({"r-uri", "to"}).union(*(style.odd_headers for style in BROKEN_STYLES))
"""The carriers that some form writes as no grammar has them."""


def styled(form: Form, style: Style) -> Form:
    """Return a form as another make of phone writes it; a Contact that makes it an emergency registration stays."""
    if form.flow == "registration":
        style = replace(style, contact=form.style.contact)
    return replace(form, name=f"{form.name}, {style.name}", style=style)


def _styled_forms(definition: EmergencyPolicy) -> list[Form]:
    return [styled(form, style) for form in base_forms(definition) for style in STYLES]


def _body_forms() -> list[Form]:
    return [
        replace(SOS, name="urn:service:sos, no offer", body=None),
        replace(SOS, name="urn:service:sos, PIDF-LO", body=bodies.location),
        replace(SOS, name="urn:service:sos, PIDF-LO, a body without its end", body=bodies.location_without_end),
        replace(
            SOS,
            name="urn:service:sos, location by reference",
            headers=(("Geolocation", "<https://lis.caller.example/loc/7>"), ("Geolocation-Routing", "yes")),
        ),
        replace(SOS, name="urn:service:sos, 10 KB of nested multipart", body=bodies.everything),
        replace(SOS, name="urn:service:sos, 60 KB with a picture", body=bodies.picture),
        replace(SOS, name="urn:service:sos, T.140 beside voice", flow="rtt", body=bodies.audio_and_text),
        replace(SOS, name="urn:service:sos, T.140 only", flow="rtt", body=bodies.text_only),
        replace(SOS, name="urn:service:sos, MSRP", flow="rtt", body=bodies.msrp),
    ]


def _text_forms(definition: EmergencyPolicy) -> list[Form]:
    calls = chain(_urn_forms(), _marked_forms(), *(_number_forms(each, definition) for each in definition.numbers[:1]))
    text = replace(SOS, flow="text", body=bodies.plain_text)
    return [
        replace(text, name="MESSAGE urn:service:sos"),
        *(replace(each, name=f"MESSAGE, {each.name}", flow="text", body=bodies.plain_text) for each in calls),
        replace(text, name="MESSAGE urn:service:sos, anonymous caller", style=STYLES[0]),
        replace(text, name="CAP alert to urn:service:sos", body=bodies.cap_alert),
        *(
            replace(text, name=name, request_uri="sip:alarms@{host}", to="<sip:alarms@{host}>", body=body)
            for name, body in (
                ("CAP alert to an ordinary address", bodies.cap_alert),
                ("CAP alert beside a text to an ordinary address", bodies.cap_alert_and_text),
            )
        ),
    ]


def _registration_forms() -> list[Form]:
    sos_contact = Style(
        "IMS", from_="<sip:+16175550142@ims.caller.example>", contact="<sip:+16175550142@{host}:{port};sos>"
    )
    register = Form(
        "REGISTER with a sos Contact",
        "sip:ims.caller.example",
        "<sip:+16175550142@ims.caller.example>",
        flow="registration",
        body=None,
        style=sos_contact,
    )
    anonymous = replace(sos_contact, from_=_ANONYMOUS)
    return [
        register,
        replace(register, name="REGISTER with a sos Contact, anonymous", to=_ANONYMOUS, style=anonymous),
    ]


def _test_forms(definition: EmergencyPolicy) -> list[Form]:
    urns = (
        *("urn:service:test.sos", "urn:service:test.sos.fire", "urn:service:test:sos"),
        "urn:emergency:service:test.psap",
    )
    return [
        *(_target(urn, is_test=True) for urn in urns),
        *(_target(f"sip:{n}@{{host}}", is_test=True) for n in definition.test_numbers),
    ]
