"""The meaning of a parsed expression: which field, which type, which value. Refuses what has none."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TypeVar

from lark import Token, Tree

from firewall.errors import shown
from firewall.net.address import Network, family
from firewall.ruleset.expression import (
    And,
    Call,
    Comparator,
    Comparison,
    Condition,
    Contains,
    Exists,
    Field,
    Function,
    Item,
    Matches,
    Membership,
    Not,
    Operand,
    Or,
    Range,
    SetMembers,
    Slice,
    Value,
)
from firewall.ruleset.field_spec import FieldSpec, FieldType
from firewall.ruleset.fields import FIELDS, HEADER_FIELD, field_advice
from firewall.ruleset.kind import listed, suggestion
from firewall.ruleset.literal import (
    FALSE_WORDS,
    TRUE_WORDS,
    ExpressionError,
    bytes_text,
    read_address_range,
    read_number,
    read_slice,
    read_string,
    string_text,
    text_bytes,
)
from firewall.ruleset.network_set import networks_of_list
from firewall.ruleset.policy import NamedSet, NetworkSet, StringSet
from firewall.ruleset.regex import compile_regex
from firewall.ruleset.text import operand_text

Node = Tree[Token]
T = TypeVar("T")

_BYTES = re.compile("[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2})+")
"""A byte sequence, as Wireshark writes it."""
_FUNCTIONS: dict[str, Function] = {"len": "len", "lower": "lower", "upper": "upper", "count": "count"}
_COMPARATORS: dict[str, Comparator] = {
    "==": "==", "eq": "==", "!=": "!=", "ne": "!=", ">": ">", "gt": ">", ">=": ">=", "ge": ">=", "<": "<", "lt": "<",
    "<=": "<=", "le": "<=",
}  # fmt: skip


class Resolver:
    """Reads syntax trees with the named sets of one policy."""

    def __init__(self, sets: Mapping[str, NamedSet]) -> None:
        self._sets = sets

    def condition(self, node: Node) -> Condition:
        """Return the condition a tree stands for.

        Raises:
            ExpressionError: a name, type or literal is wrong, with its place in the text.
            PolicyError: a list file does not fit its use, with its place in the list file.
        """
        match node.data:
            case "any_of":
                return Or(self._parts(node, Or))
            case "all_of":
                return And(self._parts(node, And))
            case "negated":
                return Not(self.condition(_tree(node.children[-1])))
            case "exists":
                return self._exists(_tree(node.children[0]))
            case "comparison":
                return self._comparison(node)
            case "contains":
                return self._contains(node)
            case "matches":
                return self._matches(node)
            case "membership":
                return self._membership(node)
            case _:
                return Not(self._membership(node))

    def _parts(self, node: Node, chain: type[And] | type[Or]) -> tuple[Condition, ...]:
        """Return the parts of a chain, those of a chain of its kind in it too: ``a and (b and c)`` has three."""
        parts: list[Condition] = []
        for child in node.children:
            condition = self.condition(_tree(child))
            parts += condition.conditions if isinstance(condition, chain) else (condition,)
        return tuple(parts)

    def _exists(self, node: Node) -> Condition:
        left = self._left(node)
        if isinstance(left.operand, Call):
            raise _at(node, f"{left.operand.function}() alone says nothing", "compare it, for example with == 0")
        if left.is_own_flag:
            return Comparison(left.operand, "==", True)
        return Exists(left.operand)

    def _comparison(self, node: Node) -> Condition:
        left = self._left(_tree(node.children[0]))
        comparator_node, literal = _tree(node.children[1]), _token(node.children[2])
        comparator = _COMPARATORS[str(comparator_node.children[0])]
        if left.kind == "protocol":
            name = left.spec.name
            raise _at(
                node.children[0], f'"{name}" is a protocol, not a value', f"{name} alone asks whether it is present"
            )
        value = _value(literal, left)
        if isinstance(value, bool):
            return _flag_comparison(left, comparator, value, comparator_node)
        if isinstance(value, Network) and comparator not in ("==", "!=") and value.first != value.last:
            raise _at(literal, f"a network cannot be compared with {comparator}", "use == or in, or a single address")
        return Comparison(left.operand, comparator, value)

    def _contains(self, node: Node) -> Condition:
        left = self._text_left(node, "contains")
        text = _text(_token(node.children[-1]), left)
        if not text:
            raise _at(node.children[-1], "contains needs a text that is not empty")
        return Contains(left.operand, text)

    def _matches(self, node: Node) -> Condition:
        left = self._text_left(node, "matches")
        token = _token(node.children[-1])
        regex = _text(token, left)
        try:
            compile_regex(regex)
        except ExpressionError as error:
            raise ExpressionError(error.cause, error.next_step, _offset_in(token, error.offset)) from None
        return Matches(left.operand, regex)

    def _text_left(self, node: Node, word: str) -> "_Left":
        left = self._left(_tree(node.children[0]))
        if left.is_text:
            return left
        operand = left.operand
        what = f"{operand.function}() is a number" if isinstance(operand, Call) else left.described
        raise _at(node.children[0], f"{what}; {word} works on text")

    def _membership(self, node: Node) -> Membership:
        left = self._left(_tree(node.children[0]))
        if not isinstance(left.operand, Field):
            advice = "write it as comparisons with or"
            raise _at(node.children[0], "only a field can stand before in, as in Wireshark", advice)
        if left.kind == "protocol" or left.is_own_flag:
            raise _at(node.children[0], f"{left.described}; in works on text, numbers and addresses")
        return Membership(left.operand, tuple(self._item(child, left) for child in _tree(node.children[-1]).children))

    def _item(self, node: Node | Token, left: "_Left") -> Item:
        if isinstance(node, Tree):
            return _range(_token(node.children[0]), _token(node.children[1]), left)
        return self._set(node, left) if node.type == "SET" else _value(node, left)

    def _set(self, token: Token, left: "_Left") -> SetMembers:
        name = str(token)[1:]
        match self._sets.get(name), left.kind:
            case None, _:
                known = suggestion(str(token), [f"${each}" for each in sorted(self._sets)])
                raise _at(token, f'undefined set "{token}"', known if self._sets else "define it under sets:")
            case StringSet(values=values), "text":
                return SetMembers(name, values)
            case StringSet(lines=lines) as listed, "address" if lines:
                return SetMembers(name, networks_of_list(listed))
            case NetworkSet(networks=networks), "address":
                return SetMembers(name, networks)
            case NetworkSet(), _:
                raise _at(token, f"set ${name} holds networks, but {left.described}")
            case _:
                advice = "give it as {networks: […]}" if left.kind == "address" else None
                raise _at(token, f"set ${name} holds strings, but {left.described}", advice)

    def _left(self, node: Node) -> "_Left":
        match node.data:
            case "slice":
                sliced = self._left(_tree(node.children[0]))
                if not sliced.is_text:
                    raise _at(node, f"{sliced.described}; only text can be sliced")
                start, length = _read(read_slice, _token(node.children[1]))
                return _Left(Slice(sliced.operand, start, length), sliced.spec, "text")
            case "call":
                return self._call(node)
            case _:
                return _field(node)

    def _call(self, node: Node) -> "_Left":
        name = _token(node.children[0])
        function = _FUNCTIONS.get(str(name))
        if function is None:
            raise _at(name, f'unknown function "{name}"', suggestion(str(name), _FUNCTIONS))
        inner = self._left(_tree(node.children[1]))
        if not isinstance(inner.operand, Field):
            raise _at(node.children[1], f"{function}() takes a field, as in Wireshark")
        if function != "count" and inner.kind != "text":
            raise _at(node.children[1], f"{function}() works on text, but {inner.described}")
        return _Left(Call(function, inner.operand), inner.spec, "text" if function in ("lower", "upper") else "number")


@dataclass(frozen=True, slots=True)
class _Left:
    """What stands on the left of a relation: the operand, its field's row of the table, the type of its values."""

    operand: Operand
    spec: FieldSpec
    kind: FieldType

    @property
    def is_text(self) -> bool:
        """Whether it can be searched and sliced."""
        return self.kind == "text" or (self.kind == "protocol" and self.spec.searchable)

    @property
    def is_own_flag(self) -> bool:
        """Whether it is true or false in every message."""
        return self.kind == "flag" and self.spec.own

    @property
    def described(self) -> str:
        """What it is, in words."""
        return f"{self.spec.name} is {_a(self.kind)}"


