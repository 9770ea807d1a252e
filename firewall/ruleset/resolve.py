"""The meaning of a parsed expression: which field, which type, which value. Refuses what has none."""

from collections.abc import Mapping
from difflib import get_close_matches

from lark import Token, Tree

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
from firewall.ruleset.fields import FIELDS, HEADER_FIELD, similar_field
from firewall.ruleset.literal import (
    FALSE_WORDS,
    TRUE_WORDS,
    ExpressionError,
    read_address,
    read_address_range,
    read_number,
    read_slice,
    read_string,
)
from firewall.ruleset.network_set import networks_of_list
from firewall.ruleset.policy import NamedSet, NetworkSet, StringSet
from firewall.ruleset.regex import compile_regex
from firewall.ruleset.text import operand_text

Node = Tree[Token]

_FUNCTIONS: dict[str, Function] = {"len": "len", "lower": "lower", "upper": "upper", "count": "count"}
_COMPARATORS: dict[str, Comparator] = {
    "==": "==", "eq": "==", "!=": "!=", "ne": "!=", ">": ">", "gt": ">", ">=": ">=", "ge": ">=", "<": "<", "lt": "<",
    "<=": "<=", "le": "<=",
}  # fmt: skip
_LITERAL_NAMES = {"text": 'a text in quotes, "…"', "number": "a number", "address": "an address or network"}


