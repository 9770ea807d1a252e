"""What an emergency's target may be and stay one, as conditions that the theory of texts can read.

They follow ``firewall/ruleset/emergency.py``, which recognises every message that they let through. What no grammar has
(``<urn:service:sos>`` in a request line) stays as its form has it.
"""

import re
from dataclasses import replace
from typing import Literal as OneOf

from firewall.lint.language.settle import Literal
from firewall.ruleset.expression import Field, Matches
from firewall.ruleset.policy import EmergencyPolicy

TargetCarrier = OneOf["r-uri", "To"]
"""The two parts of a message that name whom it is for."""
MarkCarrier = OneOf["Route", "Resource-Priority", "Priority", "Call-Info", "Contact"]
"""The headers that mark a message for anybody as an emergency."""

_SERVICE_URN = r"^urn:service:sos(\.[a-z0-9-]+)*$"
# All but the label "test", of which the calls are no emergencies; RE2 has no look-ahead.
_NENA_LABELS = (
    "(?:[a-su-z0-9._-][a-z0-9._-]*|t(?:[a-df-z0-9._-][a-z0-9._-]*|e(?:[a-rt-z0-9._-][a-z0-9._-]*"
    "|s(?:[a-su-z0-9._-][a-z0-9._-]*|t[a-z0-9_-][a-z0-9._-]*)?)?)?)"
)
_NENA_URN = rf"^urn:(nena|emergency):service:{_NENA_LABELS}$"
_TEST_URN = r"^urn:service:test[.:]sos|^urn:(?:nena|emergency):service:test(?:\.|$)"
_SEPARATORS = r"[-.()]*"
_NOTHING = "$."
"""No text has a character behind its end."""
_WHOLE: dict[TargetCarrier, Field] = {"r-uri": Field("sip.r-uri"), "To": Field("sip.to.addr")}
_USER: dict[TargetCarrier, Field] = {"r-uri": Field("sip.r-uri.user"), "To": Field("sip.to.user")}

SERVICE_URNS = Literal(Matches(_WHOLE["r-uri"], _SERVICE_URN), True)
"""Every way to ask for an emergency service by its URN (RFC 5031 §4.2)."""
NENA_URNS = Literal(Matches(_WHOLE["r-uri"], _NENA_URN), True)
"""Every service that i3 elements ask each other for (NENA-STA-010.3 §2.1)."""
# A namespace is a token without a dot, a priority one, too; both in any case (RFC 4412 §3.1).
_NAME = r"[a-z0-9!%*_+`'~-]+"
_PRIORITY = rf"{_NAME}\.{_NAME}"
# RFC 3261 §20.9. The URN says enough without a purpose: an i3 conformance suite writes none.
_VALUE = r"""(?:[a-z0-9!%*_+`'~.:\[\]-]+|"(?:[^"\\]|\\.)*")"""
_PARAMETERS = rf"(?:[ \t]*;[ \t]*{_NAME}(?:[ \t]*=[ \t]*{_VALUE})?)*"
_INFO = rf'<[^<>"]*>{_PARAMETERS}'
_CALL_INFO = rf'<urn:(?:emergency|nena):uid:(?:call|incident)id:[^<>"]*>{_PARAMETERS}'
_MARKS: dict[MarkCarrier, tuple[Field, str]] = {
    "Resource-Priority": (
        Field("sip.Resource-Priority"),
        rf"^(?:{_PRIORITY}[ \t]*,[ \t]*)*esnet\.[0-4](?:[ \t]*,[ \t]*{_PRIORITY})*$",
    ),
    "Call-Info": (Field("sip.Call-Info"), rf"^(?:{_INFO}[ \t]*,[ \t]*)*{_CALL_INFO}(?:[ \t]*,[ \t]*{_INFO})*$"),
    "Contact": (Field("sip.contact.param"), "^sos$"),
}
_URNS = {
    Literal(Matches(field, pattern), True): field for field in _WHOLE.values() for pattern in (_SERVICE_URN, _NENA_URN)
}