def _field(node: Node) -> _Left:
    token = _token(node.children[0])
    name = str(token)
    header = _header_name(_token(node.children[1]), name) if len(node.children) > 1 else None
    spec = FIELDS.get(name)
    if spec is None:
        raise _at(token, f'unknown field "{shown(name)}"', field_advice(name))
    if name == HEADER_FIELD and header is None:
        raise _at(token, f"{HEADER_FIELD} needs the header's name", f'write {HEADER_FIELD}["Name"]')
    return _Left(Field(name, header), spec, spec.type)


def _header_name(token: Token, name: str) -> str:
    if name != HEADER_FIELD:
        raise _at(token, f'only {HEADER_FIELD} takes a name in brackets, not "{name}"')
    text = str(token)
    try:
        header = read_string(text[1:-1].strip()).strip()
    except ExpressionError as error:
        raise error.moved((token.start_pos or 0) + text.index('"')) from None
    if not header or any(char in header for char in ': \t\r\n"') or not header.isprintable():
        raise _at(token, f'"{shown(header)}" is not a header name')
    return header.lower()


def _value(token: Token, left: _Left) -> Value:
    match left.kind:
        case "text" | "protocol":
            return _one_of_its_choices(_text(token, left), token, left)
        case "flag":
            return _flag(token, left)
        case "number":
            return _number(token, left)
        case "address":
            return _address(token, left)


