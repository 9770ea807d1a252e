"""What a call keeps to its end: the forms that rules can tell apart in later messages, too.

Most of what a form is like stands in its first request, and what the later ones say is their sender's choice. But the
service asked for is remembered, and who writes in a broken way writes every message so.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import get_args

from firewall.lint.endpoint import Endpoint, Pair
from firewall.lint.flow import VOICE
from firewall.lint.form import BROKEN_STYLES, SOS, SUB_SERVICES, Form, FormFlow, forms, styled
from firewall.lint.language.settle import Literal, Settled, TooHard, settle
from firewall.lint.proof.kinds import UntoldError, told_apart
from firewall.lint.proof.target import NENA_URNS, SERVICE_URNS
from firewall.lint.proof.witness import read_as_service
from firewall.net.datagram import Datagram
from firewall.ruleset.expression import Atom, Field, base_field
from firewall.ruleset.facts import EmergencyMark, Facts
from firewall.ruleset.policy import EmergencyPolicy
from firewall.sip.message import Request, parse_message

_PLAIN = Pair(Endpoint("192.0.2.10"), Endpoint("198.51.100.20"))
_FIRST = VOICE.steps(_PLAIN, SOS, "service")[0].payload
_FAMILIES = (
    (SERVICE_URNS, (SOS.request_uri, *(f"{SOS.request_uri}.{label}" for label in SUB_SERVICES))),
    (NENA_URNS, ("urn:nena:service:sos.psap", "urn:emergency:service:sos.psap")),
)
"""Each family of service URNs, and those of it that show a condition best: the registered ones."""


def lasting_forms(definition: EmergencyPolicy, conditions: Sequence[Atom]) -> tuple[tuple[Form, ...], tuple[str, ...]]:
    """Return the forms to be asked about in every step of their flows, beside the plain ones; and why not all of them.

    ``conditions`` are those that may tell them apart.
    """
    try:
        return tuple(_lasting(definition, conditions)), ()
    except UntoldError as error:
        return (), (str(error),)


def _lasting(definition: EmergencyPolicy, conditions: Sequence[Atom]) -> Iterator[Form]:
    services = named_services(conditions)
    plainest = {form.flow: form for form in reversed(forms(definition))}
    for kind in get_args(FormFlow):
        plain = plainest[kind]
        if kind != "registration":  # it asks for no service in particular
            yield from (replace(plain, name=urn, request_uri=urn, to=f"<{urn}>") for urn in services)
        if any(base_field(atom.operand).name == "sip.anomaly" for atom in conditions):
            yield from (styled(plain, style) for style in BROKEN_STYLES)


def named_services(conditions: Iterable[Atom]) -> tuple[str, ...]:
    """Return a service URN for each truth that the conditions on ``emergency.service`` among these can have together.

    Empty where none is about ``emergency.service``.

    Raises:
        UntoldError: these are too many, or cannot be told.
    """
    asked = [atom for atom in conditions if base_field(atom.operand).name == "emergency.service"]
    found: list[str] = []
    for urns, known in _FAMILIES if asked else ():
        found += told_apart("emergency services", asked, known, _asking_for, partial(_made, urns))
    return tuple(found)


def _made(urns: Literal, literals: Sequence[Literal]) -> str | None:
    """Return a service among these URNs of which the conditions are so, None for none."""
    read = [Literal(read_as_service(each.condition, Field("sip.r-uri")), each.holds) for each in literals]
    settled = settle(_FIRST, [*read, urns])
    if isinstance(settled, TooHard):
        raise UntoldError(settled.reason)
    message = parse_message(settled.payload) if isinstance(settled, Settled) else None
    return message.request_uri.lower() if isinstance(message, Request) else None


def _asking_for(service: str) -> Facts:
    datagram = Datagram(_PLAIN.caller.ip, 5060, _PLAIN.psap.ip, 5060, b"")
    return Facts(datagram, emergency=EmergencyMark("call", service, ()))
