"""Literals from the text of conditions; ``not`` before one says that it is not to hold."""

from firewall.errors import Place
from firewall.lint.language.settle import Literal
from firewall.ruleset.expression import And, Not, Or
from firewall.ruleset.parse import parse_expression


def literals(*texts: str) -> list[Literal]:
    """Return one literal for each text."""
    return [_literal(text) for text in texts]


def _literal(text: str) -> Literal:
    condition = parse_expression(text, place=Place("test", 1, 1), sets={})
    holds = True
    while isinstance(condition, Not):
        condition, holds = condition.condition, not holds
    assert not isinstance(condition, And | Or)
    return Literal(condition, holds)
