"""Every way of DESIGN section 6 to write an emergency call: what the forms of lint stand for."""

from dataclasses import replace
from itertools import chain

from firewall.lint import bodies
from firewall.lint.form import BROKEN_STYLES, SOS, SUB_SERVICES, Form, Style, base_forms, forms, styled
from firewall.ruleset.policy import EmergencyPolicy

_ORDINARY = "sip:+16175551212@{host}"
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

USUAL_STYLES: tuple[Style, ...] = (
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

STYLES = (*USUAL_STYLES, *BROKEN_STYLES)


def every_form(definition: EmergencyPolicy) -> tuple[Form, ...]:
    """Those of lint, and all others that a network with this definition of emergency must let pass."""
    every = chain(
        forms(definition),
        chain.from_iterable(_number_forms(number, definition) for number in definition.numbers),
        _urn_forms(),
        _marked_forms(),
        (Form(f"INVITE {n} SIP/2.0", n, f"<sip:{n}@{{host}}>") for n in definition.numbers),
        (Form("INVITE urn:services:sos SIP/2.0", "urn:services:sos", "<urn:services:sos>"),),
        (styled(form, style) for form in base_forms(definition) for style in USUAL_STYLES),
        _body_forms(),
        _text_forms(definition),
        _registration_forms(),
    )
    return tuple({(form.flow, form.name): form for form in every}.values())


def _target(uri: str) -> Form:
    return Form(uri.replace("{host}", "psap"), uri, f"<{uri}>")


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


def _body_forms() -> list[Form]:
    return [
        replace(SOS, name="urn:service:sos, PIDF-LO", body=bodies.location),
        replace(
            SOS,
            name="urn:service:sos, location by reference",
            headers=(("Geolocation", "<https://lis.caller.example/loc/7>"), ("Geolocation-Routing", "yes")),
        ),
        replace(SOS, name="urn:service:sos, T.140 only", flow="rtt", body=bodies.text_only),
        replace(SOS, name="urn:service:sos, MSRP", flow="rtt", body=bodies.msrp),
    ]


def _text_forms(definition: EmergencyPolicy) -> list[Form]:
    calls = chain(_urn_forms(), _marked_forms(), *(_number_forms(each, definition) for each in definition.numbers[:1]))
    text = replace(SOS, flow="text", body=bodies.plain_text)
    return [
        *(replace(each, name=f"MESSAGE, {each.name}", flow="text", body=bodies.plain_text) for each in calls),
        replace(text, name="MESSAGE urn:service:sos, anonymous caller", style=STYLES[0]),
        replace(text, name="CAP alert to urn:service:sos", body=bodies.cap_alert),
    ]


def _registration_forms() -> list[Form]:
    (register,) = (form for form in forms(EmergencyPolicy()) if form.flow == "registration")
    anonymous = replace(register.style, from_=_ANONYMOUS)
    return [replace(register, name="REGISTER with a sos Contact, anonymous", to=_ANONYMOUS, style=anonymous)]
