"""What a call keeps to its end: the forms that rules can tell apart in later messages, too.

Most of what a form is like stands in its first request, and what the later ones say is their sender's choice. But the
service asked for is remembered, and who writes in a broken way writes every message so.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import get_args

from firewall.lint.form import BROKEN_STYLES, Form, FormFlow, forms, styled
from firewall.lint.proof.service import UntoldServicesError, named_services
from firewall.ruleset.expression import Atom, base_field
from firewall.ruleset.policy import EmergencyPolicy


def lasting_forms(
    definition: EmergencyPolicy, conditions: Sequence[Atom]
) -> tuple[tuple[Form, ...], UntoldServicesError | None]:
    """Return the forms to be asked about in every step of their flows, beside the plain ones; or why they are unknown.

    ``conditions`` are those that may tell them apart.
    """
    try:
        return tuple(_lasting(definition, conditions)), None
    except UntoldServicesError as error:
        return (), error


def _lasting(definition: EmergencyPolicy, conditions: Sequence[Atom]) -> Iterator[Form]:
    services = named_services(conditions)
    plainest = {form.flow: form for form in reversed(forms(definition))}
    for kind in get_args(FormFlow):
        plain = plainest[kind]
        if kind != "registration":  # it asks for no service in particular
            yield from (replace(plain, name=urn, request_uri=urn, to=f"<{urn}>") for urn in services)
        if any(base_field(atom.operand).name == "sip.anomaly" for atom in conditions):
            yield from (styled(plain, style) for style in BROKEN_STYLES)
