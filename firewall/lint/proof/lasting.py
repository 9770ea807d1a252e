"""What a call keeps to its end: the forms that rules can tell apart in later messages, too.

Most of what a form is like stands in its first request, and what the later ones say is their sender's choice. But the
service asked for is remembered, and who writes in a broken way writes every message so.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import get_args

from firewall.lint.form import BROKEN_STYLES, Form, FormFlow, forms, styled
from firewall.lint.proof.service import named_services
from firewall.ruleset.expression import atoms, base_field
from firewall.ruleset.policy import Policy


def lasting_forms(policy: Policy) -> tuple[Form, ...]:
    """Return the forms that are to be asked about in every step of their flows, beside the plain ones.

    Raises:
        UntoldServicesError: there are too many.
    """
    return tuple(_lasting(policy))


def _lasting(policy: Policy) -> Iterator[Form]:
    services = named_services(policy)
    conditions = (rule.when for rule in policy.rules if rule.when is not None)
    fields = {base_field(atom.operand).name for condition in conditions for atom in atoms(condition)}
    plainest = {form.flow: form for form in reversed(forms(policy.emergency))}
    for kind in get_args(FormFlow):
        plain = plainest[kind]
        if kind != "registration":  # it asks for no service in particular
            yield from (replace(plain, name=urn, request_uri=urn, to=f"<{urn}>") for urn in services)
        if "sip.anomaly" in fields:
            yield from (styled(plain, style) for style in BROKEN_STYLES)
