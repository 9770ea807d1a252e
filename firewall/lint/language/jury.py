"""Whether literals hold of a message, by the reader and the evaluator of the packet path: they have the last word."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache

from firewall.errors import SipSyntaxError
from firewall.net.datagram import Datagram
from firewall.ruleset.evaluate import compile_condition
from firewall.ruleset.expression import Atom, Comparison, Field
from firewall.ruleset.facts import Facts
from firewall.ruleset.fields import reader_of
from firewall.sip.message import Message, parse_message


@dataclass(frozen=True, slots=True)
class Literal:
    """A condition without ``and``, ``or`` and ``not``, and whether it is to hold."""

    condition: Atom
    holds: bool


@lru_cache(maxsize=65_536)
def _predicate(atom: Atom) -> Callable[[Facts], bool]:
    return compile_condition(atom)


def holds_of_message(atom: Atom, facts: Facts) -> bool:
    """Tell whether an atom holds of a message."""
    return _predicate(atom)(facts)


def facts_of(payload: bytes) -> Facts | None:
    """Return a message as the rules see it; None where it cannot be read."""
    try:
        message: Message = parse_message(payload)
    except SipSyntaxError:
        return None
    return Facts(Datagram("192.0.2.1", 5060, "198.51.100.1", 5060, payload), message)


class Jury:
    """Finds the literals that do not hold. Of many equalities that must not hold, those are found that do."""

    def __init__(self, literals: Iterable[Literal]) -> None:
        self._unequal: dict[Field, dict[object, Literal]] = {}
        self._others: list[tuple[Literal, Callable[[Facts], bool]]] = []
        for literal in literals:
            atom = literal.condition
            if not literal.holds and isinstance(atom, Comparison) and atom.comparator == "==":
                operand, value = atom.operand, atom.value
                if isinstance(operand, Field) and isinstance(value, int | str):
                    known = self._unequal.get(operand)
                    if known is None:
                        known = self._unequal[operand] = {}
                    known[value] = literal
                    continue
            self._others.append((literal, _predicate(atom)))
        self._readers = [(reader_of(field), literals) for field, literals in self._unequal.items()]

    def failing(self, facts: Facts) -> list[Literal]:
        """Return the literals that do not hold of a message."""
        found = [literal for literal, predicate in self._others if predicate(facts) is not literal.holds]
        for read, literals in self._readers:
            found += [literals[value] for value in dict.fromkeys(read(facts)) if value in literals]
        return found