def target_language(uri: str, carrier: TargetCarrier, definition: EmergencyPolicy) -> Literal | None:
    """Return every target that is an emergency as this one is, None for what no grammar has."""
    for pattern in (_SERVICE_URN, _NENA_URN):
        if re.fullmatch(pattern, uri, re.IGNORECASE):
            return Literal(Matches(_WHOLE[carrier], pattern), True)
    scheme, _, rest = uri.partition(":")
    if re.match(_written(definition), rest.partition("@")[0], re.IGNORECASE) is not None:
        if scheme.lower() in ("sip", "sips") and "@" in rest:
            return _dialled(carrier, definition)
        if scheme.lower() == "tel":
            return _dialled_by_tel(carrier, definition)
    for pattern in _odd(definition):
        if re.match(pattern, uri, re.IGNORECASE):
            return Literal(Matches(_WHOLE[carrier], pattern), True)
    return None


def no_target(carrier: TargetCarrier, definition: EmergencyPolicy) -> tuple[Literal, ...]:
    """Return what must not be true of a target, so that it is not what makes a call an emergency."""
    every = (
        *(Literal(Matches(_WHOLE[carrier], pattern), True) for pattern in (_SERVICE_URN, _NENA_URN)),
        _dialled(carrier, definition),
        _dialled_by_tel(carrier, definition),
    )
    return tuple(Literal(each.condition, False) for each in every)


def no_emergency(carrier: TargetCarrier, definition: EmergencyPolicy) -> tuple[Literal, ...]:
    """Return what must not be true of a target, so that it makes no message an emergency nor a test."""
    tests = replace(definition, numbers=definition.test_numbers)
    odd = "|".join((_TEST_URN, *_odd(definition), *_odd(tests)[2:]))
    every = [Literal(Matches(_WHOLE[carrier], odd), True), _dialled(carrier, tests), _dialled_by_tel(carrier, tests)]
    return (*no_target(carrier, definition), *(replace(each, holds=False) for each in every))


def mark_language(carrier: MarkCarrier, value: str, definition: EmergencyPolicy) -> Literal:
    """Return every way to write what a header with this value marks a message with."""
    match carrier:
        case "Priority":
            return Literal(Matches(Field("sip.Priority"), f"^{re.escape(value)}$"), True)
        case "Route":
            dialled = _written(definition).removeprefix("^")
            hop = rf"{_SERVICE_URN.removesuffix('$')}$|^sips?:{dialled.removesuffix('(?:;|$)')}(?:;[^@:]*)?(?::[^@]*)?@"
            return Literal(Matches(Field("sip.Route.uri"), hop), True)
        case _:
            return Literal(Matches(*_MARKS[carrier]), True)


def service_field(language: Literal) -> Field | None:
    """Return the field that is the service asked for, but for its case, where such URNs make a call an emergency."""
    return _URNS.get(language)


def _dialled(carrier: TargetCarrier, definition: EmergencyPolicy) -> Literal:
    return Literal(Matches(_USER[carrier], _written(definition)), True)


def _dialled_by_tel(carrier: TargetCarrier, definition: EmergencyPolicy) -> Literal:
    return Literal(Matches(_WHOLE[carrier], "^tel:" + _written(definition).removeprefix("^")), True)


def _odd(definition: EmergencyPolicy) -> tuple[str, ...]:
    """Return the regexes of what is seen in the field: a number or a misspelt URN where a URI should be, or in one."""
    prefixes = "|".join(re.escape(prefix.removeprefix("+")) for prefix in definition.dial_prefixes)
    numbers = "|".join(re.escape(number) for number in definition.numbers) or _NOTHING
    return (
        rf"^urn:services?:(?:sos|911|{numbers})(?:[;?#].*)?$",
        rf"^sips?:urn:services?:(?:sos|911|{numbers})@",
        rf"^sips?:(?:{prefixes})?(?:{numbers})(?:[:;?].*)?$",
        _written(definition).removesuffix("(?:;|$)") + "(?:[;@].*)?$",
    )


def _written(definition: EmergencyPolicy) -> str:
    """Return the regex of the emergency numbers as they may be written: prefixed, separated, escaped (RFC 3966 §3)."""
    prefixes = "|".join(_spelled(prefix.removeprefix("+")) for prefix in definition.dial_prefixes)
    numbers = "|".join(_spelled(number) for number in definition.numbers) or _NOTHING
    plus = _spelled("+")
    return rf"^{_SEPARATORS}(?:{plus}(?:[0-9]{_SEPARATORS}){{0,3}}|(?:{plus})?(?:{prefixes}))?(?:{numbers})(?:;|$)"


def _spelled(digits: str) -> str:
    return "".join(rf"(?:{re.escape(digit)}|%{ord(digit):02x}){_SEPARATORS}" for digit in digits)