def _shortened(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "…"


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
                return Or(tuple(part for child in node.children for part in self._alternatives(_tree(child))))
            case "all_of":
                return And(tuple(part for child in node.children for part in self._conjuncts(_tree(child))))
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

    def _alternatives(self, node: Node) -> tuple[Condition, ...]:
        condition = self.condition(node)
        return condition.conditions if isinstance(condition, Or) else (condition,)

    def _conjuncts(self, node: Node) -> tuple[Condition, ...]:
        condition = self.condition(node)
        return condition.conditions if isinstance(condition, And) else (condition,)

    def _exists(self, node: Node) -> Condition:
        operand, spec, kind = self._operand(node)
        if isinstance(operand, Call):
            raise _at(node, f"{operand.function}() alone says nothing", "compare it, for example with == 0")
        if kind == "flag" and spec.own:
            return Comparison(operand, "==", True)
        return Exists(operand)

    def _comparison(self, node: Node) -> Condition:
        left, comparator_node, literal = _tree(node.children[0]), _tree(node.children[1]), node.children[2]
        operand, spec, kind = self._operand(left)
        comparator = _COMPARATORS[str(comparator_node.children[0])]
        if kind == "protocol":
            raise _at(
                left, f'"{spec.name}" is a protocol, not a value', f"{spec.name} alone asks whether it is present"
            )
        value = self._value(_token(literal), operand, spec, kind)
        if isinstance(value, bool):
            return _flag_comparison(operand, spec, comparator, value, comparator_node)
        if isinstance(value, Network) and comparator not in ("==", "!=") and value.first != value.last:
            raise _at(literal, f"a network cannot be compared with {comparator}", "use == or in, or a single address")
        return Comparison(operand, comparator, value)

    def _contains(self, node: Node) -> Condition:
        operand, spec, kind = self._operand(_tree(node.children[0]))
        self._must_be_text(node.children[0], spec, kind, operand, "contains")
        text = self._text(_token(node.children[-1]), spec, operand)
        if not text:
            raise _at(node.children[-1], "contains needs a text that is not empty")
        return Contains(operand, text)

    def _matches(self, node: Node) -> Condition:
        operand, spec, kind = self._operand(_tree(node.children[0]))
        self._must_be_text(node.children[0], spec, kind, operand, "matches")
        token = _token(node.children[-1])
        regex = self._text(token, spec, operand)
        try:
            compile_regex(regex)
        except ExpressionError as error:
            raise ExpressionError(error.cause, error.next_step, _offset_in(token, error.offset)) from None
        return Matches(operand, regex)

    def _must_be_text(self, node: Node | Token, spec: FieldSpec, kind: FieldType, operand: Operand, word: str) -> None:
        if kind == "text" or (kind == "protocol" and spec.searchable):
            return
        what = f"{operand.function}() is a number" if isinstance(operand, Call) else f"{spec.name} is {_a(kind)}"
        raise _at(node, f"{what}; {word} works on text")

    def _membership(self, node: Node) -> Membership:
        left, members = _tree(node.children[0]), _tree(node.children[-1])
        operand, spec, kind = self._operand(left)
        if not isinstance(operand, Field):
            raise _at(left, "only a field can stand before in, as in Wireshark", "write it as comparisons with or")
        if kind == "protocol" or (kind == "flag" and spec.own):
            raise _at(left, f"{spec.name} is {_a(kind)}; in works on text, numbers and addresses")
        return Membership(operand, tuple(self._item(child, operand, spec, kind) for child in members.children))

    def _item(self, node: Node | Token, operand: Operand, spec: FieldSpec, kind: FieldType) -> Item:
        if isinstance(node, Tree):
            return self._range(_token(node.children[0]), _token(node.children[1]), operand, spec, kind)
        if node.type == "SET":
            return self._set(node, spec, kind)
        return self._value(node, operand, spec, kind)

    def _range(self, low: Token, high: Token, operand: Operand, spec: FieldSpec, kind: FieldType) -> Item:
        if kind == "address":
            try:
                network = read_address_range(str(low), str(high))
            except ExpressionError as error:
                raise error.moved(low.start_pos or 0) from None
            self._check_family(network, low, spec)
            return network
        first: Value
        first, last = self._value(low, operand, spec, kind), self._value(high, operand, spec, kind)
        if isinstance(first, int) and isinstance(last, int) and not isinstance(first, bool):
            reversed_range = first > last
        elif isinstance(first, str) and isinstance(last, str):
            reversed_range = _bytes(first) > _bytes(last)
        else:
            raise _at(low, f"{spec.name} is {_a(kind)} and has no ranges")
        if reversed_range:
            raise _at(low, f"the range {low}..{high} is reversed", f"write {high}..{low}")
        return Range(first, last)

    def _set(self, token: Token, spec: FieldSpec, kind: FieldType) -> SetMembers:
        name = str(token)[1:]
        named = self._sets.get(name)
        if named is None:
            close = get_close_matches(name, self._sets, n=1, cutoff=0.5)
            known = ", ".join(f"${each}" for each in sorted(self._sets)[:8]) or "there are no sets"
            advice = f'did you mean "${close[0]}"?' if close else f"define it under sets: (known: {known})"
            raise _at(token, f'undefined set "${name}"', advice)
        match named:
            case StringSet():
                return self._string_set(token, named, spec, kind)
            case NetworkSet(networks=networks):
                if kind != "address":
                    raise _at(token, f"set ${name} holds networks, but {spec.name} is {_a(kind)}")
                return SetMembers(name, networks)

    def _string_set(self, token: Token, named: StringSet, spec: FieldSpec, kind: FieldType) -> SetMembers:
        if kind == "text":
            return SetMembers(named.name, named.values)
        if kind == "address" and named.lines:
            return SetMembers(named.name, networks_of_list(named))
        advice = "give it as {networks: […]}" if kind == "address" else None
        raise _at(token, f"set ${named.name} holds strings, but {spec.name} is {_a(kind)}", advice)

    def _operand(self, node: Node) -> tuple[Operand, FieldSpec, FieldType]:
        match node.data:
            case "slice":
                operand, spec, kind = self._operand(_tree(node.children[0]))
                if kind != "text" and not (kind == "protocol" and spec.searchable):
                    raise _at(node, f"{spec.name} is {_a(kind)}; only text can be sliced")
                return _slice(operand, _token(node.children[1])), spec, "text"
            case "call":
                return self._call(node)
            case _:
                field, spec = self._field(node)
                return field, spec, spec.type

    def _call(self, node: Node) -> tuple[Operand, FieldSpec, FieldType]:
        name = _token(node.children[0])
        function = _FUNCTIONS.get(str(name))
        if function is None:
            close = get_close_matches(str(name), _FUNCTIONS, n=1)
            advice = f'did you mean "{close[0]}"?' if close else f"there are {', '.join(_FUNCTIONS)}"
            raise _at(name, f'unknown function "{name}"', advice)
        operand, spec, kind = self._operand(_tree(node.children[1]))
        if not isinstance(operand, Field):
            raise _at(node.children[1], f"{function}() takes a field, as in Wireshark")
        if function != "count" and kind != "text":
            raise _at(node.children[1], f"{function}() works on text, but {spec.name} is {_a(kind)}")
        return Call(function, operand), spec, "text" if function in ("lower", "upper") else "number"

    def _field(self, node: Node) -> tuple[Field, FieldSpec]:
        token = _token(node.children[0])
        name = str(token)
        header = None
        if len(node.children) > 1:
            header = self._header_name(_token(node.children[1]), name)
        spec = FIELDS.get(name)
        if spec is None:
            similar = similar_field(name)
            advice = f'did you mean "{similar}"?' if similar else "docs/fields.md lists all fields"
            raise _at(token, f'unknown field "{name}"', advice)
        if name == HEADER_FIELD and header is None:
            raise _at(token, f"{HEADER_FIELD} needs the header's name", f'write {HEADER_FIELD}["Name"]')
        return Field(name, header), spec

    def _header_name(self, token: Token, name: str) -> str:
        if name != HEADER_FIELD:
            raise _at(token, f'only {HEADER_FIELD} takes a name in brackets, not "{name}"')
        text = str(token)
        try:
            header = read_string(text[1:-1].strip()).strip()
        except ExpressionError as error:
            raise error.moved((token.start_pos or 0) + text.index('"')) from None
        if not header or any(char in header for char in ': \t\r\n"') or not header.isprintable():
            raise _at(token, f'"{header}" is not a header name')
        return header.lower()

    def _value(self, token: Token, operand: Operand, spec: FieldSpec, kind: FieldType) -> Value:
        match kind:
            case "text" | "protocol":
                return self._text(token, spec, operand)
            case "flag":
                return _flag_value(token, spec)
            case "number":
                return self._number(token, spec, operand)
            case "address":
                return self._address(token, spec)

    def _text(self, token: Token, spec: FieldSpec, operand: Operand) -> str:
        if token.type == "RAW_STRING":
            return str(token)[2:-1]
        if token.type != "STRING":
            bare = str(token)[1:-1] if token.type == "CHARACTER" else str(token)
            raise _wrong_literal(token, operand_text(operand), "text", f'write "{bare}" in double quotes')
        try:
            text = read_string(str(token))
        except ExpressionError as error:
            raise error.moved(token.start_pos or 0) from None
        if spec.choices is not None and isinstance(operand, Field) and text not in spec.choices:
            close = get_close_matches(text, spec.choices, n=1, cutoff=0.5)
            advice = f'did you mean "{close[0]}"?' if close else f"it is one of {', '.join(spec.choices)}"
            raise _at(token, f'{spec.name} is never "{_shortened(text)}"', advice)
        return text

    def _number(self, token: Token, spec: FieldSpec, operand: Operand) -> int:
        if token.type != "NUMBER":
            bare = str(token)[1:-1]
            advice = f"write {bare} without quotes" if token.type == "STRING" and bare.isdigit() else None
            raise _wrong_literal(token, operand_text(operand), "number", advice)
        try:
            number = read_number(str(token))
        except ExpressionError as error:
            raise error.moved(token.start_pos or 0) from None
        if spec.maximum is not None and isinstance(operand, Field) and number > spec.maximum:
            raise _at(token, f"{number} is too big for {spec.name}", f"its maximum is {spec.maximum}")
        return number

    def _address(self, token: Token, spec: FieldSpec) -> Network:
        if token.type not in ("NUMBER", "ADDRESS"):
            advice = "write it without quotes" if token.type == "STRING" else None
            raise _wrong_literal(token, spec.name, "address", advice)
        try:
            network = read_address(str(token))
        except ExpressionError as error:
            raise error.moved(token.start_pos or 0) from None
        self._check_family(network, token, spec)
        return network

    def _check_family(self, network: Network, token: Token, spec: FieldSpec) -> None:
        if spec.family is not None and family(network.first) != spec.family:
            part = spec.name.partition(".")[2]
            other = "ip" if spec.family == 6 else "ipv6"
            raise _at(
                token,
                f"{spec.name} is an IPv{spec.family} address, {token} is not",
                f"use {other}.{part}, or net.{part} for either family",
            )


def _flag_value(token: Token, spec: FieldSpec) -> bool:
    if str(token) in TRUE_WORDS:
        return True
    if str(token) in FALSE_WORDS:
        return False
    raise _at(token, f"{spec.name} is a flag; {token} is neither true nor false", "write true, false, 1 or 0")


def _flag_comparison(operand: Operand, spec: FieldSpec, comparator: Comparator, value: bool, node: Node) -> Condition:
    if comparator not in ("==", "!="):
        raise _at(node, f"{spec.name} is a flag; {comparator} does not apply", "use == or !=")
    if not spec.own:
        return Comparison(operand, comparator, value)
    is_true = Comparison(operand, "==", True)
    return is_true if value is (comparator == "==") else Not(is_true)


def _slice(operand: Operand, token: Token) -> Slice:
    try:
        start, length = read_slice(str(token))
    except ExpressionError as error:
        raise error.moved(token.start_pos or 0) from None
    return Slice(operand, start, length)


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
    return _at(token, f"{name} is {_a(kind)}, {token} is {words.get(token.type, 'something else')}", advice)


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


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


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
