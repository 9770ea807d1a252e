"""What an emergency call can look like in its first request: one form of each kind that a proof tells from another.

What else is of its kind, as any number dialled in any way, is in the grammars of ``proof/target.py``.
"""

from dataclasses import dataclass, replace
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
    """Return a form of each kind that a network with this definition of emergency must let pass, plainest first."""
    base, others = base_forms(definition), (*_targets(definition), *_marked_forms())
    text = replace(SOS, flow="text", body=bodies.plain_text)
    return (
        *base,
        *others,
        *_broken_forms(definition),
        *(styled(form, style) for form in base for style in BROKEN_STYLES),
        replace(SOS, name="urn:service:sos, no offer", body=None),
        replace(SOS, name="urn:service:sos, PIDF-LO, a body without its end", body=bodies.location_without_end),
        replace(SOS, name="urn:service:sos, 10 KB of nested multipart", body=bodies.everything),
        replace(SOS, name="urn:service:sos, 60 KB with a picture", body=bodies.picture),
        replace(SOS, name="urn:service:sos, T.140 beside voice", flow="rtt", body=bodies.audio_and_text),
        replace(text, name="MESSAGE urn:service:sos"),
        *(
            replace(text_of, name=f"MESSAGE, {text_of.name}", flow="text", body=bodies.plain_text)
            for text_of in (*base[1:], *others)
        ),
        *(
            replace(text, name=name, request_uri="sip:alarms@{host}", to="<sip:alarms@{host}>", body=body)
            for name, body in (
                ("CAP alert to an ordinary address", bodies.cap_alert),
                ("CAP alert beside a text to an ordinary address", bodies.cap_alert_and_text),
            )
        ),
        _REGISTRATION,
        *_test_forms(definition),
    )


def _targets(definition: EmergencyPolicy) -> list[Form]:
    """Return the forms that ask for an emergency by another URI, or in another place."""
    return [
        *(_target(f"sip:{number}@{{host}}") for number in definition.numbers[1:]),
        *(
            form
            for number in definition.numbers[:1]
            for form in (
                _target(f"tel:{number}"),
                Form(f"To only: {number}", _ORDINARY, f"<sip:{number}@{{host}};user=phone>"),
                Form(f"To only: tel:{number}", _ORDINARY, f"<tel:{number}>"),
            )
        ),
        Form("To only: urn:service:sos", _ORDINARY, "<urn:service:sos>"),
        Form("Route: <urn:service:sos>", _ORDINARY, f"<{_ORDINARY}>", headers=(("Route", "<urn:service:sos>"),)),
        _target("urn:nena:service:sos.psap"),
    ]


def _marked_forms() -> list[Form]:
    """Ordinary targets, marked as an emergency by one header."""
    call_id = "urn:emergency:uid:callid:a1b2c3d4e5f6:bcf.psap.example"
    marks = (
        ("Resource-Priority: esnet.0", "Resource-Priority", "esnet.0"),
        ("Priority: emergency", "Priority", "emergency"),
        ("Call-Info: emergency-CallId", "Call-Info", f"<{call_id}>;purpose=emergency-CallId"),
    )
    return [Form(name, _ORDINARY, f"<{_ORDINARY}>", headers=((header, value),)) for name, header, value in marks]


def _broken_forms(definition: EmergencyPolicy) -> list[Form]:
    """No valid URI at all, but an i3 border must let them pass (NENA-STA-010.3 §3.1.1)."""
    return [
        *(Form(f"INVITE {n} SIP/2.0", n, f"<sip:{n}@{{host}}>") for n in definition.numbers[:1]),
        *(Form(f"sip:{n} without a user", f"sip:{n}", f"<sip:{n}>") for n in definition.numbers[:1]),
        Form("INVITE urn:service:911 SIP/2.0", "urn:service:911", "<urn:service:911>"),
        Form("INVITE sip:urn:service:sos@psap SIP/2.0", "sip:urn:service:sos@{host}", "<sip:urn:service:sos@{host}>"),
        *(
            Form(f"INVITE {uri} SIP/2.0", uri, "<urn:service:sos>", odd_targets=frozenset({"r-uri"}))
            for uri in ("<urn:service:sos>", "sip:urn:service:sos")
        ),
        Form("To only: sip:urn:service:sos", _ORDINARY, "<sip:urn:service:sos>", odd_targets=frozenset({"to"})),
    ]


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
    Style(
        "several of these at once",
        from_='"Zo\udce9 <sip:+16175550142@{host}>',
        headers=(
            ("Date", "yesterday"),
            ("Expires", "soon"),
            ("Supported", "timer,,replaces"),
            ("Subject", "help\x07"),
            ("X Location", "Boston"),
            ("Max-Forwards", "70"),
        ),
        has_branch=False,
        via_parameters=";branch=z9hG4bK",
        line_end="\n",
    ),
)
"""Broken as phones and gateways in the field break it: an i3 element must let it pass (NENA-STA-010.3 §3.1.1)."""

ODD_CARRIERS = frozenset({"r-uri", "to"}).union(*(style.odd_headers for style in BROKEN_STYLES))
"""The carriers that some form writes as no grammar has them."""


def styled(form: Form, style: Style) -> Form:
    """Return a form as another make of phone writes it; a Contact that makes it an emergency registration stays."""
    if form.flow == "registration":
        style = replace(style, contact=form.style.contact)
    return replace(form, name=f"{form.name}, {style.name}", style=style)


_REGISTRATION = Form(
    "REGISTER with a sos Contact",
    "sip:ims.caller.example",
    "<sip:+16175550142@ims.caller.example>",
    flow="registration",
    body=None,
    style=Style("IMS", from_="<sip:+16175550142@ims.caller.example>", contact="<sip:+16175550142@{host}:{port};sos>"),
)


def _test_forms(definition: EmergencyPolicy) -> list[Form]:
    urns = (
        *("urn:service:test.sos", "urn:service:test.sos.fire", "urn:service:test:sos"),
        "urn:emergency:service:test.psap",
    )
    return [
        *(_target(urn, is_test=True) for urn in urns),
        *(_target(f"sip:{n}@{{host}}", is_test=True) for n in definition.test_numbers),
    ]
