"""Expressions made by chance, from the field table and a capture's values. The same seed, the same ones."""

import ipaddress
import random
import re
from collections.abc import Callable

from firewall.net.address import address_text
from firewall.ruleset.evaluate import byte_length
from firewall.ruleset.facts import Facts
from firewall.ruleset.field_spec import FieldSpec, Values
from firewall.ruleset.fields import FIELDS

_COMPARATORS = ("==", "!=", ">", ">=", "<", "<=", "eq", "ne", "gt", "le")
_PLAIN = re.compile(r"[ !#-\[\]-~]{1,60}")
WIRESHARK_FIELDS = {name: spec for name, spec in FIELDS.items() if not spec.own}

Pool = dict[str, tuple[str | int, ...]]
"""The values of each field, without repetition, in the order in which they were seen."""


def value_pool(facts: list[Facts]) -> Pool:
    """Collect the values of Wireshark's fields in some facts: text that can stand in a filter without escapes."""
    pool: Pool = {}
    for name, spec in WIRESHARK_FIELDS.items():
        if spec.type == "protocol":
            continue
        seen: dict[str | int, None] = {}
        for each in facts:
            values: Values = spec.read(each)
            seen.update(dict.fromkeys(value for value in values if isinstance(value, int) or _PLAIN.fullmatch(value)))
        if seen:
            pool[name] = tuple(seen)
    return pool


def plain_expressions(pool: Pool, values_each: int) -> list[tuple[str, str]]:
    """Return (field, expression): each field's presence, its number of values, and its equality with some of them."""
    found = [(name, name) for name in WIRESHARK_FIELDS]
    for name, values in pool.items():
        found += [(name, f"count({name}) == {count}") for count in (1, 2, 3, 4)]
        found += [(name, f"{name} == {_literal(WIRESHARK_FIELDS[name], value)}") for value in values[:values_each]]
    return found


def length_expressions(facts: list[Facts], lengths_each: int) -> list[tuple[str, str]]:
    """Return (field, expression) about the length in bytes of texts, also of those that no filter can spell."""
    found = []
    for name, spec in WIRESHARK_FIELDS.items():
        if spec.type == "text":
            lengths = dict.fromkeys(byte_length(str(value)) for each in facts for value in spec.read(each))
            found += [(name, f"len({name}) == {length}") for length in list(lengths)[:lengths_each]]
    return found


class Generator:
    """Expressions without end."""

    def __init__(self, pool: Pool, seed: int) -> None:
        self._pool = pool
        self._chance = random.Random(seed)
        self._names = sorted(pool)
        self._protocols = sorted(name for name, spec in WIRESHARK_FIELDS.items() if spec.type == "protocol")

    def expression(self) -> str:
        """Return the next one: of one to three relations."""
        chance = self._chance
        text = self._relation()
        for _ in range(chance.choice((0, 0, 1, 1, 2))):
            text = f"{text} {chance.choice(('and', 'or', '&&', '||', 'and not', 'or !'))} {self._relation()}"
            if chance.random() < 0.3:
                text = f"({text})"
        return f"{chance.choice(('not ', '!'))}({text})" if chance.random() < 0.2 else text

    def _relation(self) -> str:
        chance = self._chance
        if chance.random() < 0.15:
            return chance.choice([*self._protocols, *self._names])
        name = chance.choice(self._names)
        spec = WIRESHARK_FIELDS[name]
        make: Callable[[FieldSpec], str]
        match spec.type:
            case "text":
                make = chance.choice(
                    (self._text_comparison, self._search, self._function, self._slice, self._membership)
                )
            case "number":
                make = chance.choice((self._comparison, self._membership, self._range))
            case "address":
                make = chance.choice((self._comparison, self._membership, self._network))
            case _:
                make = self._flag
        return make(spec)

    def _value(self, spec: FieldSpec) -> str | int:
        """Mostly a value that the field has somewhere; sometimes another field's, or one beside it."""
        value = self._chance.choice(self._pool[spec.name])
        if isinstance(value, int):
            if spec.type == "number" and self._chance.random() < 0.3:
                return max(0, min(value + self._chance.choice((-1, 1)), spec.maximum or value))
            return value
        match self._chance.randrange(6):
            case 0:
                return value.swapcase()
            case 1:
                return value[: self._chance.randint(1, len(value))]
            case _:
                return value

    def _comparison(self, spec: FieldSpec) -> str:
        return f"{spec.name} {self._chance.choice(_COMPARATORS)} {_literal(spec, self._value(spec))}"

    def _text_comparison(self, spec: FieldSpec) -> str:
        operand = self._chance.choice((spec.name, spec.name, f"lower({spec.name})", f"upper({spec.name})"))
        return f"{operand} {self._chance.choice(_COMPARATORS)} {_literal(spec, self._value(spec))}"

    def _search(self, spec: FieldSpec) -> str:
        value = str(self._value(spec))
        start = self._chance.randrange(len(value))
        part = value[start : start + self._chance.randint(1, 12)]
        if self._chance.random() < 0.5:
            return f'{spec.name} contains "{part}"'
        regex = re.sub(r"[^A-Za-z0-9 ]", ".", part)
        return f'{spec.name} matches "{self._chance.choice(("", "^"))}{regex}{self._chance.choice(("", "$", ".*"))}"'

    def _function(self, spec: FieldSpec) -> str:
        if self._chance.random() < 0.3:
            return f"count({spec.name}) {self._chance.choice(_COMPARATORS)} {self._chance.randint(0, 3)}"
        size = len(str(self._value(spec)))
        return f"len({spec.name}) {self._chance.choice(_COMPARATORS)} {size}"

    def _slice(self, spec: FieldSpec) -> str:
        value = str(self._value(spec))
        start = self._chance.randrange(len(value))
        size = self._chance.randint(1, 4)
        literal = value[start : start + size]
        where = self._chance.choice(
            (f"{start}:{size}", f"{start}:{len(literal)}", f"{start - len(value)}:{len(literal)}")
        )
        return f'{spec.name}[{where}] {self._chance.choice(("==", "!="))} "{literal}"'

    def _membership(self, spec: FieldSpec) -> str:
        values = ", ".join(_literal(spec, self._value(spec)) for _ in range(self._chance.randint(1, 3)))
        return f"{spec.name} in {{{values}}}"

    def _range(self, spec: FieldSpec) -> str:
        low, high = sorted(int(self._value(spec)) for _ in range(2))
        return f"{spec.name} in {{{low}..{high}}}"

    def _network(self, spec: FieldSpec) -> str:
        address = address_text(int(self._value(spec)))
        prefix = self._chance.choice((8, 24, 31)) if "." in address else self._chance.choice((32, 64, 127))
        network = ipaddress.ip_network(f"{address}/{prefix}", strict=False)
        return f"{spec.name} {self._chance.choice(('==', '!='))} {network}"

    def _flag(self, spec: FieldSpec) -> str:
        return f"{spec.name} == {self._chance.choice(('0', '1', 'true', 'false'))}"


def fields_of(expression: str) -> set[str]:
    """Return the names of the fields that an expression looks at."""
    return {
        name
        for name in re.findall(r"[A-Za-z][\w.-]*", re.sub(r'"[^"]*"', '""', expression))
        if name in WIRESHARK_FIELDS
    }


def _literal(spec: FieldSpec, value: str | int) -> str:
    if spec.type == "address":
        return address_text(int(value))
    return str(value) if isinstance(value, int) else f'"{value}"'
