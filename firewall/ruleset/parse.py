"""From the text of an expression to its tree: the grammar here, names and types in ``resolve``.

Every mistake is one sentence with its place. What Wireshark would read loosely (a number for text, an unquoted word, a
network with host bits) is refused: in a rule it is a mistake.
"""

from collections.abc import Callable, Mapping
from functools import cache

from lark import Lark, Token, Tree, UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from firewall.errors import Place, PolicyError
from firewall.ruleset.expression import Condition
from firewall.ruleset.grammar import GRAMMAR
from firewall.ruleset.literal import ExpressionError
from firewall.ruleset.policy import NamedSet
from firewall.ruleset.resolve import Resolver

MAX_EXPRESSION_CHARS = 65_536
MAX_DEPTH = 64

_LITERALS = ("STRING", "RAW_STRING", "CHARACTER", "NUMBER", "ADDRESS")


def parse_expression(
    text: str,
    *,
    sets: Mapping[str, NamedSet],
    place: Place,
    locate: Callable[[int], Place] | None = None,
) -> Condition:
    """Read a rule's expression.

    ``place`` is where the text begins; ``locate`` gives the place of its n-th character where that is not simply n
    columns further (a quoted or block scalar of YAML).

    Raises:
        PolicyError: anything wrong with it, at its place.
    """
    try:
        return _parse(text, sets)
    except ExpressionError as error:
        where = locate(error.offset) if locate is not None else _columns_on(place, error.offset)
        raise PolicyError(error.cause, place=where, next_step=error.next_step) from None


def _columns_on(place: Place, offset: int) -> Place:
    return Place(place.file, place.line, place.column + offset if place.column is not None else None)


@cache
def _lark() -> Lark:
    return Lark(GRAMMAR, parser="lalr", lexer="basic", propagate_positions=True, maybe_placeholders=False)


def _parse(text: str, sets: Mapping[str, NamedSet]) -> Condition:
    if len(text) > MAX_EXPRESSION_CHARS:
        raise ExpressionError(
            f"the expression has {len(text)} characters; the limit is {MAX_EXPRESSION_CHARS}",
            "put long lists of values into a set",
        )
    try:
        tree = _lark().parse(text)
    except UnexpectedInput as error:
        raise _syntax_error(text, error) from None
    _check_depth(tree)
    (condition,) = tree.children
    if isinstance(condition, Token):
        raise TypeError(f"the grammar gives a tree here, not {condition!r}")
    return Resolver(sets).condition(condition)


def _check_depth(tree: Tree[Token]) -> None:
    """Refuse what is nested too deep for the recursion of the interpreters (no person writes it)."""
    level: list[Tree[Token]] = [tree]
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in node.children if isinstance(child, Tree)]
        if not level:
            return
    raise ExpressionError(f"the expression is nested deeper than {MAX_DEPTH} levels", "split the rule")


def _syntax_error(text: str, error: UnexpectedInput) -> ExpressionError:
    if not text.strip():
        return ExpressionError("the expression is empty", "leave out when: for a rule that matches everything")
    if isinstance(error, UnexpectedCharacters):
        return _unexpected_character(text, error.pos_in_stream or 0)
    if isinstance(error, UnexpectedToken) and error.token.type != "$END":
        return _unexpected_token(error.token, error.expected)
    expected = error.expected if isinstance(error, UnexpectedToken) else set()
    if text.count("(") > text.count(")"):
        return ExpressionError("a parenthesis is not closed", 'add ")"', len(text.rstrip()))
    return ExpressionError("the expression ends too early", _expectation(expected), len(text.rstrip()))


def _unexpected_character(text: str, position: int) -> ExpressionError:
    char = text[position]
    if char in "\"'":
        return ExpressionError("the string is not closed", f"add the closing {char}", position)
    advice = {
        "=": 'compare with "=="',
        "&": 'write "and" or "&&"',
        "|": 'write "or" or "||"',
        "[": 'a slice is [offset:length]; a header is sip.header["Name"]',
    }.get(char)
    return ExpressionError(f'"{char}" is not expected here', advice, position)


def _unexpected_token(token: Token, expected: set[str]) -> ExpressionError:
    position = token.start_pos or 0
    shown = str(token) if len(token) <= 40 else f"{token[:39]}…"
    if token.type in _LITERALS and "NAME" in expected and "STRING" not in expected:
        return ExpressionError(f"{shown} stands where a field is expected", "write the field on the left", position)
    if token.type == "SET" and "SET" not in expected:
        return ExpressionError(f"{shown} can stand only after in", f"write field in {shown}", position)
    if token.type == "RPAR":
        return ExpressionError(
            '")" closes nothing' if "AND" in expected else '")" is not expected here', None, position
        )
    return ExpressionError(f'"{shown}" is not expected here', _expectation(expected), position)


def _expectation(expected: set[str]) -> str | None:
    if "LBRACE" in expected:
        return "expected a set: {…} or $name"
    if "STRING" in expected:
        return "expected a value"
    if "AND" in expected:
        return "expected and, or, or the end"
    if "NAME" in expected:
        return "expected a field"
    return None
