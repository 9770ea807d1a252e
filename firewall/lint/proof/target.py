"""What an emergency's target may be and stay one, as conditions that the theory of texts can read.

They follow ``firewall/ruleset/emergency.py``, which recognises every message that they let through. What is odd beyond
them (``INVITE 911 SIP/2.0``, ``urn:services:sos``) stays as its form has it.
"""

import re
from typing import Literal as OneOf

from firewall.lint.language.settle import Literal
from firewall.ruleset.expression import Field, Matches
from firewall.ruleset.policy import EmergencyPolicy

TargetCarrier = OneOf["r-uri", "To"]
"""The two parts of a message that name whom it is for."""

_SERVICE_URN = r"^urn:service:sos(\.[a-z0-9-]+)*$"
# All but the label "test", of which the calls are no emergencies; RE2 has no look-ahead.
_NENA_LABELS = (
    "(?:[a-su-z0-9._-][a-z0-9._-]*|t(?:[a-df-z0-9._-][a-z0-9._-]*|e(?:[a-rt-z0-9._-][a-z0-9._-]*"
    "|s(?:[a-su-z0-9._-][a-z0-9._-]*|t[a-z0-9_-][a-z0-9._-]*)?)?)?)"
)
_NENA_URN = rf"^urn:(nena|emergency):service:{_NENA_LABELS}$"
_SEPARATORS = r"[-.()]*"
_WHOLE: dict[TargetCarrier, Field] = {"r-uri": Field("sip.r-uri"), "To": Field("sip.to.addr")}
_USER: dict[TargetCarrier, Field] = {"r-uri": Field("sip.r-uri.user"), "To": Field("sip.to.user")}

SERVICE_URNS = Literal(Matches(_WHOLE["r-uri"], _SERVICE_URN), True)
"""Every way to ask for an emergency service by its URN (RFC 5031 §4.2)."""
NENA_URNS = Literal(Matches(_WHOLE["r-uri"], _NENA_URN), True)
"""Every service that i3 elements ask each other for (NENA-STA-010.3 §2.1)."""
_URNS = {
    Literal(Matches(field, pattern), True): field for field in _WHOLE.values() for pattern in (_SERVICE_URN, _NENA_URN)
}


def target_language(uri: str, carrier: TargetCarrier, definition: EmergencyPolicy) -> Literal | None:
    """Return every target that is an emergency as this one is, None for an odd one."""
    for pattern in (_SERVICE_URN, _NENA_URN):
        if re.fullmatch(pattern, uri, re.IGNORECASE):
            return Literal(Matches(_WHOLE[carrier], pattern), True)
    scheme, _, rest = uri.partition(":")
    if re.match(_written(definition), rest.partition("@")[0], re.IGNORECASE) is None:
        return None
    match scheme.lower():
        case "sip" | "sips" if "@" in rest:
            return _dialled(carrier, definition)
        case "tel":
            return _dialled_by_tel(carrier, definition)
        case _:
            return None


def no_target(carrier: TargetCarrier, definition: EmergencyPolicy) -> tuple[Literal, ...]:
    """Return what must not be true of a target, so that it is not what makes a call an emergency."""
    every = (
        *(Literal(Matches(_WHOLE[carrier], pattern), True) for pattern in (_SERVICE_URN, _NENA_URN)),
        _dialled(carrier, definition),
        _dialled_by_tel(carrier, definition),
    )
    return tuple(Literal(each.condition, False) for each in every)


def service_field(language: Literal) -> Field | None:
    """Return the field that is the service asked for, but for its case, where such URNs make a call an emergency."""
    return _URNS.get(language)


def _dialled(carrier: TargetCarrier, definition: EmergencyPolicy) -> Literal:
    return Literal(Matches(_USER[carrier], _written(definition)), True)


def _dialled_by_tel(carrier: TargetCarrier, definition: EmergencyPolicy) -> Literal:
    return Literal(Matches(_WHOLE[carrier], "^tel:" + _written(definition).removeprefix("^")), True)


def _written(definition: EmergencyPolicy) -> str:
    """Return the regex of the emergency numbers as they may be written: prefixed, separated, escaped (RFC 3966 §3)."""
    prefixes = "|".join(_spelled(prefix.removeprefix("+")) for prefix in definition.dial_prefixes)
    numbers = "|".join(_spelled(number) for number in definition.numbers)
    plus = _spelled("+")
    return rf"^{_SEPARATORS}(?:{plus}(?:[0-9]{_SEPARATORS}){{0,3}}|(?:{plus})?(?:{prefixes}))?(?:{numbers})(?:;|$)"


def _spelled(digits: str) -> str:
    return "".join(rf"(?:{re.escape(digit)}|%{ord(digit):02x}){_SEPARATORS}" for digit in digits)
