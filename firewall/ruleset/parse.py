"""From the text of an expression to its tree: the grammar here, names and types in ``resolve``.

Every mistake is one sentence with its place. What Wireshark would read loosely (a number for text, an unquoted word, a
network with host bits) is refused: in a rule it is a mistake.
"""

from collections.abc import Callable, Mapping
from functools import cache

from lark import Lark, Token, Tree, UnexpectedInput, UnexpectedToken

from firewall.errors import Place, PolicyError, shown
from firewall.ruleset.expression import Condition
from firewall.ruleset.grammar import GRAMMAR
from firewall.ruleset.literal import ExpressionError
from firewall.ruleset.policy import NamedSet
from firewall.ruleset.resolve import Resolver

MAX_EXPRESSION_CHARS = 65_536
MAX_DEPTH = 64

_OPERATORS = frozenset({"and", "or", "not", "in", "contains", "matches", "eq", "ne", "gt", "ge", "lt", "le"})
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
        return ExpressionError("the expression is empty", "write one, as sip")
    if isinstance(error, UnexpectedToken):
        if error.token.type != "$END":
            return _shouted(text, error.token) or _unexpected_token(error.token, error.accepts)
        if "RPAR" in error.accepts:
            return ExpressionError("a parenthesis is not closed", 'add ")"', len(text.rstrip()))
        return ExpressionError("the expression ends too early", _expectation(error.accepts), len(text.rstrip()))
    return _unexpected_character(text, error.pos_in_stream or 0)


def _unexpected_character(text: str, position: int) -> ExpressionError:
    char = text[position]
    if char in "\"'":
        advice = f'add the closing {char}; in YAML a " #" ends an expression that is not in quotes itself'
        return ExpressionError("the string is not closed", advice, position)
    advice = {
        "=": 'compare with "==" or "!="',
        "&": 'write "and" or "&&"',
        "|": 'write "or" or "||"',
        "%": "an address has no zone id here: no packet carries one",
        "[": 'a slice is [offset:length]; a header is sip.header["Name"]',
    }.get(char, 'a text stands in straight double quotes: "…"')
    return ExpressionError(f'"{char}" is not expected here', advice, position)


def _shouted(text: str, token: Token) -> ExpressionError | None:
    """An operator in capitals, which is a name to the grammar: what it stumbles over, or what stands before it."""
    read = text[: token.end_pos]
    for word in (each.lstrip("(!") for each in read.split()[-2:]):
        if word.isupper() and word.lower() in _OPERATORS:
            return ExpressionError(f'"{word}" is no operator', f'write "{word.lower()}"', read.rfind(word))
    return None


def _unexpected_token(token: Token, accepted: set[str]) -> ExpressionError:
    position = token.start_pos or 0
    said = shown(token)
    quoted = said if token.type in _LITERALS else f'"{said}"'
    if token.type in _LITERALS and "NAME" in accepted and "STRING" not in accepted:
        return ExpressionError(f"{quoted} stands where a field is expected", "write the field on the left", position)
    if token.type == "SET" and "SET" not in accepted:
        return ExpressionError(f"{said} can stand only after in", f"write field in {said}", position)
    if token.type == "RPAR" and "$END" in accepted:
        return ExpressionError('")" closes nothing', "remove it", position)
    return ExpressionError(f"{quoted} is not expected here", _expectation(accepted), position)


def _expectation(accepted: set[str]) -> str | None:
    if "LBRACE" in accepted:
        return "expected a set: {…} or $name"
    if "STRING" in accepted:
        return "expected a value"
    if "RBRACE" in accepted:
        return 'expected "," or "}"'
    if "AND" in accepted:
        return "expected and, or, or the end" if "$END" in accepted else 'expected and, or, or ")"'
    if "NAME" in accepted:
        return "expected a field"
    return 'expected ")"' if "RPAR" in accepted else None