def _text(token: Token, left: _Left) -> str:
    if token.type == "RAW_STRING":
        return str(token)[2:-1]
    if token.type != "STRING":
        bare = str(token)[1:-1] if token.type == "CHARACTER" else str(token)
        if _BYTES.fullmatch(bare):
            written = string_text(bytes_text(bytes.fromhex(bare.replace(":", ""))))
            raise _at(token, f"{bare} is no text", f"write the bytes as {written}")
        raise _wrong_literal(token, operand_text(left.operand), "text", f'write "{shown(bare)}" in double quotes')
    return _read(read_string, token)


def _one_of_its_choices(text: str, token: Token, left: _Left) -> str:
    choices = left.spec.choices
    if choices is not None and isinstance(left.operand, Field) and text not in choices:
        advice = suggestion(text, choices) if get_close_matches(text, choices) else f"it is one of {listed(choices)}"
        raise _at(token, f'{left.spec.name} is never "{shown(text)}"', advice)
    return text


def _flag(token: Token, left: _Left) -> bool:
    if str(token) in TRUE_WORDS:
        return True
    if str(token) in FALSE_WORDS:
        return False
    raise _at(token, f"{left.spec.name} is a flag; {token} is neither true nor false", "write true, false, 1 or 0")


def _number(token: Token, left: _Left) -> int:
    if token.type != "NUMBER":
        bare = str(token)[1:-1]
        is_quoted = token.type == "STRING" and bare.isdigit()
        advice = f"write {bare} without quotes" if is_quoted else "write a number, or a range of them: in {200..299}"
        raise _wrong_literal(token, operand_text(left.operand), "number", advice)
    number, maximum = _read(read_number, token), left.spec.maximum
    if maximum is not None and isinstance(left.operand, Field) and number > maximum:
        raise _at(token, f"{number} is too big for {left.spec.name}", f"its maximum is {maximum}")
    return number


