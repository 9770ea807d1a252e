"""Which emergency services the rules tell from one another: later messages of a call name them no more."""

from collections.abc import Callable, Iterable, Sequence

from firewall.lint.endpoint import Endpoint, Pair
from firewall.lint.flow import VOICE
from firewall.lint.form import SOS, SUB_SERVICES
from firewall.lint.language.settle import Literal, Settled, TooHard, settle
from firewall.lint.proof.target import NENA_URNS, SERVICE_URNS
from firewall.lint.proof.witness import read_as_service
from firewall.net.datagram import Datagram
from firewall.ruleset.evaluate import compile_condition
from firewall.ruleset.expression import Atom, Comparison, Field, base_field
from firewall.ruleset.facts import EmergencyMark, Facts
from firewall.sip.message import Request, parse_message

MAX_SERVICES = 128
"""Of so many kinds of services calls are asked about in every step."""

_PLAIN = Pair(Endpoint("192.0.2.10"), Endpoint("198.51.100.20"))
_FIRST = VOICE.steps(_PLAIN, SOS, "service")[0].payload
_SERVICE = Field("emergency.service")
_FAMILIES = (
    (SERVICE_URNS, (SOS.request_uri, *(f"{SOS.request_uri}.{label}" for label in SUB_SERVICES))),
    (NENA_URNS, ("urn:nena:service:sos.psap", "urn:emergency:service:sos.psap")),
)
"""Each family of service URNs, and those of it that show a condition best: the registered ones."""


class UntoldServicesError(Exception):
    """Which services the rules tell apart is not known. The message says why."""


def named_services(conditions: Iterable[Atom]) -> tuple[str, ...]:
    """Return a service URN for each truth that the conditions on ``emergency.service`` among these can have together.

    Empty where none is about ``emergency.service``.

    Raises:
        UntoldServicesError: these are too many, or cannot be told.
    """
    asked = list(dict.fromkeys(atom for atom in conditions if base_field(atom.operand).name == _SERVICE.name))
    if not asked:
        return ()
    return tuple(service for urns, known in _FAMILIES for service in _told_apart(asked, urns, known))


def _told_apart(asked: Sequence[Atom], urns: Literal, known: Sequence[str]) -> list[str]:
    """Part the services of a family by one condition after the other; return one of each part."""
    parts: list[tuple[str, tuple[Literal, ...]]] = [(known[0], ())]
    for atom in asked:
        holds = _reader(atom)
        split = []
        for service, literals in parts:
            here, there = (Literal(atom, truth) for truth in (holds(service), not holds(service)))
            split.append((service, (*literals, here)))
            other = None if any(map(_is_one_service, literals)) else _service_of((*literals, there), urns, known)
            if other is not None:
                split.append((other, (*literals, there)))
        parts = split
        if len(parts) > MAX_SERVICES:
            raise UntoldServicesError(f"the rules tell more than {MAX_SERVICES} emergency services apart")
    return [service for service, _ in parts]


def _is_one_service(literal: Literal) -> bool:
    """Tell whether a condition leaves one service only, so that no other could part it."""
    atom = literal.condition
    return literal.holds and isinstance(atom, Comparison) and atom.operand == _SERVICE and atom.comparator == "=="


def _service_of(literals: Sequence[Literal], urns: Literal, known: Sequence[str]) -> str | None:
    """Return a service among these URNs of which the conditions are so, a known one where there is, None for none."""
    readers = [(_reader(each.condition), each.holds) for each in literals]
    for service in known:
        if all(holds(service) == truth for holds, truth in readers):
            return service
    read = [Literal(read_as_service(each.condition, Field("sip.r-uri")), each.holds) for each in literals]
    settled = settle(_FIRST, [*read, urns])
    if isinstance(settled, TooHard):
        raise UntoldServicesError(settled.reason)
    if not isinstance(settled, Settled):
        return None
    message = parse_message(settled.payload)
    return message.request_uri.lower() if isinstance(message, Request) else None


def _reader(atom: Atom) -> Callable[[str], bool]:
    holds = compile_condition(atom)
    datagram = Datagram(_PLAIN.caller.ip, 5060, _PLAIN.psap.ip, 5060, b"")
    return lambda service: holds(Facts(datagram, emergency=EmergencyMark("call", service, ())))
