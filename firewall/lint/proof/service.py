"""Which emergency services the rules tell from one another: later messages of a call name them no more."""

from firewall.lint.endpoint import Endpoint, Pair
from firewall.lint.flow import VOICE
from firewall.lint.form import SOS, SUB_SERVICES
from firewall.lint.language.settle import Literal, Settled, settle
from firewall.lint.proof.atom import Atom, atoms, base_field
from firewall.lint.proof.target import NENA_URNS, SERVICE_URNS
from firewall.lint.proof.witness import read_as_service
from firewall.ruleset.expression import Field
from firewall.ruleset.policy import Policy
from firewall.sip.message import Request, parse_message

_PLAIN = Pair(Endpoint("192.0.2.10"), Endpoint("198.51.100.20"))


def named_services(policy: Policy) -> tuple[str, ...]:
    """Return service URNs that differ to the policy's rules: the registered ones, and one for each condition on them.

    Empty where no rule looks at ``emergency.service``.
    """
    asked = dict.fromkeys(
        atom
        for rule in policy.rules
        if rule.when is not None
        for atom in atoms(rule.when)
        if base_field(atom.operand).name == "emergency.service"
    )
    if not asked:
        return ()
    found = (_service_of(atom, urns) for urns in (SERVICE_URNS, NENA_URNS) for atom in asked)
    registered = (f"{SOS.request_uri}.{label}" for label in SUB_SERVICES)
    return tuple(dict.fromkeys([*(urn for urn in found if urn is not None), *registered]))


def _service_of(atom: Atom, urns: Literal) -> str | None:
    """Return a service among these URNs of which the condition is true, None where there is none."""
    step = VOICE.steps(_PLAIN, SOS, "service")[0]
    literals = [Literal(read_as_service(atom, Field("sip.r-uri")), True), urns]
    settled = settle(step.payload, literals)
    if not isinstance(settled, Settled):
        return None
    message = parse_message(settled.payload)
    return message.request_uri.lower() if isinstance(message, Request) else None
