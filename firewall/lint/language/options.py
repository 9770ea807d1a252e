"""The ways to make a literal true: what must be seen, and must not, at which carriers."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product

from firewall.lint.language.bounds import MAX_MESSAGE_BYTES, UnmodelledError
from firewall.lint.language.carrier import LINE, Carrier, Group, Place, header_carrier, places
from firewall.lint.language.jury import Literal
from firewall.lint.language.predicate import Demand, counts, demands, is_longer_than
from firewall.lint.language.search import Bound
from firewall.ruleset.expression import Atom, Contains, Field, base_field

WHOLE_MESSAGE = ("sip", "sip.msg_hdr")
"""Fields that read the message as a whole."""

_PROBE_HEADER = "X-Sosgate-Probe"


@dataclass(frozen=True, slots=True)
class Part:
    """One thing to reach at one carrier: a condition that must hold of some value there (``is_some``) or of none."""

    carrier: Carrier
    bound: Bound
    is_some: bool


@dataclass(frozen=True, slots=True)
class Option:
    """One way: all its parts. ``is_exact`` is False where there are ways that are not among the options."""

    parts: tuple[Part, ...]
    is_exact: bool = True


def options_of(literal: Literal) -> tuple[Option, ...]:
    """Return the ways to make a literal true, the plainest first.

    Raises:
        UnmodelledError: its field is not read from the text of a SIP message.
    """
    return tuple(
        option for demand in demands(literal.condition, holds=literal.holds) for option in _options_of_demand(demand)
    )


def _options_of_demand(demand: Demand) -> Iterable[Option]:
    if any(_is_longer_than_a_message(atom) for atom in demand.some):
        return
    none = [Part(place.carrier, Bound(atom, place.groups), False) for atom in demand.none for place in _places(atom)]
    is_exact = all(base_field(atom.operand).name not in WHOLE_MESSAGE for atom in (*demand.some, *demand.none))
    for chosen in product(*(_some_places(atom) for atom in demand.some)):
        some = (
            Part(place.carrier, Bound(atom, place.groups), True)
            for atom, place in zip(demand.some, chosen, strict=True)
        )
        yield Option((*some, *none), is_exact)


def _is_longer_than_a_message(atom: Atom) -> bool:
    return base_field(atom.operand).name in WHOLE_MESSAGE and is_longer_than(MAX_MESSAGE_BYTES, atom)


def _some_places(atom: Atom) -> tuple[Place, ...]:
    found = _places(atom)
    if found:
        return found
    if isinstance(atom.operand, Field):
        return (Place(header_carrier(_PROBE_HEADER), (Group(LINE),)),)
    raise UnmodelledError(f"a part of {base_field(atom.operand).name}")


def _places(atom: Atom) -> tuple[Place, ...]:
    read = base_field(atom.operand)
    found = places(read)
    if not found and read.name not in WHOLE_MESSAGE:
        raise UnmodelledError(f"{read.name} is not read from the text of a SIP message")
    if len(found) > 1 and counts(atom):
        raise UnmodelledError(f"count() of {read.name}")
    return found


def banned_everywhere(literals: Iterable[Literal]) -> tuple[Literal, ...]:
    """Return the literals that say what no header line may contain, because the whole message must not."""
    return tuple(
        literal
        for literal in literals
        if not literal.holds
        and isinstance(literal.condition, Contains)
        and literal.condition.operand in (Field("sip"), Field("sip.msg_hdr"))
    )
