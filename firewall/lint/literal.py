"""What a policy's own conditions name: addresses, ports and texts that deserve a probe of their own.

A fixed corpus never has the very User-Agent a rule drops; the rule says which one it is.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import assert_never

from firewall.lint.form import Form, Style, styled
from firewall.net.address import Network
from firewall.ruleset.expression import (
    And,
    Call,
    Comparison,
    Condition,
    Contains,
    Exists,
    Field,
    Matches,
    Membership,
    Not,
    Operand,
    Or,
    Range,
    SetMembers,
    Slice,
)
from firewall.ruleset.policy import NetworkSet, Policy

MAX_TEXTS_PER_FIELD = 40


@dataclass(frozen=True, slots=True)
class Literals:
    """Every network, and every text by the field it is compared with (``sip.header["X"]`` by ``header X``)."""

    networks: tuple[Network, ...]
    texts: dict[str, tuple[str, ...]]


def literals(policy: Policy) -> Literals:
    """Collect the literals of every rule, and the networks of every set, in the order of the file."""
    networks: dict[Network, None] = {}
    texts: dict[str, dict[str, None]] = {}
    for rule in policy.rules:
        if rule.when is None:
            continue
        for operand, item in _items(rule.when):
            named = _field(operand)
            for value in _values(item):
                if isinstance(value, Network):
                    networks[value] = None
                elif named is not None:
                    texts.setdefault(_key(named), {})[value] = None
    for named_set in policy.sets:
        if isinstance(named_set, NetworkSet):
            networks |= dict.fromkeys(named_set.networks)
    return Literals(tuple(networks), {name: tuple(values)[:MAX_TEXTS_PER_FIELD] for name, values in texts.items()})


def forms_of(found: Literals, base: Form) -> tuple[Form, ...]:
    """Return emergency forms whose sender, make or other headers are just what the rules name."""
    styles: list[Style] = []
    for name, values in found.texts.items():
        for value in values:
            if not value or not value.isprintable():
                continue
            style = _style(name, value)
            if style is not None:
                styles.append(style)
    return tuple(styled(base, style) for style in styles)


def _style(name: str, value: str) -> Style | None:
    label = f'{name.removeprefix("header ")} "{value}"'
    match name:
        case "sip.User-Agent":
            return Style(label, user_agent=value)
        case "sip.From":
            return Style(label, from_=value if "<" in value else f'"{value}" <sip:+16175550142@{{host}}>')
        case "sip.from.user":
            return Style(label, from_=f"<sip:{value}@{{host}}>")
        case "sip.from.host":
            return Style(label, from_=f"<sip:+16175550142@{value}>")
        case "sip.Contact":
            return Style(label, contact=value if "<" in value else f"<{value}>")
        case "sip.contact.user":
            return Style(label, contact=f"<sip:{value}@{{host}}>")
        case "sip.contact.host":
            return Style(label, contact=f"<sip:+16175550142@{value}>")
        case _:
            header = name.removeprefix("header ")
            # The headers that a call is made of have forms of their own.
            fixed = (
                "via",
                "from",
                "to",
                "call-id",
                "cseq",
                "contact",
                "content-length",
                "content-type",
                "max-forwards",
            )
            if header == name or header.lower() in fixed:
                return None
            return Style(label, headers=((header, value),))


def _field(operand: Operand) -> Field | None:
    match operand:
        case Field():
            return operand
        case Slice() | Call(function="lower" | "upper"):
            return _field(operand.operand)
        case Call():
            return None
        case _:
            assert_never(operand)


def _key(named: Field) -> str:
    return f"header {named.header}" if named.header is not None else named.name


def _items(condition: Condition) -> Iterator[tuple[Operand, object]]:
    match condition:
        case And(conditions) | Or(conditions):
            for each in conditions:
                yield from _items(each)
        case Not(inner):
            yield from _items(inner)
        case Comparison(operand, _, value):
            yield operand, value
        case Membership(operand, items):
            for item in items:
                yield operand, item
        case Contains(operand, text):
            yield operand, text
        case Matches() | Exists():
            return
        case _:
            assert_never(condition)


def _values(item: object) -> Iterator[Network | str]:
    match item:
        case Network() | str():
            yield item
        case SetMembers(_, members):
            yield from sorted(members) if isinstance(members, frozenset) else members
        case Range(str() as low, str() as high):
            yield low
            yield high
        case _:
            return
