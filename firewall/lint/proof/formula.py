"""A propositional formula that grows and is asked under assumptions (CDCL, incremental; MiniSat by PySAT)."""

from collections.abc import Iterable, Sequence

from pysat.solvers import Minisat22


class Model:
    """An assignment that satisfies the formula."""

    def __init__(self, values: list[int]) -> None:
        self._values = values

    def holds(self, literal: int) -> bool:
        """Tell whether a literal is true."""
        index = abs(literal) - 1
        # A variable made after the question is in no clause of it: false, like all that need not be true.
        positive = index < len(self._values) and self._values[index] > 0
        return positive == (literal > 0)


class Formula:
    """Clauses over numbered variables; a literal is a variable's number, negative for its negation."""

    def __init__(self) -> None:
        self._solver = Minisat22()
        self._variables = 0
        self._gates: dict[tuple[int, ...], int] = {}
        self.true = self.new()
        self.add([self.true])

    @property
    def false(self) -> int:
        """The literal that never holds."""
        return -self.true

    def new(self) -> int:
        """Return a new variable."""
        self._variables += 1
        return self._variables

    def add(self, clause: Iterable[int]) -> None:
        """Demand that one of the literals holds."""
        self._solver.add_clause(list(clause))

    def all_of(self, literals: Iterable[int]) -> int:
        """Return a literal that holds exactly when all of them do."""
        wanted: set[int] = set()
        for literal in literals:
            if literal == self.false or -literal in wanted:
                return self.false
            if literal != self.true:
                wanted.add(literal)
        if not wanted:
            return self.true
        if len(wanted) == 1:
            return wanted.pop()
        key = tuple(sorted(wanted))
        gate = self._gates.get(key)
        if gate is None:
            gate = self._gates[key] = self.new()
            for literal in wanted:
                self.add([-gate, literal])
            self.add([gate, *(-literal for literal in wanted)])
        return gate

    def any_of(self, literals: Iterable[int]) -> int:
        """Return a literal that holds exactly when one of them does."""
        return -self.all_of(-literal for literal in literals)

    def exactly_one(self, literals: Sequence[int]) -> None:
        """Demand that one of the literals holds and no other (a ladder: linear in their number)."""
        self.add(literals)
        if len(literals) <= 5:
            for index, literal in enumerate(literals):
                for other in literals[index + 1 :]:
                    self.add([-literal, -other])
            return
        before = literals[0]
        for literal in literals[1:]:
            self.add([-before, -literal])
            reached = self.new()
            self.add([-before, reached])
            self.add([-literal, reached])
            before = reached

    def prefer(self, literals: Sequence[int]) -> None:
        """Let a model make these literals true where nothing forbids it."""
        self._solver.set_phases(list(literals))

    def solve(self, assumptions: Sequence[int]) -> Model | None:
        """Return a model in which the assumptions hold, None when there is none."""
        if not self._solver.solve(assumptions=list(assumptions)):
            return None
        return Model(self._solver.get_model())

    def is_possible(self, assumptions: Sequence[int]) -> bool:
        """Tell whether the assumptions can hold together."""
        return bool(self._solver.solve(assumptions=list(assumptions)))

    def core(self) -> list[int]:
        """Return assumptions of the last question that cannot hold together."""
        return list(self._solver.get_core() or [])