def _address(token: Token, left: _Left) -> Network:
    if token.type not in ("NUMBER", "ADDRESS"):
        advice = "write it without quotes" if token.type == "STRING" else None
        raise _wrong_literal(token, left.spec.name, "address", advice)
    return _of_family(_read(Network.parse, token), token, left.spec)


def _of_family(network: Network, token: Token, spec: FieldSpec) -> Network:
    if spec.family is None or family(network.first) == spec.family:
        return network
    part, other = spec.name.partition(".")[2], "ip" if spec.family == 6 else "ipv6"
    raise _at(
        token,
        f"{spec.name} is an IPv{spec.family} address, {token} is not",
        f"use {other}.{part}, or net.{part} for either family",
    )


def _range(low: Token, high: Token, left: _Left) -> Item:
    if left.kind == "address":
        return _of_family(_read(lambda first: read_address_range(first, str(high)), low), low, left.spec)
    first, last = _value(low, left), _value(high, left)
    if isinstance(first, int) and isinstance(last, int) and not isinstance(first, bool):
        is_reversed = first > last
    elif isinstance(first, str) and isinstance(last, str):
        is_reversed = text_bytes(first) > text_bytes(last)
    else:
        raise _at(low, f"{left.described} and has no ranges")
    if is_reversed:
        raise _at(low, f"the range {low}..{high} is reversed", f"write {high}..{low}")
    return Range(first, last)


def _flag_comparison(left: _Left, comparator: Comparator, value: bool, node: Node) -> Condition:
    if comparator not in ("==", "!="):
        raise _at(node, f"{left.spec.name} is a flag; {comparator} does not apply", "use == or !=")
    if not left.spec.own:
        return Comparison(left.operand, comparator, value)
    is_true = Comparison(left.operand, "==", True)
    return is_true if value is (comparator == "==") else Not(is_true)


def _read(read: Callable[[str], T], token: Token) -> T:
    """Read a token's text; a mistake in it is counted from the beginning of the expression."""
    try:
        return read(str(token))
    except ExpressionError as error:
        raise error.moved(token.start_pos or 0) from None
    except ValueError as error:
        raise _at(token, str(error)) from None


def _wrong_literal(token: Token, name: str, kind: FieldType, advice: str | None) -> ExpressionError:
    words = {
        "STRING": "a text",
        "RAW_STRING": "a text",
        "NUMBER": "a number" if str(token).isalnum() else "an address",
        "ADDRESS": "an address",
        "NAME": "a word without quotes",
        "CHARACTER": "in single quotes",
    }
    if token.type == "NAME" and str(token) in FIELDS:
        return _at(token, "two fields cannot be compared with each other", "compare with a literal or a set")
    return _at(token, f"{name} is {_a(kind)}, {shown(token)} is {words.get(token.type, 'something else')}", advice)


def _offset_in(token: Token, offset: int) -> int:
    """Where the n-th character of a string's content stands in the expression (exact when it has no escapes)."""
    opening = 2 if token.type == "RAW_STRING" else 1
    inside = opening + offset if "\\" not in token or token.type == "RAW_STRING" else 0
    return (token.start_pos or 0) + inside


def _a(kind: FieldType) -> str:
    return {
        "text": "text",
        "number": "a number",
        "address": "an address",
        "flag": "a flag (true or false)",
        "protocol": "a protocol",
    }[kind]


def _at(node: Node | Token, cause: str, next_step: str | None = None) -> ExpressionError:
    position = node.start_pos if isinstance(node, Token) else node.meta.start_pos
    return ExpressionError(cause, next_step, position or 0)


def _tree(node: Node | Token) -> Node:
    if isinstance(node, Token):
        raise TypeError(f"the grammar gives a tree here, not {node!r}")
    return node


def _token(node: Node | Token) -> Token:
    if isinstance(node, Token):
        return node
    raise TypeError(f"the grammar gives a token here, not {node.data}")
