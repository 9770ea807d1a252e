"""Write an expression back: canonical text that parses to the same tree, given the same sets."""

from typing import assert_never

from firewall.net.address import Network
from firewall.ruleset.expression import (
    And,
    Call,
    Comparison,
    Condition,
    Contains,
    Exists,
    Field,
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
from firewall.ruleset.fields import FIELDS
from firewall.ruleset.literal import string_text


def expression_text(condition: Condition) -> str:
    """Return the condition as text of the rule language."""
    match condition:
        case Comparison(Field(name) as operand, "==", True) if FIELDS[name].own:
            return operand_text(operand)
        case Comparison(operand, comparator, value):
            return f"{operand_text(operand)} {comparator} {value_text(value)}"
        case Membership(operand, (SetMembers(name),)):
            return f"{operand_text(operand)} in ${name}"
        case Membership(operand, items):
            return f"{operand_text(operand)} in {{{', '.join(item_text(item) for item in items)}}}"
        case Contains(operand, text):
            return f"{operand_text(operand)} contains {string_text(text)}"
        case Matches(operand, regex):
            return f"{operand_text(operand)} matches {string_text(regex)}"
        case Exists(operand):
            return operand_text(operand)
        case Not(inner):
            return f"not ({expression_text(inner)})" if isinstance(inner, And | Or) else f"not {expression_text(inner)}"
        case And(parts):
            return " and ".join(
                f"({expression_text(part)})" if isinstance(part, Or) else expression_text(part) for part in parts
            )
        case Or(parts):
            return " or ".join(expression_text(part) for part in parts)
    assert_never(condition)


def operand_text(operand: Operand) -> str:
    """Return what stands on the left of a comparison, as text of the rule language."""
    match operand:
        case Field(name, None):
            return name
        case Field(name, header):
            return f'{name}["{header}"]'
        case Slice(inner, start, length):
            return f"{operand_text(inner)}[{start}:{'' if length is None else length}]"
        case Call(function, inner):
            return f"{function}({operand_text(inner)})"
    assert_never(operand)


def value_text(value: Value) -> str:
    """Return a literal as text of the rule language."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return string_text(value)
        case int() | Network():
            return str(value)
    assert_never(value)


def item_text(item: Item) -> str:
    """Return one member of ``{…}`` as text of the rule language."""
    match item:
        case Range(low, high):
            return f"{value_text(low)}..{value_text(high)}"
        case SetMembers(name):
            return f"${name}"
        case _:
            return value_text(item)
